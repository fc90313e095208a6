"""Streams for clients of Anthropic's dialect: nothing but the documented grammar, whatever comes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs import anthropic
from llm_intercept.wire.ir import (
    Event,
    Failed,
    Failure,
    Finished,
    Opaque,
    PartDelta,
    PartEnded,
    PartStarted,
    RefusalText,
    Started,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.usage import Usage
from tests.wire.codecs.anthropic_sdk import accumulated, encoded, payloads

CALLS = (ToolCall("a", "f", ""), ToolCall("b", "g", ""))
SIDE_BY_SIDE: list[Event] = [
    Started("x", "m"),
    PartStarted(0, CALLS[0]),
    PartStarted(1, CALLS[1]),
    PartDelta(0, '{"n":'),
    PartDelta(1, '{"m":'),
    PartDelta(0, "1}"),
    PartDelta(1, "2}"),
    PartEnded(1),
    PartEnded(0),
    Finished("tool_calls", Usage(input=5, output=6)),
]


def test_parts_side_by_side_never_interleave_and_the_first_one_is_live() -> None:
    encoder = anthropic.encoder(Context())
    first = [f for event in SIDE_BY_SIDE[:5] for f in encoder.feed(event)]
    assert [name for name, _ in first] == ["message_start", "content_block_start", "content_block_delta"]
    message = accumulated(encoded(SIDE_BY_SIDE))
    assert [(b.name, b.input) for b in message.content if b.type == "tool_use"] == [
        ("f", {"n": 1}),
        ("g", {"m": 2}),
    ]
    assert message.stop_reason == "tool_use"


def test_usage_at_the_start_is_an_estimate_and_exact_at_the_end() -> None:
    events: list[Event] = [Started("x", "m"), Finished("stop", Usage(input=50, cache_read=20, output=6))]
    first, *_, last, _ = payloads(encoded(events, Context(input_estimate=47, requested_model="claude")))
    assert first["message"]["usage"]["input_tokens"] == 47
    assert first["message"]["usage"]["output_tokens"] == 1
    assert first["message"]["model"] == "claude"
    assert last["usage"]["input_tokens"] == 30
    assert last["usage"]["cache_read_input_tokens"] == 20
    assert last["usage"]["output_tokens"] == 6


def texts(events: list[Event]) -> list[str]:
    message = accumulated(encoded([*events, Finished("stop", Usage())]))
    return [getattr(block, "text", getattr(block, "thinking", block.type)) for block in message.content]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        ([PartStarted(0, Text("")), PartEnded(0)], []),
        ([PartStarted(0, Text("")), PartDelta(0, "a")], ["a"]),
        ([PartDelta(7, "a")], ["a"]),
        ([PartStarted(0, Text("")), PartDelta(0, "a"), PartEnded(0), PartDelta(0, "b")], ["a", "b"]),
        (
            [PartStarted(0, Text("")), PartDelta(0, "a"), PartStarted(0, Thinking()), PartDelta(0, "b")],
            ["a", "b"],
        ),
        ([PartStarted(0, Text("early")), PartEnded(0), PartEnded(0)], ["early"]),
        ([PartStarted(0, ToolCall("a", "f", "")), PartEnded(0), PartDelta(0, "{}")], ["tool_use"]),
        ([PartStarted(0, RefusalText("")), PartDelta(0, "no")], ["no"]),
        ([PartStarted(0, Thinking()), PartEnded(0)], []),
        (
            [PartStarted(0, Opaque("gemini", {}, "42")), PartStarted(1, Text("")), PartDelta(1, "b")],
            ["42", "b"],
        ),
        ([Started("", ""), Started("", ""), PartEnded(3)], []),
    ],
)
def test_whatever_comes_the_grammar_holds(events: list[Event], expected: list[str]) -> None:
    assert texts(events) == expected


def test_signatures_go_out_whole_and_tagged() -> None:
    events: list[Event] = [
        PartStarted(0, Thinking()),
        PartDelta(0, "hm"),
        PartDelta(0, signature="ab", origin="gemini"),
        PartDelta(0, signature="cd", origin="gemini"),
        PartEnded(0),
        PartStarted(1, Thinking("", "e", "openai_responses", redacted=True)),
        PartEnded(1),
        PartStarted(2, ToolCall("a", "f", "")),
        PartDelta(2, "{}", "s", "gemini"),
        PartEnded(2),
        Finished("stop", Usage()),
    ]
    message = accumulated(encoded(events))
    kept = [getattr(block, "signature", getattr(block, "data", block.type)) for block in message.content]
    assert kept == ["lli1.gemini.abcd", "lli1.openai_responses.e", "lli1call.gemini.s", "tool_use"]
    assert message.stop_reason == "tool_use"
    back = anthropic.decode_answer(json.loads(message.to_json()))
    assert back.parts[0] == Thinking("hm", "abcd", "gemini")
    assert back.parts[2] == ToolCall("a", "f", "{}", signature="s", origin="gemini")


@pytest.mark.parametrize("before", range(len(SIDE_BY_SIDE)))
@pytest.mark.parametrize("how", ["failed", "closed"])
def test_a_failure_is_the_last_event(before: int, how: str) -> None:
    encoder = anthropic.encoder(Context())
    frames = [f for event in SIDE_BY_SIDE[:before] for f in encoder.feed(event)]
    failed = Failed(Failure("unavailable", "busy", 529))
    frames += list(encoder.feed(failed) if how == "failed" else encoder.close())
    assert frames[-1][0] == "error"
    shape = json.loads(frames[-1][1])
    assert shape["type"] == "error"
    assert shape["error"]["type"] == ("overloaded_error" if how == "failed" else "api_error")
    after: list[Callable[[], Any]] = [lambda: encoder.feed(SIDE_BY_SIDE[-1]), encoder.close]
    assert [list(call()) for call in after] == [[], []]


def test_nothing_follows_the_end() -> None:
    frames = encoded([*SIDE_BY_SIDE, SIDE_BY_SIDE[-1], PartDelta(0, "late"), Failed(Failure("x", "y", 500))])
    assert frames[-1][0] == "message_stop"


def test_free_text_of_a_custom_tool_is_put_into_an_object() -> None:
    events: list[Event] = [PartStarted(0, ToolCall("a", "sql", "", custom=True)), PartDelta(0, 'say "x"')]
    message = accumulated(encoded([*events, Finished("tool_calls", Usage())]))
    assert [b.input for b in message.content if b.type == "tool_use"] == [{"input": 'say "x"'}]


def test_citations_of_other_dialects_are_left_out() -> None:
    own: list[Event] = [PartStarted(0, Text("", extras={"anthropic": {}})), PartDelta(0, "a", citation=CITED)]
    message = accumulated(encoded([*own, Finished("stop", Usage())]))
    assert message.content[0].to_dict()["citations"] == [CITED]
    context = Context()
    foreign: list[Event] = [
        PartStarted(0, Text("", extras={"openai_chat": {}})),
        PartDelta(0, "a", citation={}),
    ]
    message = accumulated(encoded([*foreign, Finished("stop", Usage())], context))
    assert "citations" not in message.content[0].to_dict()
    assert len(context.warnings) == 1


CITED = {
    "type": "char_location",
    "cited_text": "c",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 1,
    "file_id": None,
}
