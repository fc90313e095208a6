"""Streams that fail on purpose: the events of every framing, cuts and garbling, whatever the chunks."""

import json

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.sabotage import LIMIT, Sabotage, Splitter, Stream, StreamPlan, garbled
from tests.live import wire

SSE = "text/event-stream"
AWS = "application/vnd.amazon.eventstream"
LINES = "application/x-ndjson"
JSON = "application/json"

COMMENT = b": keep-alive\n\n"
CRLF = [b"data: " + chunk + b"\r\n\r\n" for chunk in wire.gemini_chunks()]
NASTY = [b'[{"a":"}{\\"\\\\"}', b',\n{"b":[{"c":{}}]}', b',{"d":"\\\\"}']
STREAMS = [
    pytest.param(SSE, wire.chat_stream(), id="openai"),
    pytest.param(SSE, wire.message_stream(), id="anthropic"),
    pytest.param(SSE, CRLF, id="crlf"),
    pytest.param(AWS, wire.converse_stream(), id="aws"),
    pytest.param(LINES, [b'{"a":1}\n', b'{"b":2}\n', b'{"c":3}\n'], id="lines"),
    pytest.param(JSON, wire.gemini_array()[:-1], id="array"),
    pytest.param(JSON, NASTY, id="brackets in strings"),
]


def cut_up(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 100_000])
@pytest.mark.parametrize(("content_type", "events"), STREAMS)
def test_events_come_whole(content_type: str, events: list[bytes], size: int) -> None:
    splitter = Splitter(content_type, whole_events=True)
    pieces = [piece for chunk in cut_up(b"".join(events), size) for piece in splitter.feed(chunk)]
    pieces += splitter.close()
    assert b"".join(pieces) == b"".join(events)
    if content_type == JSON:
        # The commas between elements may come with either.
        pieces, events = ([bare(p) for p in listed] for listed in (pieces, events))
    assert pieces == events


def bare(element: bytes) -> bytes:
    return element.strip(b"[], \r\n")


def test_the_end_of_an_array_is_a_piece_of_its_own() -> None:
    splitter = Splitter(JSON, whole_events=True)
    assert splitter.feed(b'[{"a":1}\n]\n') == [b'[{"a":1}']
    assert splitter.close() == [b"\n]\n"]


@pytest.mark.parametrize("content_type", ["audio/mpeg", "text/html", JSON])
def test_what_has_no_events_goes_on_as_it_comes(content_type: str) -> None:
    splitter = Splitter(content_type, whole_events=True)
    assert [splitter.feed(chunk) for chunk in (b"{ab", b"cd")] == [[b"{ab"], [b"cd"]]


def test_bytes_need_no_events() -> None:
    splitter = Splitter(SSE, whole_events=False)
    assert [splitter.feed(chunk) for chunk in (b"data", b": x")] == [[b"data"], [b": x"]]


def test_an_event_without_an_end_is_not_kept_for_ever() -> None:
    splitter = Splitter(SSE, whole_events=True)
    piece = b"data: " + b"x" * LIMIT
    assert splitter.feed(piece) == [piece]


def plain(chunk: bytes) -> list[bytes]:
    return [chunk] if chunk else []


def run(
    plan: StreamPlan, chunks: list[bytes], content_type: str = SSE, inner: Stream = plain
) -> tuple[list[bytes], list[str]]:
    """What the client gets, and what was told to have happened."""
    struck: list[str] = []
    stream = Sabotage(inner, plan, Splitter(content_type, whole_events=plan.by_events), struck.append)
    return [piece for chunk in (*chunks, b"") for piece in stream(chunk)], struck


@pytest.mark.parametrize("size", [1, 50, 100_000])
@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize(("content_type", "events"), STREAMS)
def test_cut_after_events(content_type: str, events: list[bytes], after: int, size: int) -> None:
    plan = StreamPlan(cut_after_events=after)
    got, struck = run(plan, cut_up(b"".join(events), size), content_type)
    if content_type == JSON:
        got, events = ([bare(p) for p in listed] for listed in (got, events))
    assert got == events[:after]
    assert struck == ["stream_cut"]


@pytest.mark.parametrize("size", [1, 50, 100_000])
@pytest.mark.parametrize("after", [0, 1, 100, 333])
def test_cut_after_bytes(after: int, size: int) -> None:
    whole = b"".join(wire.chat_stream())
    got, struck = run(StreamPlan(cut_after_bytes=after), cut_up(whole, size))
    assert b"".join(got) == whole[:after]
    assert struck == ["stream_cut"]


def test_a_stream_that_is_shorter_is_not_cut() -> None:
    events = wire.chat_stream()
    assert run(StreamPlan(cut_after_events=len(events) + 1), events) == (events, [])
    assert run(StreamPlan(cut_after_bytes=10**6), events) == (events, [])


