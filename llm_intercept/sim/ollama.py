"""Ollama's own API: chat and generate (streamed unless told otherwise), embeddings, the model list."""

from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
from aiohttp import web

from llm_intercept.sim import openai_chat
from llm_intercept.sim.answer import Answer
from llm_intercept.sim.catalogue import NAMES
from llm_intercept.sim.errors import ollama_error
from llm_intercept.sim.frames import Frame, line
from llm_intercept.sim.prompt import Json, Prompt, as_dict, dicts, positive, strings, text_of
from llm_intercept.sim.serve import Call, Stamp, Surface, begin, send_json
from llm_intercept.sim.tokens import weigh, weigh_messages
from llm_intercept.sim.vectors import inputs, vector

_NANOSECONDS = 1_000_000
VERSION = "0.12.0"


def _common(body: Json, text: str, tokens: int, after_tool: bool = False) -> Prompt:
    options = as_dict(body.get("options"))
    schema = {"type": "object", "properties": {"answer": {}}} if body.get("format") == "json" else None
    return Prompt(
        model=str(body.get("model", "")),
        text=text,
        input_tokens=tokens,
        max_output=positive(options.get("num_predict")),
        stops=strings(options.get("stop")),
        think=bool(body.get("think")),
        schema=as_dict(body.get("format")) or schema,
        stream=body.get("stream") is not False,
        tools=openai_chat.tools_of(body),
        body=body,
        after_tool=after_tool,
    )


def _read_chat(call: Call, body: Json) -> Prompt:
    messages = dicts(body.get("messages"))
    said = [m for m in messages if m.get("role") not in ("system", "assistant")]
    last = said[-1] if said else {}
    tokens = weigh_messages(messages) + weigh(body.get("tools"))
    return _common(body, text_of(last.get("content")), tokens, after_tool=last.get("role") == "tool")


def _read_generate(call: Call, body: Json) -> Prompt:
    text = str(body.get("prompt", ""))
    return _common(body, text, weigh(text) + weigh(body.get("system")))


def _state(prompt: Prompt, stamp: Stamp, payload: Json, answer: Answer | None) -> Json:
    """One line; `answer` is given with the last, which has the counters."""
    created = datetime.fromtimestamp(stamp.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    state = {"model": prompt.model, "created_at": created, **payload, "done": answer is not None}
    if answer is None:
        return state
    durations = {f"{name}_duration": _NANOSECONDS for name in ("total", "load", "prompt_eval", "eval")}
    counted = {"prompt_eval_count": answer.counts.input, "eval_count": answer.counts.output}
    reason = "length" if answer.finish == "length" else "stop"
    return {**state, "done_reason": reason, **durations, **counted}


def _calls(answer: Answer, stamp: Stamp) -> Json:
    functions = [{"name": c.name, "arguments": orjson.loads(c.arguments)} for c in answer.calls]
    return {"tool_calls": [{"id": f"call_{stamp.new_id(8)}", "function": f} for f in functions]}


def _whole_chat(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    message: Json = {"role": "assistant", "content": answer.whole_text}
    message |= {"thinking": answer.whole_reasoning} if answer.reasoning else {}
    message |= _calls(answer, stamp) if answer.calls else {}
    return _state(prompt, stamp, {"message": message}, answer)


def _stream_chat(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    said: list[Json] = [{"content": "", "thinking": piece} for piece in answer.reasoning]
    said += [{"content": piece} for piece in answer.text]
    said += [{"content": "", **_calls(answer, stamp)}] if answer.calls else []
    for part in said:
        yield line(_state(prompt, stamp, {"message": {"role": "assistant", **part}}, None), 1)
    yield line(_state(prompt, stamp, {"message": {"role": "assistant", "content": ""}}, answer))


def _whole_generate(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    thought = {"thinking": answer.whole_reasoning} if answer.reasoning else {}
    return _state(prompt, stamp, {"response": answer.whole_text, **thought}, answer)


def _stream_generate(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    for piece in answer.reasoning:
        yield line(_state(prompt, stamp, {"response": "", "thinking": piece}, None), 1)
    for piece in answer.text:
        yield line(_state(prompt, stamp, {"response": piece}, None), 1)
    yield line(_state(prompt, stamp, {"response": ""}, answer))


CHAT = Surface(_read_chat, _whole_chat, _stream_chat, ollama_error, "application/x-ndjson")
GENERATE = Surface(_read_generate, _whole_generate, _stream_generate, ollama_error, "application/x-ndjson")


async def embed(call: Call) -> web.StreamResponse:
    """`/api/embed`, and `/api/embeddings` with its single vector."""
    body = call.json()
    model = str(body.get("model", ""))
    if refused := await begin(call, model, ollama_error):
        return refused
    given = inputs(body.get("input", body.get("prompt", "")))
    vectors = [vector(text, model, positive(body.get("dimensions"))) for text, _ in given]
    if "prompt" in body:
        return await send_json(call, {"embedding": vectors[0]})
    times = {"total_duration": _NANOSECONDS, "load_duration": _NANOSECONDS}
    counted = {**times, "prompt_eval_count": sum(n for _, n in given)}
    return await send_json(call, {"model": model, "embeddings": vectors, **counted})


async def tags(call: Call) -> web.StreamResponse:
    details = {"format": "gguf", "family": "simulator", "parameter_size": "0B", "quantization_level": "F16"}
    about = {"modified_at": "2025-01-01T00:00:00Z", "size": 0, "digest": "0" * 64, "details": details}
    return await send_json(call, {"models": [{"name": name, "model": name, **about} for name in NAMES]})


async def version(call: Call) -> web.StreamResponse:
    return await send_json(call, {"version": VERSION})
