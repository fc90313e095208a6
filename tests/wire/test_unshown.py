"""A client that does not want to see thinking does not see it, whatever the target sends."""

import json
from typing import Any

import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.ir import Answer, Event, PartDelta, PartEnded, PartStarted, Text, Thinking, ToolCall
from llm_intercept.wire.translation import Side, Translation
from llm_intercept.wire.unshown import Unshown
from llm_intercept.wire.usage import Usage

CALL = ToolCall("call_1", "f", "{}")
CASES: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = [
    ((Thinking("Hm."), Text("a")), (Text("a"),)),
    ((Text("a"), Thinking("Hm."), CALL), (Text("a"), CALL)),
    ((Thinking("Hm.", "s", "anthropic"), Text("a")), (Thinking("", "s", "anthropic"), Text("a"))),
    ((Thinking("", "s", "anthropic", redacted=True),), (Thinking("", "s", "anthropic", redacted=True),)),
    ((Thinking("Hm."), Thinking("So.")), ()),
]


@pytest.mark.parametrize(("given", "left"), CASES)
def test_parts(given: tuple[Any, ...], left: tuple[Any, ...]) -> None:
    shown = fold(Unshown().over(unfold(Answer("1", "m", given, "stop", Usage(1, 1)))))
    assert isinstance(shown, Answer)
    assert shown.parts == left


def test_words_after_the_signature_and_parts_open_at_once() -> None:
    events: list[Event] = [
        PartStarted(0, Thinking()),
        PartStarted(1, Text("")),
        PartDelta(1, "a"),
        PartDelta(0, "Hm."),
        PartDelta(0, "", "s", "gemini"),
        PartDelta(0, "So."),
        PartEnded(1),
        PartEnded(0),
    ]
    assert list(Unshown().over(events)) == [
        PartStarted(0, Text("")),
        PartDelta(0, "a"),
        PartStarted(1, Thinking()),
        PartDelta(1, "", "s", "gemini"),
        PartEnded(0),
        PartEnded(1),
    ]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("exclude", "seen"), [(True, False), (False, True)])
def test_through_a_translation(stream: bool, exclude: bool, seen: bool) -> None:
    one = Translation(Side("openai_chat"), Side("ollama"), Context(now=1.0), stream=stream)
    body = {"messages": [{"role": "user", "content": "hi"}], "reasoning": {"exclude": exclude}}
    one.encode(one.read(json.dumps(body).encode(), "m", stream))
    answer = {"model": "m", "message": {"content": "42", "thinking": "Let me see."}, "done": True}
    given = one.answer(json.dumps(answer).encode(), "application/json")
    assert b"42" in given
    assert (b"Let me see." in given) is seen
