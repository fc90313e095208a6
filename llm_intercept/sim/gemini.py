"""Gemini's generateContent, streamed as events (CRLF) or as one JSON array, on Google AI and on Vertex."""

from collections.abc import Iterator
from dataclasses import replace

import orjson

from llm_intercept.sim.answer import Answer, Counts
from llm_intercept.sim.errors import google_error
from llm_intercept.sim.frames import Frame, crlf_sse
from llm_intercept.sim.prompt import (
    Json,
    Prompt,
    Tool,
    as_dict,
    automatic_mark,
    dicts,
    positive,
    strings,
    text_of,
)
from llm_intercept.sim.serve import Call, Stamp, Surface
from llm_intercept.sim.tokens import count, pieces, weigh, weigh_messages

type Part = tuple[Json, int]
"""A content part and its tokens."""


def _pick(body: Json, camel: str, snake: str) -> object:
    """Google's JSON accepts both spellings."""
    return body.get(camel, body.get(snake))


def contents_tokens(body: Json) -> int:
    """The tokens of a generateContent body."""
    contents = body.get("contents")
    texts = [contents] if isinstance(contents, str | dict) else contents
    system = weigh(_pick(body, "systemInstruction", "system_instruction"))
    return weigh_messages(texts) + system + weigh(body.get("tools"))


def _read(call: Call, body: Json) -> Prompt:
    contents = dicts(body.get("contents"))
    said = [c for c in contents if c.get("role") != "model"]
    last = dicts(said[-1].get("parts")) if said else []
    config = as_dict(_pick(body, "generationConfig", "generation_config"))
    calling = as_dict(as_dict(_pick(body, "toolConfig", "tool_config")).get("functionCallingConfig"))
    tokens = contents_tokens(body)
    return Prompt(
        model=call.path_model,
        text=text_of(last) if last else text_of(body.get("contents")),
        input_tokens=tokens,
        after_tool=any("functionResponse" in p or "function_response" in p for p in last),
        tools=_tools(body),
        force_tool=next(iter(strings(calling.get("allowedFunctionNames"))), "")
        if calling.get("mode") == "ANY"
        else None,
        forbid_tools=calling.get("mode") == "NONE",
        max_output=positive(config.get("maxOutputTokens"), config.get("max_output_tokens")),
        stops=strings(config.get("stopSequences")),
        think=_thinks(config),
        schema=_schema(config),
        n=positive(config.get("candidateCount")) or 1,
        cache=automatic_mark(tokens, (call.path_model, contents[:-1] or contents)),
        body=body,
    )


def _tools(body: Json) -> tuple[Tool, ...]:
    declared = [
        function
        for tool in dicts(body.get("tools"))
        for function in dicts(_pick(tool, "functionDeclarations", "function_declarations"))
    ]
    return tuple(
        Tool(
            str(f["name"]),
            as_dict(f.get("parameters") or f.get("parametersJsonSchema") or f.get("parameters_json_schema")),
        )
        for f in declared
        if f.get("name")
    )


def _thinking(config: Json) -> Json:
    return as_dict(_pick(config, "thinkingConfig", "thinking_config"))


def _thinks(config: Json) -> bool:
    thinking = _thinking(config)
    return bool(
        thinking.get("includeThoughts") or thinking.get("thinkingBudget") or thinking.get("thinkingLevel")
    )


def _schema(config: Json) -> Json | None:
    if config.get("responseMimeType") != "application/json":
        return None
    schema = config.get("responseSchema") or config.get("responseJsonSchema")
    return as_dict(schema) or {"type": "object", "properties": {"answer": {}}}