def test_comments_are_no_events() -> None:
    first, *rest = wire.chat_stream()
    got, _ = run(StreamPlan(cut_after_events=1), [COMMENT, COMMENT, first, *rest])
    assert got == [COMMENT, COMMENT, first]


@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize(("content_type", "events"), STREAMS)
def test_one_event_is_garbled(content_type: str, events: list[bytes], at: int) -> None:
    if at > len(events):
        at = len(events)
    got, struck = run(StreamPlan(garble_at_event=at), [b"".join(events)], content_type)
    assert struck == ["garbled"]
    assert list(map(len, got)) == list(map(len, events))
    assert [n for n, (a, b) in enumerate(zip(got, events, strict=True), 1) if a != b] == [at]


@pytest.mark.parametrize(
    ("content_type", "event"),
    [
        (SSE, wire.chat_chunk("once")),
        (SSE, wire.message_delta("once")),
        (SSE, wire.DONE),
        (SSE, CRLF[0]),
        (LINES, b'{"a":"b"}\n'),
        (LINES, b"{}\n"),
    ],
)
def test_what_is_garbled_cannot_be_read(content_type: str, event: bytes) -> None:
    framing = choose(content_type, event)
    assert framing is not None
    [(_, data)] = framing.feed(garbled(event))
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(data)


def test_a_garbled_message_of_aws_fails_its_checksum() -> None:
    for event in wire.converse_stream():
        buffer = EventStreamBuffer()
        buffer.add_data(garbled(event))
        with pytest.raises(ChecksumMismatch):
            buffer.next()


def test_cut_and_garbled() -> None:
    events = wire.chat_stream()
    got, struck = run(StreamPlan(cut_after_events=3, garble_at_event=2), events)
    assert struck == ["garbled", "stream_cut"]
    assert (got[0], got[1] != events[1], got[2], len(got)) == (events[0], True, events[2], 3)


def test_nothing_is_read_after_a_cut() -> None:
    seen = []

    def inner(chunk: bytes) -> list[bytes]:
        seen.append(chunk)
        return [chunk]

    events = wire.chat_stream()
    run(StreamPlan(cut_after_events=2), events, inner=inner)
    assert seen == events[:2]


def sabotage(inner: Stream, plan: StreamPlan) -> Sabotage:
    return Sabotage(inner, plan, Splitter(SSE, whole_events=True), lambda kind: None)


class Ending:
    """A stream that can say goodbye."""

    judge = "the judge"

    def __init__(self, rest: list[bytes] | None) -> None:
        self._rest = rest

    def __call__(self, chunk: bytes) -> list[bytes]:
        return [chunk]

    def abort(self, message: str, late: bool = False) -> list[bytes] | None:
        return self._rest


@pytest.mark.parametrize("rest", [None, [], [b"data: sorry\n\n"]])
def test_a_stream_that_loses_its_provider_ends_as_it_would(rest: list[bytes] | None) -> None:
    stream = sabotage(Ending(rest), StreamPlan(cut_after_events=9))
    assert stream(b"data: 1\n\ndata:") == [b"data: 1\n\n"]
    assert stream.judge == "the judge"
    assert stream.abort("gone") == (None if rest is None else [b"data:", *rest])


def test_a_stream_that_was_cut_has_no_other_end() -> None:
    stream = sabotage(Ending([b"sorry"]), StreamPlan(cut_after_events=0))
    assert stream(b"data: 1\n\n") == []
    assert stream.abort("gone") is None


def test_a_plain_stream_has_no_end_of_its_own() -> None:
    stream = sabotage(plain, StreamPlan(events_per_second=1.0))
    assert (stream.abort("gone"), stream.judge) == (None, None)


PLANS = st.builds(
    StreamPlan,
    st.none() | st.integers(0, 80),
    st.none(),
    st.none() | st.integers(1, 5),
    st.none() | st.just(5.0),
) | st.builds(StreamPlan, st.none(), st.integers(0, 5), st.none() | st.integers(1, 5))
ALPHABET = st.sampled_from([*(bytes([n]) for n in b'\n\r[]{}"\\:d\x00\x10'), b"data: ", b"\n\n", b"\x1f\x8b"])


@given(
    st.lists(st.lists(ALPHABET, max_size=12).map(b"".join), max_size=8),
    st.sampled_from([SSE, AWS, LINES, JSON, "", "audio/mpeg"]),
    PLANS,
)
def test_any_bytes(chunks: list[bytes], content_type: str, plan: StreamPlan) -> None:
    """Nothing is lost, added or moved: only garbled bytes differ, and only a cut stream is shorter."""
    got, struck = run(plan, [chunk for chunk in chunks if chunk], content_type)
    whole, given_on = b"".join(chunks), b"".join(got)
    assert b"" not in got
    if "stream_cut" not in struck:
        assert len(given_on) == len(whole)
    if "garbled" not in struck:
        assert whole.startswith(given_on)
    if plan.cut_after_bytes is not None:
        assert len(given_on) <= plan.cut_after_bytes
