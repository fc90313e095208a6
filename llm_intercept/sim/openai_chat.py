"""OpenAI chat completions (and Azure's, which only adds filter results around them)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llm_intercept.sim.answer import Answer, Counts
from llm_intercept.sim.errors import openai_error
from llm_intercept.sim.fate import behaviour_of
from llm_intercept.sim.frames import Frame, sse
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
from llm_intercept.sim.serve import Call, Headers, Stamp, Surface
from llm_intercept.sim.tokens import pieces, weigh, weigh_messages

type Chunk = tuple[Json, int]
"""A chunk's JSON and the tokens it stands for."""

_FINISH = {"stop": "stop", "length": "length", "tool": "tool_calls", "stop_sequence": "stop"}


def read(call: Call, body: Json) -> Prompt:
    messages = dicts(body.get("messages"))
    said = [m for m in messages if m.get("role") not in ("system", "developer", "assistant")]
    last = said[-1] if said else {}
    tokens = weigh_messages(messages) + weigh(body.get("tools")) + weigh(body.get("functions"))
    forced, forbidden = _choice(body)
    return Prompt(
        model=str(body.get("model") or call.path_model),
        text=text_of(last.get("content")),
        input_tokens=tokens,
        after_tool=last.get("role") in ("tool", "function"),
        tools=tools_of(body),
        force_tool=forced,
        forbid_tools=forbidden,
        max_output=positive(body.get("max_completion_tokens"), body.get("max_tokens")),
        stops=strings(body.get("stop")),
        think=body.get("reasoning_effort") not in (None, "none", "minimal"),
        schema=response_schema(as_dict(body.get("response_format"))),
        stream=body.get("stream") is True,
        n=positive(body.get("n")) or 1,
        cache=automatic_mark(tokens, (body.get("model"), messages[:-1] or messages)),
        body=body,
    )


def tools_of(body: Json) -> tuple[Tool, ...]:
    offered = [as_dict(t.get("function")) for t in dicts(body.get("tools"))] + dicts(body.get("functions"))
    return tuple(Tool(str(f["name"]), as_dict(f.get("parameters"))) for f in offered if f.get("name"))


def _choice(body: Json) -> tuple[str | None, bool]:
    choice = body.get("tool_choice", body.get("function_call"))
    if choice == "required":
        return "", False
    if isinstance(choice, dict):
        return str(as_dict(choice.get("function")).get("name") or choice.get("name") or ""), False
    return None, choice == "none"


def response_schema(wanted: Json) -> Json | None:
    """The schema of a structured answer, of `response_format` or of Responses' `text.format`."""
    if wanted.get("type") == "json_schema":
        return as_dict(as_dict(wanted.get("json_schema")).get("schema") or wanted.get("schema"))
    return {"type": "object", "properties": {"answer": {}}} if wanted.get("type") == "json_object" else None


def usage(counts: Counts) -> Json:
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.total,
        "prompt_tokens_details": {"cached_tokens": counts.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _legacy(prompt: Prompt) -> bool:
    return "functions" in prompt.body and "tools" not in prompt.body


def _finish(prompt: Prompt, answer: Answer) -> str:
    return "function_call" if answer.calls and _legacy(prompt) else _FINISH[answer.finish]


def _shows_reasoning(prompt: Prompt) -> bool:
    """OpenAI hides reasoning; `sim/think` shows it the way DeepSeek and vLLM do."""
    return behaviour_of(prompt.model) == "think"


def _message(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    text = None if answer.calls else answer.whole_text
    message: Json = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if _shows_reasoning(prompt):
        message["reasoning_content"] = answer.whole_reasoning
    functions = [{"name": c.name, "arguments": c.arguments} for c in answer.calls]
    if functions and _legacy(prompt):
        message["function_call"] = functions[0]
    elif functions:
        message["tool_calls"] = [
            {"id": f"call_{stamp.new_id(24)}", "type": "function", "function": f} for f in functions
        ]
    return message


def whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    choices = [
        {
            "index": i,
            "message": _message(prompt, answer, stamp),
            "logprobs": None,
            "finish_reason": _finish(prompt, answer),
        }
        for i in range(prompt.n)
    ]
    return {
        "id": f"chatcmpl-{stamp.id}",
        "object": "chat.completion",
        "created": stamp.created,
        "model": prompt.model,
        "choices": choices,
        "usage": usage(answer.counts),
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    }


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Makes the chunks of one stream; with include_usage each carries `usage`, null but for the last."""

    prompt: Prompt
    stamp: Stamp
    with_usage: bool

    def chunk(self, choices: list[Json], tokens: int = 0, counts: Counts | None = None) -> Chunk:
        chunk: Json = {
            "id": f"chatcmpl-{self.stamp.id}",
            "object": "chat.completion.chunk",
            "created": self.stamp.created,
            "model": self.prompt.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulator",
            "choices": choices,
        }
        if self.with_usage:
            chunk["usage"] = usage(counts) if counts else None
        return chunk, tokens

    def delta(self, index: int, delta: Json, tokens: int = 0, finish: str | None = None) -> Chunk:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self.chunk([choice], tokens)


def stream(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    for chunk, tokens in chunks(prompt, answer, stamp):
        yield sse(chunk, tokens=tokens)
    yield Frame(b"data: [DONE]\n\n")


def chunks(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Chunk]:
    """The chunks of a stream, not yet framed."""
    with_usage = as_dict(prompt.body.get("stream_options")).get("include_usage") is True
    maker = _Chunks(prompt, stamp, with_usage)
    for index in range(prompt.n):
        yield from _choice_chunks(maker, prompt, answer, index)
    if with_usage:
        yield maker.chunk([], counts=answer.counts)


def _choice_chunks(chunks: _Chunks, prompt: Prompt, answer: Answer, index: int) -> Iterator[Chunk]:
    first: Json = {"role": "assistant", "content": None if answer.calls else "", "refusal": None}
    yield chunks.delta(index, first)
    if _shows_reasoning(prompt):
        for piece in answer.reasoning:
            yield chunks.delta(index, {"reasoning_content": piece}, 1)
    for piece in answer.text:
        yield chunks.delta(index, {"content": piece}, 1)
    for number, call in enumerate(answer.calls):
        head: Any = {"name": call.name, "arguments": ""}
        yield chunks.delta(index, _call_delta(prompt, number, head, f"call_{chunks.stamp.new_id(24)}"))
        for piece in pieces(call.arguments):
            yield chunks.delta(index, _call_delta(prompt, number, {"arguments": piece}), 1)
    yield chunks.delta(index, {}, finish=_finish(prompt, answer))


def _call_delta(prompt: Prompt, number: int, function: Json, call_id: str | None = None) -> Json:
    if _legacy(prompt):
        return {"function_call": function}
    start = {"id": call_id, "type": "function"} if call_id else {}
    return {"tool_calls": [{"index": number, **start, "function": function}]}


def headers(prompt: Prompt, answer: Answer, stamp: Stamp) -> Headers:
    """What OpenAI sends along, rate limits included."""
    return (
        ("openai-processing-ms", "1"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-request-id", f"req_{stamp.id}"),
    )


SURFACE = Surface(read, whole, stream, openai_error, headers=headers, pretty=True)
