"""Bedrock Converse: whole answers and the event stream that botocore decodes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from llm_intercept.sim.answer import Answer, Counts
from llm_intercept.sim.errors import bedrock_error
from llm_intercept.sim.frames import Frame, aws_event
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
from llm_intercept.sim.tokens import pieces, weigh, weigh_messages

EVENT_STREAM = "application/vnd.amazon.eventstream"
_FINISH = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use", "stop_sequence": "stop_sequence"}


def read_body(body: Json, model: str, stream: bool = False) -> Prompt:
    """The prompt of a Converse body; Nova's invoke bodies have the same shape."""
    said = [m for m in dicts(body.get("messages")) if m.get("role") == "user"]
    blocks = dicts(said[-1].get("content")) if said else []
    texts = [b for b in blocks if "text" in b]
    config, tools = as_dict(body.get("inferenceConfig")), as_dict(body.get("toolConfig"))
    choice = as_dict(tools.get("toolChoice"))
    more = as_dict(body.get("additionalModelRequestFields"))
    forced = "" if "any" in choice else as_dict(choice.get("tool")).get("name")
    return Prompt(
        model=model,
        text=text_of(texts[-1:] or blocks),
        input_tokens=input_tokens(body),
        after_tool=any("toolResult" in b for b in blocks),
        tools=_tools(tools),
        force_tool=forced,
        max_output=positive(config.get("maxTokens"), config.get("max_new_tokens")),
        stops=strings(config.get("stopSequences")),
        think=as_dict(more.get("thinking") or more.get("reasoningConfig")).get("type")
        in ("enabled", "adaptive"),
        stream=stream,
        cache=_cache_mark(body, model),
        body=body,
    )


def input_tokens(body: Json) -> int:
    """All of the prompt: system, messages and tools."""
    tools = as_dict(body.get("toolConfig")).get("tools")
    return weigh(body.get("system")) + weigh_messages(dicts(body.get("messages"))) + weigh(tools)


def _tools(config: Json) -> tuple[Tool, ...]:
    specs = [as_dict(t.get("toolSpec")) for t in dicts(config.get("tools"))]
    return tuple(
        Tool(str(s["name"]), as_dict(as_dict(s.get("inputSchema")).get("json")))
        for s in specs
        if s.get("name")
    )


def _cache_mark(body: Json, model: str) -> CacheMark | None:
    """Everything before the last `cachePoint`, in the order tools, system, messages."""
    blocks: list[Any] = [*as_list(as_dict(body.get("toolConfig")).get("tools")), *as_list(body.get("system"))]
    for message in dicts(body.get("messages")):
        blocks.extend(as_list(message.get("content")))
    marks = [i for i, block in enumerate(blocks) if isinstance(block, dict) and "cachePoint" in block]
    if not marks:
        return None
    prefix = [b for b in blocks[: marks[-1]] if not (isinstance(b, dict) and "cachePoint" in b)]
    hour = as_dict(blocks[marks[-1]]["cachePoint"]).get("ttl") == "1h"
    return CacheMark(weigh(prefix), orjson.dumps([model, prefix]), hour)


def usage(counts: Counts) -> Json:
    return {
        "inputTokens": counts.fresh,
        "outputTokens": counts.output,
        "totalTokens": counts.total,
        "cacheReadInputTokens": counts.cache_read,
        "cacheWriteInputTokens": counts.cache_write,
    }


def stop_reason(answer: Answer) -> str:
    return _FINISH[answer.finish]


def content(answer: Answer, stamp: Stamp) -> list[Json]:
    """The content blocks of the whole message."""
    blocks: list[Json] = []
    if answer.reasoning:
        thought = {"text": answer.whole_reasoning, "signature": f"Sim{stamp.new_id(64)}"}
        blocks.append({"reasoningContent": {"reasoningText": thought}})
    if answer.text:
        blocks.append({"text": answer.whole_text})
    for call in answer.calls:
        made = {"toolUseId": f"tooluse_{stamp.new_id(22)}", "name": call.name}
        blocks.append({"toolUse": {**made, "input": orjson.loads(call.arguments)}})
    return blocks


def _read(call: Call, body: Json) -> Prompt:
    return read_body(body, call.path_model)


def _whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    message = {"role": "assistant", "content": content(answer, stamp)}
    return {
        "metrics": {"latencyMs": 1},
        "output": {"message": message},
        "stopReason": stop_reason(answer),
        "usage": usage(answer.counts),
    }


def events(answer: Answer, stamp: Stamp) -> Iterator[tuple[str, Json, int]]:
    """(event name, payload, tokens), without the metadata at the end. Only tool blocks have a start."""
    yield "messageStart", {"role": "assistant"}, 0
    for index, block in enumerate(content(answer, stamp)):
        for kind, payload, tokens in _block_events(block):
            yield kind, {"contentBlockIndex": index, **payload}, tokens
        yield "contentBlockStop", {"contentBlockIndex": index}, 0
    yield "messageStop", {"stopReason": stop_reason(answer)}, 0


def _block_events(block: Json) -> Iterator[tuple[str, Json, int]]:
    delta = "contentBlockDelta"
    if "toolUse" in block:
        tool = block["toolUse"]
        start = {"toolUse": {"toolUseId": tool["toolUseId"], "name": tool["name"]}}
        yield "contentBlockStart", {"start": start}, 0
        for piece in pieces(orjson.dumps(tool["input"]).decode()):
            yield delta, {"delta": {"toolUse": {"input": piece}}}, 1
    elif "text" in block:
        for piece in pieces(block["text"]):
            yield delta, {"delta": {"text": piece}}, 1
    else:
        thought = block["reasoningContent"]["reasoningText"]
        for piece in pieces(thought["text"]):
            yield delta, {"delta": {"reasoningContent": {"text": piece}}}, 1
        yield delta, {"delta": {"reasoningContent": {"signature": thought["signature"]}}}, 0


def _stream(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    for kind, payload, tokens in events(answer, stamp):
        yield aws_event(kind, payload, tokens)
    yield aws_event("metadata", {"usage": usage(answer.counts), "metrics": {"latencyMs": 1}})


def _read_stream(call: Call, body: Json) -> Prompt:
    return replace(_read(call, body), stream=True)


def headers(prompt: Prompt, answer: Answer, stamp: Stamp) -> Headers:
    return (("x-amzn-RequestId", stamp.id),)


WHOLE = Surface(_read, _whole, _stream, bedrock_error, headers=headers)
STREAM = Surface(_read_stream, _whole, _stream, bedrock_error, EVENT_STREAM, headers)
