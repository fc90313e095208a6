"""Anthropic Messages, also as Vertex (`rawPredict`) and Bedrock (`invoke`) carry them."""

from collections.abc import Iterator
from typing import Any

import orjson

from llm_intercept.sim.answer import Answer, Counts
from llm_intercept.sim.errors import anthropic_error
from llm_intercept.sim.frames import Frame, sse
from llm_intercept.sim.prompt import (
    CacheMark,
    Json,
    Prompt,
    Tool,
    as_dict,
    as_list,
    dicts,
    positive,
    strings,
    text_of,
)
from llm_intercept.sim.serve import Call, Headers, Stamp, Surface
from llm_intercept.sim.tokens import count, pieces, weigh, weigh_messages

_EMPTY: dict[str, Json] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}
_FINISH = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use", "stop_sequence": "stop_sequence"}


def read(call: Call, body: Json) -> Prompt:
    return read_body(body, str(body.get("model") or call.path_model), body.get("stream") is True)


def read_body(body: Json, model: str, stream: bool) -> Prompt:
    """The prompt of a Messages body, wherever the model and the wish to stream are written."""
    messages = dicts(body.get("messages"))
    said = [m for m in messages if m.get("role") == "user"]
    content = said[-1].get("content") if said else ""
    texts = [b for b in dicts(content) if b.get("type") == "text"]
    results = [b for b in dicts(content) if b.get("type") == "tool_result"]
    choice = as_dict(body.get("tool_choice"))
    return Prompt(
        model=model,
        text=text_of(texts[-1:] or results[-1:] or content),
        input_tokens=input_tokens(body),
        after_tool=bool(results),
        tools=tuple(
            Tool(str(t["name"]), as_dict(t["input_schema"]))
            for t in dicts(body.get("tools"))
            if t.get("name") and "input_schema" in t
        ),
        force_tool={"any": "", "tool": str(choice.get("name", ""))}.get(str(choice.get("type"))),
        forbid_tools=choice.get("type") == "none",
        max_output=positive(body.get("max_tokens")),
        stops=strings(body.get("stop_sequences")),
        think=as_dict(body.get("thinking")).get("type") in ("enabled", "adaptive"),
        schema=_schema(body),
        stream=stream,
        cache=_cache_mark(body),
        body=body,
    )


def _schema(body: Json) -> Json | None:
    wanted = as_dict(body.get("output_format")) or as_dict(as_dict(body.get("output_config")).get("format"))
    return as_dict(wanted.get("schema")) if wanted.get("type") == "json_schema" else None


def input_tokens(body: Json) -> int:
    """All of the prompt: system, messages and tools."""
    return weigh(body.get("system")) + weigh_messages(dicts(body.get("messages"))) + weigh(body.get("tools"))


def _cache_mark(body: Json) -> CacheMark | None:
    """Everything up to the last block with `cache_control`, in the order tools, system, messages."""
    blocks: list[Any] = [*as_list(body.get("tools")), *as_list(body.get("system"))]
    for message in dicts(body.get("messages")):
        blocks.extend(as_list(message.get("content")))
    marks = [i for i, block in enumerate(blocks) if isinstance(block, dict) and block.get("cache_control")]
    if not marks:
        return None
    prefix = blocks[: marks[-1] + 1]
    hour = as_dict(prefix[-1]["cache_control"]).get("ttl") == "1h"
    bare = [{k: v for k, v in as_dict(b).items() if k != "cache_control"} or b for b in prefix]
    return CacheMark(weigh(prefix), orjson.dumps([body.get("model"), bare]), hour)


def usage(counts: Counts, output: int) -> Json:
    return {
        "input_tokens": counts.fresh,
        "cache_creation_input_tokens": counts.cache_write,
        "cache_read_input_tokens": counts.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.cache_write - counts.cache_hour,
            "ephemeral_1h_input_tokens": counts.cache_hour,
        },
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": min(counts.reasoning, output)},
        "service_tier": "standard",
    }


def _blocks(prompt: Prompt, answer: Answer, stamp: Stamp) -> list[Json]:
    blocks: list[Json] = []
    if answer.reasoning:
        signature = f"Sim{stamp.new_id(64)}"
        blocks.append({"type": "thinking", "thinking": answer.whole_reasoning, "signature": signature})
    if answer.text:
        blocks.append({"type": "text", "text": answer.whole_text})
    for call in answer.calls:
        made = {"type": "tool_use", "id": f"toolu_{stamp.new_id(24)}", "name": call.name}
        blocks.append({**made, "input": orjson.loads(call.arguments)})
    return blocks


def whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    return {
        "model": _model(prompt),
        "id": f"msg_{stamp.id}",
        "type": "message",
        "role": "assistant",
        "content": _blocks(prompt, answer, stamp),
        "stop_reason": _FINISH[answer.finish],
        "stop_sequence": answer.stop,
        "usage": usage(answer.counts, answer.counts.output),
    }


def _model(prompt: Prompt) -> str:
    """Vertex and Bedrock answer with the plain name of the model."""
    return prompt.model.rpartition("anthropic.")[2].partition("@")[0].removesuffix("-v1:0")


def events(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[tuple[Json, int]]:
    """Every event's payload with the tokens that it stands for."""
    message = whole(prompt, answer, stamp)
    blocks = message["content"]
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**start, "usage": usage(answer.counts, 1)}}, 0
    for index, block in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": _opened(block)}, 0
        if index == 0:
            yield {"type": "ping"}, 0
        for delta, tokens in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}, tokens
        yield {"type": "content_block_stop", "index": index}, 0
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    yield {"type": "message_delta", "delta": delta, "usage": _last_usage(answer.counts)}, 0
    yield {"type": "message_stop"}, 0


def _last_usage(counts: Counts) -> Json:
    """message_delta repeats the cumulative counters."""
    full = usage(counts, counts.output)
    return {key: value for key, value in full.items() if "_tokens" in key}


def _opened(block: Json) -> Json:
    return {**block, **_EMPTY[block["type"]]}


def _deltas(block: Json) -> Iterator[tuple[Json, int]]:
    match block["type"]:
        case "thinking":
            for piece in pieces(block["thinking"]):
                yield {"type": "thinking_delta", "thinking": piece}, 1
            yield {"type": "signature_delta", "signature": block["signature"]}, 0
        case "tool_use":
            yield {"type": "input_json_delta", "partial_json": ""}, 0
            for piece in pieces(orjson.dumps(block["input"]).decode()):
                yield {"type": "input_json_delta", "partial_json": piece}, count(piece)
        case _:
            for piece in pieces(block["text"]):
                yield {"type": "text_delta", "text": piece}, 1


def stream(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    for payload, tokens in events(prompt, answer, stamp):
        yield sse(payload, payload["type"], tokens)


def headers(prompt: Prompt, answer: Answer, stamp: Stamp) -> Headers:
    return (
        ("anthropic-ratelimit-requests-limit", "20000"),
        ("anthropic-ratelimit-requests-remaining", "19999"),
        ("request-id", f"req_{stamp.id}"),
    )


SURFACE = Surface(read, whole, stream, anthropic_error, headers=headers)