def _parts(prompt: Prompt, answer: Answer) -> Iterator[Part]:
    """The answer in its pieces; thoughts only if they were asked for."""
    config = as_dict(_pick(prompt.body, "generationConfig", "generation_config"))
    shown = _thinking(config).get("includeThoughts") or not _thinks(config)
    for piece in answer.reasoning if shown else ():
        yield {"text": piece, "thought": True}, 1
    for piece in answer.text:
        yield {"text": piece}, 1
    for call in answer.calls:
        function = {"name": call.name, "args": orjson.loads(call.arguments)}
        yield {"functionCall": function}, count(call.name) + len(pieces(call.arguments))


def _joined(parts: list[Json]) -> list[Json]:
    """Neighbouring texts of a kind as one part, for the whole answer."""
    joined: list[Json] = []
    for part in parts:
        if joined and "text" in part and joined[-1].keys() == part.keys():
            joined[-1] = {**joined[-1], "text": joined[-1]["text"] + part["text"]}
        else:
            joined.append(part)
    return joined


def _usage(counts: Counts, spoken: int, thought: int) -> Json:
    """Counters so far: `candidates` excludes thoughts, the total has both."""
    details = [{"modality": "TEXT", "tokenCount": counts.input}]
    usage: Json = {"promptTokenCount": counts.input, "totalTokenCount": counts.input + spoken + thought}
    if spoken:
        usage["candidatesTokenCount"] = spoken
    if thought:
        usage["thoughtsTokenCount"] = thought
    if counts.cache_read:
        usage["cachedContentTokenCount"] = counts.cache_read
    return {**usage, "promptTokensDetails": details}


def _envelope(prompt: Prompt, stamp: Stamp, parts: list[Json], usage: Json, finish: str | None) -> Json:
    ending = {"finishReason": finish} if finish else {}
    candidates = [
        {"content": {"parts": parts, "role": "model"}, **ending, "index": i} for i in range(prompt.n)
    ]
    made = {"candidates": candidates, "usageMetadata": usage}
    return {**made, "modelVersion": prompt.model, "responseId": stamp.id}


def _finish(answer: Answer) -> str:
    return "MAX_TOKENS" if answer.finish == "length" else "STOP"


def _whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    parts = _joined([part for part, _ in _parts(prompt, answer)])
    counts = answer.counts
    usage = _usage(counts, counts.output - counts.reasoning, counts.reasoning)
    return _envelope(prompt, stamp, parts, usage, _finish(answer))


def _chunks(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[tuple[Json, int]]:
    counts, spoken, thought = answer.counts, 0, counts_of_hidden(prompt, answer)
    for part, tokens in _parts(prompt, answer):
        thought += tokens * prompt.n if part.get("thought") else 0
        spoken += 0 if part.get("thought") else tokens * prompt.n
        yield _envelope(prompt, stamp, [part], _usage(counts, spoken, thought), None), tokens
    usage = _usage(counts, counts.output - counts.reasoning, counts.reasoning)
    yield _envelope(prompt, stamp, [{"text": ""}], usage, _finish(answer)), 0


def counts_of_hidden(prompt: Prompt, answer: Answer) -> int:
    """Reasoning that is billed from the first chunk on because it is not shown."""
    shown = any(part.get("thought") for part, _ in _parts(prompt, answer))
    return 0 if shown else answer.counts.reasoning


def _events(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    for chunk, tokens in _chunks(prompt, answer, stamp):
        yield crlf_sse(chunk, tokens)


def _array(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    """One JSON array whose elements arrive one by one, indented as Google does it."""
    before = b"["
    for chunk, tokens in _chunks(prompt, answer, stamp):
        yield Frame(before + orjson.dumps(chunk, option=orjson.OPT_INDENT_2) + b"\n", tokens)
        before = b",\n"
    yield Frame(b"]\n")


def _read_stream(call: Call, body: Json) -> Prompt:
    return replace(_read(call, body), stream=True)


WHOLE = Surface(_read, _whole, _events, google_error, pretty=True)
EVENTS = Surface(_read_stream, _whole, _events, google_error, "text/event-stream")
ARRAY = Surface(_read_stream, _whole, _array, google_error, "application/json; charset=UTF-8")
