"""Whatever events come, what our encoders write obeys the grammar of its dialect."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_intercept.wire import codecs, grammar
from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.fold import unfold
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failed,
    Failure,
    Finish,
    Finished,
    Media,
    Opaque,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    RefusalText,
    Request,
    Started,
    Text,
    Thinking,
    Tool,
    ToolCall,
)
from llm_intercept.wire.usage import Usage
from tests.wire.grammar.checked import violations

DIALECTS = sorted(grammar.names())
WORDS = st.text('aé"\\ \n{}😀', max_size=5)
ARGUMENTS = st.sampled_from(['{"a":1}', '{"ab":"é\\n","c":[1,{}]}', "{}", ""])
COUNTS = st.none() | st.integers(0, 99)
USAGES = st.builds(Usage, input=COUNTS, output=COUNTS, cache_read=COUNTS, reasoning=COUNTS)
FINISHES = st.sampled_from(Finish.__value__.__args__)
ORIGINS = st.sampled_from(["", *DIALECTS])
STARTS = st.builds(
    Started, id=st.sampled_from(["", "x1"]), model=st.sampled_from(["", "m"]), usage=st.none() | USAGES
)
ENDS = st.builds(Finished, FINISHES, USAGES, st.sampled_from(["", "END"])) | st.builds(
    Failed, st.builds(Failure, st.sampled_from(["upstream", "rate_limit", "overflow"]), WORDS, st.just(502))
)
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, WORDS),
    st.builds(RefusalText, WORDS),
    st.builds(Thinking, WORDS, WORDS, ORIGINS, summary=st.booleans()),
    st.builds(Thinking, st.just(""), WORDS, ORIGINS, redacted=st.just(True)),
    st.builds(ToolCall, st.sampled_from(["", "call_1", "c" * 80]), st.sampled_from(["f", "g"]), ARGUMENTS),
    st.builds(ToolCall, st.just("c2"), st.just("f"), WORDS, custom=st.just(True)),
    st.builds(Opaque, st.sampled_from(DIALECTS), st.just({"type": "odd", "id": "o1"}), WORDS),
    st.builds(Media, st.just("image"), st.just("image/png"), st.just("AAAA")),
)


def consistent(answer: Answer) -> Answer:
    """An answer that ends in calls has some, one that ends at a stop sequence names it."""
    called = any(isinstance(part, ToolCall) for part in answer.parts)
    if answer.finish == "tool_calls" and not called:
        return replace(answer, finish="stop")
    return replace(answer, stop_sequence="END" if answer.finish == "stop_sequence" else "")


ANSWERS = st.builds(
    Answer,
    st.sampled_from(["", "x1"]),
    st.just("m"),
    st.lists(PARTS, max_size=5).map(tuple),
    FINISHES,
    USAGES,
    st.just(7),
).map(consistent)


@st.composite
def interleaved(draw: st.DrawFn) -> list[Event]:
    """A stream whose parts are open together, each in pieces and in order."""
    whole = list(unfold(draw(ANSWERS)))
    lanes = [
        [piece for event in whole if getattr(event, "index", None) == index for piece in cut(draw, event)]
        for index in range(sum(isinstance(event, PartStarted) for event in whole))
    ]
    events: list[Event] = [whole[0]]
    while any(lanes):
        lane = draw(st.sampled_from([lane for lane in lanes if lane]))
        events.append(lane.pop(0))
    return renumbered([*events, whole[-1]])


def cut(draw: st.DrawFn, event: Event) -> Iterator[Event]:
    if not isinstance(event, PartDelta) or len(event.text) < 2:
        yield event
        return
    at = draw(st.integers(1, len(event.text) - 1))
    yield replace(event, text=event.text[:at], signature="", origin="")
    yield replace(event, text=event.text[at:])


def renumbered(events: list[Event]) -> list[Event]:
    """Indexes in the order in which parts begin, as the contract of streams has it."""
    order = [event.index for event in events if isinstance(event, PartStarted)]
    return [
        replace(event, index=order.index(event.index))
        if isinstance(event, PartStarted | PartDelta | PartEnded)
        else event
        for event in events
    ]


# `Started` comes first or not at all; parts begin, go on and end as they like, and so does the end.
MIDDLE = st.lists(
    st.one_of(
        st.builds(PartStarted, st.integers(0, 3), PARTS),
        st.builds(PartDelta, st.integers(0, 4), WORDS, signature=WORDS, origin=ORIGINS),
        st.builds(PartEnded, st.integers(0, 4)),
        ENDS,
    ),
    max_size=14,
)
CHAOS = st.builds(lambda first, rest: [*first, *rest], st.lists(STARTS, max_size=1), MIDDLE)
CONTEXTS = st.builds(
    lambda usage, estimate, tools: Context(
        now=7.0,
        include_usage=usage,
        input_estimate=estimate,
        requested_model="m",
        request=Request("m", (), tools=tools),
    ),
    st.booleans(),
    st.none() | st.integers(0, 9),
    st.sampled_from([(), (Tool("f"), Tool("g")), (Tool("f", schema=None),)]),
)


def written(dialect: str, events: list[Event], context: Context) -> list[Frame]:
    encoder = codecs.get(dialect).encoder(context)
    frames = [frame for event in events for frame in encoder.feed(event)]
    return [*frames, *encoder.close()]


def asked(context: Context, events: list[Event]) -> bool:
    """Whether a usage chunk has to come: asked for, and there is something to tell."""
    told = next((event for event in events if isinstance(event, Finished | Failed)), None)
    return context.include_usage and isinstance(told, Finished) and told.usage.known


@pytest.mark.parametrize("dialect", DIALECTS)
@given(events=interleaved(), context=CONTEXTS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_streams_in_any_interleaving(dialect: str, events: list[Event], context: Context) -> None:
    assert violations(dialect, written(dialect, events, context), asks_usage=asked(context, events)) == []


@pytest.mark.parametrize("dialect", DIALECTS)
@given(answer=ANSWERS, context=CONTEXTS)
@settings(max_examples=60, deadline=None)
def test_unfolded_answers(dialect: str, answer: Answer, context: Context) -> None:
    events = list(unfold(answer))
    assert violations(dialect, written(dialect, events, context), asks_usage=asked(context, events)) == []


THEIRS = ("a JSON object", "but there is no tool", "no stop_sequence is given")


@pytest.mark.parametrize("dialect", DIALECTS)
@given(events=CHAOS, context=CONTEXTS)
@settings(max_examples=120, deadline=None)
def test_events_in_any_order(dialect: str, events: list[Event], context: Context) -> None:
    """All but what the events themselves are wrong about: arguments that are no JSON, ends without cause."""
    found = violations(dialect, written(dialect, events, context))
    assert [said for _, said in found if not any(theirs in said for theirs in THEIRS)] == []
