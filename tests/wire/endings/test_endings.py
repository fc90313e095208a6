"""Streams that end early: wherever they are stopped, the grammar of their dialect finds nothing wrong."""

import base64
from collections.abc import Iterator

import orjson
import pytest

from llm_intercept.wire import codecs, endings, grammar
from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.framing.write import FrameWriter
from llm_intercept.wire.ir import (
    Event,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.usage import Usage

USAGE = Usage(input=14, output=9, cache_read=4)
TYPES = {
    "anthropic": "text/event-stream",
    "openai_chat": "text/event-stream",
    "openai_responses": "text/event-stream; charset=utf-8",
    "gemini": "text/event-stream",
    "bedrock_converse": "application/vnd.amazon.eventstream",
    "ollama": "application/x-ndjson",
}


def part(index: int, kind: Text | Thinking | ToolCall, *pieces: str) -> Iterator[Event]:
    yield PartStarted(index, kind)
    for piece in pieces:
        yield PartDelta(index, piece)
    yield PartEnded(index)


def story() -> Iterator[Event]:
    yield Started("id-1", "model-1", 1, Usage(input=14, output=0))
    yield from part(0, Thinking(), "It is", " about a lighthouse.")
    yield from part(1, Text(""), "Once", " upon", " a time")
    yield from part(2, ToolCall("call_1", "look", ""), '{"where":', '"sea"}')
    yield from part(3, ToolCall("call_2", "look", ""), '{"where":', '"land"}')
    yield Finished("tool_calls", Usage(input=14, output=20))


def frames_of(dialect: str) -> list[Frame]:
    encoder = codecs.get(dialect).encoder(Context(now=1.0, include_usage=True, requested_model="model-1"))
    found = [frame for event in story() for frame in encoder.feed(event)]
    return [*found, *encoder.close()]


def read(framing: str, content_type: str, data: bytes) -> list[Frame]:
    reader = choose(content_type, data)
    assert reader is not None
    return [*reader.feed(data), *reader.close()]


def is_over(dialect: str, data: bytes) -> bool:
    return any(mark in data for mark in OVER[dialect])


OVER = {
    "anthropic": (b'"stop_reason":"tool_use"', b"message_stop"),
    "openai_chat": (b'"finish_reason":"tool_calls"', b'"choices":[]', b"[DONE]"),
    "openai_responses": (b"response.completed",),
    "gemini": (b"finishReason",),
    "bedrock_converse": (b"stopReason", b"usage"),
    "ollama": (b'"done":true',),
}


@pytest.mark.parametrize("dialect", TYPES)
def test_wherever_it_stops(dialect: str) -> None:
    """Every prefix of a stream that has begun and is not over."""
    judged = 0
    frames = frames_of(dialect)
    for length in range(1, len(frames) + 1):
        seen = frames[:length]
        if any(is_over(dialect, data) for _, data in seen):
            break
        written = ended(dialect, seen)
        if written is None:
            continue
        rules = grammar.get(dialect, asks_usage=True)
        assert rules is not None
        sentences = [s for event, data in [*seen, *written] for s in rules.feed(event, data)]
        assert [*sentences, *rules.close()] == []
        judged += 1
    assert judged > 6


def ended(dialect: str, seen: list[Frame]) -> list[Frame] | None:
    finish = endings.finish(dialect, TYPES[dialect], asks_usage=True)
    assert finish is not None
    for event, data in seen:
        finish.see(event, orjson.loads(data))
    data = finish.written(USAGE)
    return None if data is None else read(dialect, TYPES[dialect], data)


SAYS = {
    "anthropic": (b'"stop_reason":"max_tokens"', b'"output_tokens":9', b'{"type":"message_stop"}'),
    "openai_chat": (b'"finish_reason":"length"', b'"completion_tokens":9', b"[DONE]"),
    "openai_responses": (b'"reason":"max_output_tokens"', b'"output_tokens":9', b'"status":"incomplete"'),
    "gemini": (b'"finishReason":"MAX_TOKENS"', b'"candidatesTokenCount":9'),
    "bedrock_converse": (b'{"stopReason":"max_tokens"}', b'"outputTokens":9'),
    "ollama": (b'"done_reason":"length"', b'"eval_count":9'),
}


@pytest.mark.parametrize("dialect", TYPES)
def test_what_it_says(dialect: str) -> None:
    frames = frames_of(dialect)
    half = next(n for n, (_, data) in enumerate(frames, 1) if b"upon" in data)
    written = ended(dialect, frames[:half])
    assert written is not None
    together = b"\n".join(data for _, data in written)
    for said in SAYS[dialect]:
        assert said in together


def test_a_response_repeats_what_was_said() -> None:
    frames = frames_of("openai_responses")
    half = next(n for n, (_, data) in enumerate(frames, 1) if b"upon" in data)
    written = ended("openai_responses", frames[:half])
    assert written is not None
    output = orjson.loads(written[-1][1])["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "message"]
    assert output[0]["summary"][0]["text"] == "It is about a lighthouse."
    assert output[1]["content"][0]["text"] == "Once upon"
    assert output[1]["status"] == "incomplete"


def test_the_chat_client_that_did_not_ask_is_told_no_usage() -> None:
    finish = endings.finish("openai_chat", "text/event-stream")
    assert finish is not None
    finish.see("", {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Once"}}]})
    data = finish.written(USAGE)
    assert data is not None
    assert b"usage" not in data
    assert data.endswith(b"data: [DONE]\n\n")


def test_completions_hold_a_text() -> None:
    finish = endings.finish("openai_completions", "text/event-stream")
    assert finish is not None
    finish.see("", {"id": "1", "choices": [{"index": 0, "text": "Once", "finish_reason": None}]})
    [(_, data), done] = read("", "text/event-stream", finish.written(USAGE) or b"")
    choice = {"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}
    assert orjson.loads(data) == {"id": "1", "choices": [choice]}
    assert done == ("", b"[DONE]")


def test_choices_that_have_finished_stay_so() -> None:
    finish = endings.finish("openai_chat", "text/event-stream")
    assert finish is not None
    for index, reason in ((0, None), (1, None), (0, "stop")):
        finish.see("", {"choices": [{"index": index, "delta": {}, "finish_reason": reason}]})
    [(_, data), _] = read("", "text/event-stream", finish.written(USAGE) or b"")
    assert [choice["index"] for choice in orjson.loads(data)["choices"]] == [1]


def test_a_gemini_array_is_closed() -> None:
    first = {"candidates": [{"content": {"parts": [{"text": "Once"}], "role": "model"}, "index": 0}]}
    finish = endings.finish("gemini", "application/json; charset=UTF-8")
    assert finish is not None
    finish.see("", first)
    data = finish.written(USAGE)
    assert data is not None
    said = orjson.loads(b"[" + orjson.dumps(first) + data)
    assert said[1]["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_bedrock_invoke_has_anthropics_events_in_its_chunks() -> None:
    finish = endings.finish("bedrock_invoke", "application/vnd.amazon.eventstream")
    assert finish is not None
    rules = grammar.get("anthropic", asks_usage=False)
    assert rules is not None
    frames = [frame for frame in frames_of("anthropic") if b"upon" not in frame[1]][:8]
    found = []
    for event, data in frames:
        finish.see("chunk", {"bytes": base64.b64encode(data).decode()})
        found += rules.feed(event, data)
    for _, data in read("", "application/vnd.amazon.eventstream", finish.written(USAGE) or b""):
        inside = base64.b64decode(orjson.loads(data)["bytes"])
        found += rules.feed(orjson.loads(inside)["type"], inside)
    assert [*found, *rules.close()] == []


def test_cohere() -> None:
    finish = endings.finish("cohere", "text/event-stream")
    assert finish is not None
    finish.see("message-start", {"type": "message-start", "id": "1"})
    finish.see("content-start", {"type": "content-start", "index": 0})
    data = finish.written(USAGE)
    assert data is not None
    [(_, first), (_, last)] = read("", "text/event-stream", data)
    assert orjson.loads(first) == {"type": "content-end", "index": 0}
    assert orjson.loads(last)["delta"]["finish_reason"] == "MAX_TOKENS"


@pytest.mark.parametrize(
    ("dialect", "content_type"),
    [("observe", "text/event-stream"), ("openai_chat", "application/json"), ("anthropic", "audio/mpeg")],
)
def test_what_has_no_end(dialect: str, content_type: str) -> None:
    assert endings.finish(dialect, content_type) is None


@pytest.mark.parametrize("dialect", TYPES)
def test_nothing_is_known_of_a_stream_that_has_not_begun(dialect: str) -> None:
    finish = endings.finish(dialect, TYPES[dialect])
    assert finish is not None
    assert finish.written(USAGE) is None


def test_framings_are_those_of_the_writer() -> None:
    """A frame that is written is read back as it was."""
    for dialect, content_type in TYPES.items():
        framing = codecs.get(dialect).FRAMING
        written = FrameWriter(framing).write([("messageStop", b'{"a":1}')])
        assert read(framing, content_type, written)[0][1] == b'{"a":1}'
