"""Streams to answers and back: what is folded, what is unfolded, and streams that do not end."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failed,
    Failure,
    Finished,
    Media,
    Opaque,
    Part,
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

END = Finished("stop", Usage(input=3, output=2))


def parts(*events: Event) -> tuple[Part, ...]:
    found = fold([Started("id", "model"), *events, END])
    assert isinstance(found, Answer)
    return found.parts


FOLDED: list[tuple[list[Event], tuple[Part, ...]]] = [
    ([PartStarted(0, Text("")), PartDelta(0, "a"), PartDelta(0, "b"), PartEnded(0)], (Text("ab"),)),
    ([PartStarted(0, ToolCall("i", "f", "")), PartEnded(0)], (ToolCall("i", "f", "{}"),)),
    (
        [PartStarted(0, ToolCall("i", "f", "", custom=True)), PartEnded(0)],
        (ToolCall("i", "f", "", custom=True),),
    ),
    ([PartDelta(7, "of no part"), PartStarted(0, Text("x"))], (Text("x"),)),
    ([PartStarted(1, Text("b")), PartStarted(0, Text("a"))], (Text("a"), Text("b"))),
    (
        [
            PartStarted(0, ToolCall("a", "f", "")),
            PartStarted(1, ToolCall("b", "g", "")),
            PartDelta(1, '{"y"'),
            PartDelta(0, '{"x":'),
            PartDelta(1, ":2}"),
            PartDelta(0, "1}"),
        ],
        (ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", '{"y":2}')),
    ),
    (
        [PartStarted(0, Thinking()), PartDelta(0, "so"), PartDelta(0, signature="s1", origin="anthropic")],
        (Thinking("so", "s1", "anthropic"),),
    ),
    ([PartStarted(0, Text("")), PartDelta(0, "a", citation={"c": 1})], (Text("a", ({"c": 1},)),)),
    ([PartStarted(0, RefusalText("")), PartDelta(0, "no")], (RefusalText("no"),)),
    ([PartStarted(0, Opaque("d", {"t": 1})), PartDelta(0, "lost")], (Opaque("d", {"t": 1}),)),
]


@pytest.mark.parametrize(("events", "expected"), FOLDED)
def test_folded(events: list[Event], expected: tuple[Part, ...]) -> None:
    assert parts(*events) == expected


def test_usage_is_the_last_that_was_said_of_each_counter() -> None:
    begun = Started("i", "m", usage=Usage(input=10, cache_read=4, output=1))
    found = fold([begun, Finished("stop", Usage(output=7))])
    assert isinstance(found, Answer)
    assert found.usage == Usage(input=10, cache_read=4, output=7)


def test_extras_of_the_beginning_and_of_the_end_are_those_of_the_answer() -> None:
    early = {"gemini": {"a": 1, "b": 1}}
    found = fold([Started("i", "m", extras=early), Finished("stop", Usage(), extras={"gemini": {"b": 2}})])
    assert isinstance(found, Answer)
    assert found.extras == {"gemini": {"a": 1, "b": 2}}


def test_a_failure_and_no_end_are_failures() -> None:
    failure = Failure("rate_limit", "slow down", 429)
    assert fold([Started("i", "m"), PartStarted(0, Text("a")), Failed(failure)]) == failure
    cut = fold([Started("i", "m"), PartStarted(0, Text("a"))])
    assert isinstance(cut, Failure)
    assert cut.kind == "upstream"
    assert isinstance(fold([]), Failure)


TEXTS = st.text(min_size=1, max_size=20)
JSON = st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=3)
PARTS: st.SearchStrategy[Any] = st.one_of(
    st.builds(Text, TEXTS, st.lists(JSON, max_size=2).map(tuple)),
    st.builds(RefusalText, TEXTS),
    st.builds(Thinking, st.text(max_size=9), signature=st.text(max_size=9), origin=st.just("gemini")),
    st.builds(Thinking, signature=TEXTS, origin=st.just("anthropic"), redacted=st.just(True)),
    st.builds(ToolCall, TEXTS, TEXTS, JSON.map(json.dumps), origin=st.sampled_from(["", "gemini"])),
    st.just(Media("image", "image/png", "QUJD")),
    st.builds(Opaque, st.just("anthropic"), JSON),
)


@given(st.lists(PARTS, max_size=6), st.sampled_from(["stop", "length", "tool_calls"]))
def test_an_unfolded_answer_is_folded_to_itself(given_parts: list[Part], finish: Any) -> None:
    spoken = any(isinstance(part, Text) for part in given_parts)
    answer = Answer(
        "id", "model", tuple(given_parts), finish, Usage(input=1), 5, "stop!",
        ({"token": "a", "logprob": -1.0},) if spoken else (), {"gemini": {"x": 1}},
    )  # fmt: skip
    assert fold(unfold(answer)) == answer
