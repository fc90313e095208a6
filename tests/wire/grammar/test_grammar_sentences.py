"""Bad streams, each by one change of a good one, and the exact sentence for each."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.wire import grammar
from llm_intercept.wire.codec import Frame
from tests.wire.grammar.checked import sentences, violations

type Event = dict[str, Any]


def frames(dialect: str, events: list[Any]) -> list[Frame]:
    """Events of the dialect as the framing gives them: with their type as name where there is one."""
    named = dialect in ("anthropic", "openai_responses")
    made: list[Frame] = []
    for event in events:
        if isinstance(event, bytes):
            made.append(("", event))
        elif isinstance(event, tuple):
            made.append((event[0], json.dumps(event[1]).encode()))
        else:
            made.append((event.get("type", "") if named else "", json.dumps(event).encode()))
    return made


# Anthropic
def start(**more: Any) -> Event:
    usage = {"input_tokens": 3, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    return {"type": "message_start", "message": {**message, "usage": usage, **more}}


def block(index: int, kind: str = "text", **more: Any) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **more}}


def delta(index: int, kind: str = "text_delta", **more: Any) -> Event:
    members = more or {"text": "a"}
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def stop(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}


def end(reason: str | None = "end_turn", tokens: Any = 5, **more: Any) -> Event:
    usage = {"output_tokens": tokens}
    return {"type": "message_delta", "delta": {"stop_reason": reason, **more}, "usage": usage}


OVER = {"type": "message_stop"}
FAIL = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
TOOL = {"id": "toolu_1", "name": "get", "input": {}}
SAID = [block(0), delta(0), stop(0)]


def calls(*pieces: str) -> list[Event]:
    deltas = [delta(0, "input_json_delta", partial_json=piece) for piece in pieces]
    return [start(), block(0, "tool_use", **TOOL), *deltas, stop(0)]


ANTHROPIC: list[tuple[list[Any], list[str]]] = [
    ([start(), {"type": "ping"}, *SAID, end(), OVER], []),
    ([start(), *SAID, {"type": "new_event"}, end(None), end(), OVER], []),
    ([*calls('{"a"', ":1}"), end("tool_use"), OVER], []),
    ([*calls(), end("tool_use"), OVER], []),
    ([*calls('{"a"'), end("max_tokens"), OVER], []),
    ([FAIL], []),
    ([start(), block(0), delta(0), FAIL], []),
    ([start(), *SAID, end()], ["the stream ended without message_stop"]),
    ([start(), *SAID, end(), OVER, OVER], ["message_stop after message_stop"]),
    ([start(), FAIL, {"type": "ping"}], ["ping after error"]),
    ([*SAID[:1], start(), *SAID[1:], end(), OVER], ["content_block_start before message_start"]),
    ([start(), start(), *SAID, end(), OVER], ["a second message_start"]),
    ([start(content=[1]), end(), OVER], ["message_start has content, which has to be empty"]),
    ([start(role="user"), end(), OVER], ["message_start has the role user, not assistant"]),
    ([start(id=""), end(), OVER], ["message_start has no id"]),
    (
        [start(usage=None), end(), OVER],
        ["message_start has no usage.input_tokens", "message_start has no usage.output_tokens"],
    ),
    ([start(), *SAID, delta(1), end(), OVER], ["content_block_delta for index 1, which is not open"]),
    ([start(), *SAID, delta(0), end(), OVER], ["content_block_delta for index 0, which is not open"]),
    (
        [start(), block(1), delta(1), stop(1), end(), OVER],
        ["content_block_start has the index 1, but 0 comes next"],
    ),
    (
        [start(), block(0), block(1), stop(1), end(), OVER],
        ["content_block_start for index 1 while index 0 is open"],
    ),
    ([start(), stop(0), end(), OVER], ["content_block_stop for index 0, which is not open"]),
    (
        [start(), block(0), delta(0, "thinking_delta", thinking="x"), stop(0), end(), OVER],
        ["thinking_delta in a block of the type text"],
    ),
    ([start(), block(0), delta(0, "text_delta", txt=1), stop(0), end(), OVER], ["text_delta without text"]),
    (
        [
            *(start(), block(0, "thinking"), delta(0, "signature_delta", signature="s")),
            *(delta(0, "thinking_delta", thinking="x"), stop(0), end(), OVER),
        ],
        ["thinking_delta after the signature_delta of its block"],
    ),
    (
        [*calls('{"a"', ":"), end("tool_use"), OVER],
        ["the input of tool_use 0 (get) does not add up to a JSON object"],
    ),
    (
        [*calls("[1]"), end("tool_use"), OVER],
        ["the input of tool_use 0 (get) does not add up to a JSON object"],
    ),
    ([start(), block(0, "tool_use", name="get"), stop(0), end("tool_use"), OVER], ["tool_use 0 has no id"]),
    ([start(), *SAID, end("tool_use"), OVER], ["stop_reason is tool_use, but there is no tool_use block"]),
    (
        [start(), *SAID, end("stop_sequence"), OVER],
        ["stop_reason is stop_sequence, but no stop_sequence is given"],
    ),
    ([start(), *SAID, end("stop"), OVER], ["stop_reason stop is none that is documented"]),
    ([start(), *SAID, end(None), OVER], ["message_stop without a stop_reason before it"]),
    ([start(), *SAID, end(tokens=None), OVER], ["message_delta has no usage.output_tokens"]),
    (
        [start(), *SAID, end(None, 9), end(tokens=4), OVER],
        ["usage.output_tokens of message_delta falls, but is cumulative"],
    ),
    ([start(), *SAID[:2], end(), stop(0), OVER], ["message_delta while index 0 is open"]),
    (
        [start(), *SAID, end(), OVER, ("ping", {"type": "pong"})],
        ["event ping has the type pong", "pong after message_stop"],
    ),
    ([start(), b"{", *SAID, end(), OVER], ["an event whose data is not JSON"]),
    ([start(), b"[]", *SAID, end(), OVER], ["an event whose data is not a JSON object"]),
    ([start(), ("", {"index": 0}), *SAID, end(), OVER], ["an event without a type"]),
    (
        [start(), {"type": "content_block_delta"}, *SAID, end(), OVER],
        ["content_block_delta lacks a member or has one of a wrong type"],
    ),
    ([start(), *SAID, end(), OVER, b"[DONE]"], ["[DONE], which this dialect does not have"]),
    ([start(), {"type": "error", "error": {}}], ["error without a type or a message"]),
]


# OpenAI chat
def chunk(value: Any = None, finish: str | None = None, index: Any = 0, **more: Any) -> Event:
    choices = [] if value is None else [{"index": index, "delta": value, "finish_reason": finish}]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices}
    return {**head, **more}


def call(index: int = 0, arguments: str = "", **more: Any) -> Event:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}, **more}]}


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
NAMED = call(id="call_1", type="function", function={"name": "get", "arguments": ""})
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
DONE = b"[DONE]"
CHAT: list[tuple[list[Any], list[str]]] = [
    ([ROLE, chunk({"content": "a"}), STOP, chunk(usage=USAGE), DONE], []),
    ([ROLE, chunk(NAMED), chunk(call(0, '{"a":')), chunk(call(0, "1}")), chunk({}, "tool_calls"), DONE], []),
    ([ROLE, chunk(NAMED), chunk(call(0, '{"a":')), chunk({}, "length"), DONE], []),
    ([ROLE, {"error": {"message": "broken"}}, DONE], []),
    ([ROLE, STOP], ["the stream ended without [DONE]"]),
    ([ROLE, STOP, DONE, DONE], ["a second [DONE]"]),
    ([ROLE, STOP, DONE, chunk(usage=USAGE)], ["a chunk after [DONE]"]),
    ([{"error": {"message": "x"}}, chunk(usage=USAGE)], ["a chunk after the error"]),
    ([{"error": "x"}, DONE], ["an error without a message"]),
    ([chunk({"content": "a"}), STOP, DONE], ["the first delta of choice 0 has no role"]),
    ([ROLE, DONE], ["choice 0 has no finish_reason"]),
    ([DONE], ["the stream has no choice"]),
    ([ROLE, STOP, STOP, DONE], ["choice 0 has a second finish_reason"]),
    ([ROLE, STOP, chunk({"content": "a"}), DONE], ["content for choice 0 after its finish_reason"]),
    ([ROLE, chunk({}, "end_turn"), DONE], ["finish_reason end_turn is none that is documented"]),
    (
        [ROLE, chunk({}, "tool_calls"), DONE],
        ["finish_reason is tool_calls, but there is no tool call"],
    ),
    ([ROLE, chunk({"content": ["a"]}), STOP, DONE], ["content is neither text nor null"]),
    ([ROLE, chunk({}, "stop", id="d"), DONE], ["chunks have different ids"]),
    ([ROLE, chunk({}, "stop", created=8), DONE], ["chunks have different times in created"]),
    (
        [ROLE, chunk({}, "stop", object="chat.completion"), DONE],
        ["a chunk has the object chat.completion, not chat.completion.chunk"],
    ),
    ([chunk({"role": "assistant"}, "stop", model=""), DONE], ["a chunk has no model"]),
    ([chunk({"role": "assistant"}, "stop", "0"), DONE], ["a choice has the index 0"]),
    ([ROLE, STOP, chunk(usage={}), DONE], [f"usage has no {name}" for name in USAGE]),
    (
        [ROLE, STOP, chunk(usage=USAGE), chunk(usage=USAGE), DONE],
        ["usage comes in more than one chunk"],
    ),
    (
        [ROLE, chunk(NAMED), chunk(call(0, "{")), chunk({}, "tool_calls"), DONE],
        ["the arguments of tool call 0 (get) do not add up to a JSON object"],
    ),
    (
        [ROLE, chunk(NAMED), chunk(call(0, "{}", id="call_2")), chunk({}, "tool_calls"), DONE],
        ["tool call 0 changes its id"],
    ),
    (
        [ROLE, chunk(call(0, "{}", id="x")), chunk({}, "tool_calls"), DONE],
        ["tool call 0 begins without a name"],
    ),
    (
        [ROLE, chunk(call(1, id="x", function={"name": "f", "arguments": "{}"})), STOP, DONE],
        ["a tool call has the index 1, but 0 comes next"],
    ),
    (
        [ROLE, chunk(call(0, function={"name": "f", "arguments": "{}"})), STOP, DONE],
        ["tool call 0 begins without an id"],
    ),
    ([ROLE, {"id": "c"}, STOP, DONE], ["chunks have different ids"]),
]
CHAT[-1] = (
    [ROLE, {"id": "c", "created": 7, "object": "chat.completion.chunk"}, STOP, DONE],
    ["a chunk lacks a member or has one of a wrong type"],
)


# OpenAI responses
def numbered(*events: Event) -> list[Event]:
    return [{**event, "sequence_number": n} for n, event in enumerate(events)]


def response(verb: str, **more: Any) -> Event:
    status = "in_progress" if verb in ("created", "in_progress") else verb
    body: Event = {"id": "resp_1", "status": status, "output": [], "usage": None, **more}
    return {"type": f"response.{verb}", "response": body}


COUNTS = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
AT = {"item_id": "msg_1", "output_index": 0}
PART = {**AT, "content_index": 0}
MSG = {"id": "msg_1", "type": "message"}
FUNC = {"id": "fc_1", "type": "function_call", "name": "get"}
CREATED = response("created")
ADDED = {"type": "response.output_item.added", "output_index": 0, "item": MSG}
BEGUN = {"type": "response.content_part.added", **PART, "part": {"type": "output_text"}}
SPOKE = {"type": "response.output_text.delta", **PART, "delta": "ab"}
TOLD = {"type": "response.output_text.done", **PART, "text": "ab"}
LEFT = {"type": "response.content_part.done", **PART, "part": {"type": "output_text"}}
GONE = {"type": "response.output_item.done", "output_index": 0, "item": MSG}
WHOLE = response("completed", output=[MSG], usage=COUNTS)
NONE = response("completed", usage=COUNTS)
GOOD = [CREATED, ADDED, BEGUN, SPOKE, TOLD, LEFT, GONE, WHOLE]
CALLED = {"type": "response.output_item.added", "output_index": 0, "item": FUNC}
ARGS = {"item_id": "fc_1", "output_index": 0}


def function(arguments: str, *pieces: str, status: str = "completed") -> list[Event]:
    kind = "response.function_call_arguments"
    return numbered(
        CREATED,
        CALLED,
        *({"type": f"{kind}.delta", **ARGS, "delta": piece} for piece in pieces),
        {"type": f"{kind}.done", **ARGS, "arguments": arguments},
        {"type": "response.output_item.done", "output_index": 0, "item": {**FUNC, "status": status}},
        response("completed", output=[FUNC], usage=COUNTS),
    )


def without(*left_out: Event) -> list[Event]:
    return numbered(*(event for event in GOOD if event not in left_out))


def instead(old: Event, new: Event) -> list[Event]:
    return numbered(*(new if event is old else event for event in GOOD))


RESPONSES: list[tuple[list[Any], list[str]]] = [
    (numbered(*GOOD), []),
    (function("{}", "{", "}"), []),
    (function("{", "{", status="incomplete"), []),
    (numbered(CREATED, {"type": "error", "message": "m"}, response("failed")), []),
    (numbered({"type": "error", "message": "m"}), []),
    (
        numbered(CREATED),
        ["the stream ended without response.completed, response.incomplete or response.failed"],
    ),
    (numbered(CREATED, NONE, NONE), ["response.completed after response.completed"]),
    (numbered(CREATED, CREATED, NONE), ["a second response.created"]),
    (
        numbered(response("in_progress"), NONE),
        ["response.in_progress before response.created"],
    ),
    (numbered(*GOOD[1:]), [f"{event['type']} before response.created" for event in GOOD[1:]]),
    ([*numbered(CREATED), {**NONE, "sequence_number": 5}], ["sequence_number 5 where 1 comes next"]),
    ([CREATED, NONE], ["events have no sequence_number"]),
    (instead(ADDED, {**ADDED, "output_index": 1}), ["INDEX"]),
    (without(BEGUN), ["PART"]),
    (
        instead(SPOKE, {**SPOKE, "item_id": "msg_2"}),
        ["response.output_text.delta names an item_id that output_index 0 does not have"],
    ),
    (
        instead(BEGUN, {**BEGUN, "content_index": 1}),
        ["response.content_part.added has the content_index 1, but 0 comes next", "PART"],
    ),
    (instead(BEGUN, {**BEGUN, "part": {"type": "refusal"}}), ["KIND"]),
    (
        instead(TOLD, {**TOLD, "text": "abc"}),
        ["response.output_text.done differs from what its deltas add up to"],
    ),
    (
        without(TOLD),
        [
            "response.content_part.done for content_index 0, whose text is not done",
            "response.output_item.done for output_index 0, which has a text that is not done",
        ],
    ),
    (
        numbered(*GOOD[:5], TOLD, *GOOD[5:]),
        ["a second response.output_text.done"],
    ),
    (
        numbered(*GOOD[:5], SPOKE, *GOOD[5:]),
        ["response.output_text.delta for a text that is done"],
    ),
    (without(GONE), ["response.completed while output_index 0 is open"]),
    (
        numbered(*GOOD[:-2], GONE, GONE, WHOLE),
        ["response.output_item.done for output_index 0, which is not open"],
    ),
    (
        instead(GONE, {**GONE, "item": {**MSG, "id": "x"}}),
        ["response.output_item.done has an item with another id than the one that was added"],
    ),
    (
        instead(GONE, {**GONE, "item": {**MSG, "type": "reasoning"}}),
        ["response.output_item.done has an item of the type reasoning, which began as message"],
    ),
    (instead(WHOLE, NONE), ["response.completed has 0 items of output, but 1 were added"]),
    (
        numbered(CREATED, response("completed", usage=COUNTS, status="in_progress")),
        ["response.completed has a response with the status in_progress"],
    ),
    (
        numbered(CREATED, response("completed", usage=COUNTS, id="resp_2")),
        ["response.completed has a response with another id than before"],
    ),
    (
        numbered(CREATED, response("completed")),
        [f"response.completed has no usage.{name}" for name in COUNTS],
    ),
    (function("{]", "{]"), ["the arguments of get are not a JSON object"]),
    (
        numbered(
            *(CREATED, ADDED, {"type": "response.function_call_arguments.delta", **AT, "delta": "{"}),
            *(GONE, WHOLE),
        ),
        ["response.function_call_arguments.delta in an item of the type message"],
    ),
    ([*numbered(*GOOD), b"[DONE]"], ["[DONE], which this dialect does not have"]),
    (
        [("ping", {**CREATED, "sequence_number": 0}), *numbered(*GOOD)[1:]],
        ["event ping has the type response.created"],
    ),
    (numbered(CREATED, {"type": "error"}), ["error without a message"]),
    (
        numbered(CREATED, {"type": "response.output_item.added"}, NONE),
        ["response.output_item.added lacks a member or has one of a wrong type"],
    ),
]
MORE = {
    "INDEX": [
        "response.output_item.added has the output_index 1, but 0 comes next",
        *(
            f"{event['type']} for output_index 0, which is not open"
            for event in (BEGUN, SPOKE, TOLD, LEFT, GONE)
        ),
        "response.completed while output_index 1 is open",
        "response.completed has 1 items of output, but 2 were added",
    ],
    "PART": [f"{event['type']} for content_index 0, which was not added" for event in (SPOKE, TOLD, LEFT)],
    "KIND": [f"{event['type']} in a part of the type refusal" for event in (SPOKE, TOLD)],
}


# Gemini
def said(*parts: Event, finish: str | None = None, **more: Any) -> Event:
    candidate: Event = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate | more], "usageMetadata": {"totalTokenCount": 3}, "responseId": "r"}


A = {"text": "a"}
GEMINI: list[tuple[list[Any], list[str]]] = [
    ([said(A), said(A, finish="STOP")], []),
    ([said({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s"}, finish="STOP")], []),
    ([said(A), {"usageMetadata": {}}, said(finish="MAX_TOKENS")], []),
    ([{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {}}], []),
    ([said(A), {"error": {"code": 500, "message": "m", "status": "INTERNAL"}}], []),
    ([said(A)], ["the stream ended without a finishReason for candidate 0"]),
    ([], ["the stream ended without a candidate", "the last chunk has no usageMetadata"]),
    ([said(A, finish="STOP"), said(A)], ["content for candidate 0 after its finishReason"]),
    ([said(A, finish="STOP"), said(finish="STOP")], ["candidate 0 has a second finishReason"]),
    ([said(A, finish="DONE")], ["finishReason DONE is none that is documented"]),
    ([said(A, finish="STOP") | {"usageMetadata": None}], ["the last chunk has no usageMetadata"]),
    (
        [said(A, finish="STOP") | {"usageMetadata": {"totalTokenCount": "3"}}],
        ["usageMetadata has a totalTokenCount that is no number"],
    ),
    ([said(A), said(A, finish="STOP") | {"responseId": "q"}], ["chunks have different responseIds"]),
    (
        [{"modelVersion": "m"}, said(A, finish="STOP")],
        ["a chunk has neither candidates nor promptFeedback nor usageMetadata"],
    ),
    (
        [said(A, finish="STOP", content={"parts": [A], "role": "assistant"})],
        ["content has the role assistant, not model"],
    ),
    ([said({"thought": True}, finish="STOP")], ["a part has no data"]),
    ([said({"text": 1}, finish="STOP")], ["a part has a text that is none"]),
    (
        [said({"text": "a", "inlineData": {}}, finish="STOP")],
        ["a part has more than one kind of data: inlineData, text"],
    ),
    ([said({"functionCall": {"args": {}}}, finish="STOP")], ["a functionCall has no name"]),
    (
        [said({"functionCall": {"name": "f", "args": "{}"}}, finish="STOP")],
        ["the args of functionCall f are not an object"],
    ),
    ([{"error": {"code": 500, "message": "m"}}, said(A)], ["a chunk after the error"]),
    ([{"error": "m"}], ["a chunk lacks a member or has one of a wrong type", "EMPTY"]),
    ([said(A, finish="STOP"), b"[DONE]"], ["[DONE], which this dialect does not have"]),
]
MORE["EMPTY"] = ["the stream ended without a candidate", "the last chunk has no usageMetadata"]


# Converse
def opened(index: int, **use: Any) -> tuple[str, Event]:
    start = {"toolUse": {"toolUseId": "t", "name": "get", **use}}
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def piece(index: int, **delta: Any) -> tuple[str, Event]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": delta or {"text": "a"}}


def closed(index: int) -> tuple[str, Event]:
    return "contentBlockStop", {"contentBlockIndex": index}


def reason(word: str = "end_turn") -> tuple[str, Event]:
    return "messageStop", {"stopReason": word}


HELLO = ("messageStart", {"role": "assistant"})
META = ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, "metrics": {}})
CONVERSE: list[tuple[list[Any], list[str]]] = [
    ([HELLO, piece(0), closed(0), reason(), META], []),
    ([HELLO, opened(0), piece(0, toolUse={"input": "{}"}), closed(0), reason("tool_use"), META], []),
    ([HELLO, opened(0), piece(0, toolUse={"input": "{"}), closed(0), reason("max_tokens"), META], []),
    ([HELLO, piece(0), ("modelStreamErrorException", {"message": "m"})], []),
    ([HELLO, piece(0), closed(0), reason()], ["the stream ended without metadata"]),
    ([HELLO], ["the stream ended without messageStop", "the stream ended without metadata"]),
    ([HELLO, reason(), META, META], ["metadata after metadata"]),
    ([HELLO, HELLO, reason(), META], ["a second messageStart"]),
    ([("messageStart", {}), reason(), META], ["messageStart has the role None, not assistant"]),
    ([piece(0), HELLO, closed(0), reason(), META], ["contentBlockDelta before messageStart"]),
    ([reason(), HELLO, META], ["messageStop before messageStart"]),
    (
        [HELLO, piece(0), piece(1), closed(1), reason(), META],
        ["contentBlockDelta for contentBlockIndex 1 while 0 is open"],
    ),
    (
        [HELLO, piece(0), closed(0), piece(0), closed(0), reason(), META],
        [
            "contentBlockDelta for contentBlockIndex 0, which was there before",
            "contentBlockStop for contentBlockIndex 0, which is not open",
        ],
    ),
    ([HELLO, piece(0), reason(), META], ["messageStop while contentBlockIndex 0 is open"]),
    ([HELLO, reason(), reason(), META], ["a second messageStop"]),
    ([HELLO, reason("stop"), META], ["stopReason stop is none that is documented"]),
    ([HELLO, reason("tool_use"), META], ["stopReason is tool_use, but there is no toolUse"]),
    (
        [HELLO, opened(0), piece(0, toolUse={"input": "{"}), closed(0), reason("tool_use"), META],
        ["the input of the toolUse get does not add up to a JSON object"],
    ),
    (
        [HELLO, opened(0), piece(0), closed(0), reason("tool_use"), META],
        ["text in a block that calls a tool"],
    ),
    (
        [HELLO, piece(0, toolUse={"input": "{}"}), closed(0), reason(), META],
        ["a delta of toolUse for contentBlockIndex 0, which has no start"],
    ),
    (
        [HELLO, opened(0, toolUseId=""), closed(0), reason("tool_use"), META],
        ["the toolUse of contentBlockIndex 0 has no toolUseId"],
    ),
    ([HELLO, META], ["metadata before messageStop"]),
    (
        [HELLO, reason(), ("metadata", {"usage": {}})],
        [f"metadata has no usage.{name}" for name in ("inputTokens", "outputTokens", "totalTokens")],
    ),
]


# Ollama
def line(done: bool = False, **message: Any) -> Event:
    head = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
    last = {"done_reason": "stop", "prompt_eval_count": 1, "eval_count": 2} if done else {}
    return {**head, "message": {"role": "assistant", "content": "", **message}, "done": done, **last}


def calling(**function: Any) -> Event:
    return line(tool_calls=[{"function": function}])


FULL = line(True)
OLLAMA: list[tuple[list[Any], list[str]]] = [
    ([line(content="a"), line(thinking="b"), FULL], []),
    ([calling(name="f", arguments={"a": 1}), FULL], []),
    (
        [{**line(), "message": None, "response": "a"}, FULL],
        ["a chunk lacks a member or has one of a wrong type"],
    ),
    ([{"model": "m", "created_at": "x", "response": "a", "done": False}, FULL], []),
    ([line(), {"error": "no room"}], []),
    ([line()], ["the stream ended without a line that says done"]),
    ([FULL, line()], ["a line after the last one"]),
    ([{"error": "no"}, FULL], ["a line after the error"]),
    ([{"error": {"message": "no"}}], ["an error without words"]),
    ([line() | {"model": "n"}, FULL], ["lines have different models"]),
    ([line() | {"model": ""}, FULL], ["a line has no model"]),
    ([line() | {"created_at": None}, FULL], ["a line has no created_at"]),
    ([line(role="user"), FULL], ["a message has the role user"]),
    ([line(content=None), FULL], ["content of a message is no text"]),
    ([line(thinking=1), FULL], ["thinking of a message is no text"]),
    ([calling(name="f", arguments="{}"), FULL], ["the arguments of f are no object"]),
    ([calling(arguments={}), FULL], ["a tool call has no name"]),
    ([line(tool_calls=[{}]), FULL], ["a chunk lacks a member or has one of a wrong type"]),
    ([FULL | {"done_reason": None}], ["the last line has no done_reason"]),
    ([FULL | {"eval_count": -1}], ["eval_count is -1"]),
    ([line() | {"done": "no"}, FULL], ["done is no"]),
]
TABLES = {
    "ollama": OLLAMA,
    "anthropic": ANTHROPIC,
    "openai_chat": CHAT,
    "openai_responses": RESPONSES,
    "gemini": GEMINI,
    "bedrock_converse": CONVERSE,
}
CASES = [
    pytest.param(dialect, events, expected, id=f"{dialect}-{n}-{expected[0] if expected else 'good'}")
    for dialect, table in TABLES.items()
    for n, (events, expected) in enumerate(table)
]


@pytest.mark.parametrize(("dialect", "events", "expected"), CASES)
def test_sentences(dialect: str, events: list[Any], expected: list[str]) -> None:
    wanted = [line for said in expected for line in MORE.get(said, [said])]
    assert sentences(dialect, frames(dialect, events)) == wanted


def test_usage_that_was_asked_for() -> None:
    stream = frames("openai_chat", [ROLE, STOP, DONE])
    assert sentences("openai_chat", stream, asks_usage=True) == ["usage was asked for, but none came"]


def test_where_it_was_seen() -> None:
    stream = frames("anthropic", [start(), *SAID, delta(1), end()])
    assert violations("anthropic", stream) == [
        (5, "content_block_delta for index 1, which is not open"),
        (0, "the stream ended without message_stop"),
    ]


def test_every_sentence_is_said_once_and_not_too_many_are() -> None:
    stream = frames("anthropic", [start(), *[delta(1)] * 9, *(delta(n) for n in range(99))])
    assert len(sentences("anthropic", stream)) == 20


def test_what_is_too_large_is_not_judged() -> None:
    large = frames("anthropic", [start(), block(0), delta(0, text="x" * 1_000_001)])
    assert sentences("anthropic", [*large, *frames("anthropic", [stop(7)])]) == []
    many = [delta(0, "input_json_delta", partial_json="x" * 99_999)] * 12
    tool = frames("anthropic", [start(), block(0, "tool_use", **TOOL), *many, stop(0), OVER, OVER])
    assert sentences("anthropic", tool) == []


def test_dialects_without_a_grammar() -> None:
    assert grammar.get("cohere") is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("dialect", sorted(TABLES))
@given(data=st.data())
@settings(max_examples=70, deadline=None)
def test_total(dialect: str, data: st.DataObject) -> None:
    """Any stream of the tables with members replaced by anything, and bytes that are nothing."""
    stream = frames(dialect, data.draw(st.sampled_from([events for events, _ in TABLES[dialect]])))
    machine = grammar.get(dialect)
    assert machine is not None
    for event, payload in stream:
        machine.feed(*data.draw(st.sampled_from([(event, payload), (event, spoilt(data, payload))])))
    machine.feed(data.draw(st.text(max_size=3)), data.draw(st.binary(max_size=9)))
    assert all(isinstance(said, str) for said in machine.close())


def spoilt(data: st.DataObject, payload: bytes) -> bytes:
    if payload == DONE or payload in (b"{", b"[]"):
        return payload
    document = json.loads(payload)
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return json.dumps(document).encode()
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(VALUES)
            return json.dumps(document).encode()
        place = place[key]
