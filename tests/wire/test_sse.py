"""Server-sent events: the standard's own cases, any cut, and a second parser as oracle."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.wire.framing import Frame, sse
from llm_intercept.wire.framing.sse import SSE
from tests.wire import cuts

CASES = [
    pytest.param(b"data: a\n\n", [("", b"a")], id="LF"),
    pytest.param(b"data: a\r\n\r\n", [("", b"a")], id="CRLF"),
    pytest.param(b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")], id="CR"),
    pytest.param(b"data:a\n\n", [("", b"a")], id="no space"),
    pytest.param(b"data:  a\n\n", [("", b" a")], id="only one space goes"),
    pytest.param(b"event: ping\ndata: {}\n\n", [("ping", b"{}")], id="named"),
    pytest.param(b"data: a\ndata: b\n\n", [("", b"a\nb")], id="two data lines"),
    pytest.param(b": OPENROUTER PROCESSING\n\ndata: a\n\n", [("", b"a")], id="comment"),
    pytest.param(b"id: 7\nretry: 100\ndata: a\n\n", [("", b"a")], id="other fields"),
    pytest.param(b"event: x\n\ndata: a\n\n", [("", b"a")], id="a name without data is forgotten"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", [("", b"a")], id="byte order mark"),
    pytest.param(b"data\n\ndata: a\n\n", [("", b"a")], id="empty data"),
    pytest.param(b"data: a\n\ndata: half", [("", b"a")], id="half an event at the end"),
    pytest.param(b"data: \xff\xfe\n\n", [("", b"\xff\xfe")], id="bad UTF-8 is not ours to judge"),
    pytest.param(
        b"data: a\x0bb\xe2\x80\xa8c\n\n", [("", b"a\x0bb\xe2\x80\xa8c")], id="only CR and LF end lines"
    ),
]


def frames(pieces: list[bytes]) -> list[Frame]:
    parser = SSE()
    return [frame for piece in pieces for frame in parser.feed(piece)] + parser.close()


@pytest.mark.parametrize(("body", "expected"), CASES)
def test_events(body: bytes, expected: list[Frame]) -> None:
    assert frames([body]) == expected
    assert frames(cuts.by_byte(body)) == expected
    assert frames(cuts.at_random(body, 5)) == expected


def test_an_endless_line_is_bounded() -> None:
    parser = SSE()
    for _ in range(40):
        assert parser.feed(b"x" * 1_000_000) == []
    assert sum(map(len, parser._pieces)) <= sse.LIMIT + 1_000_000
    assert parser.feed(b"\n\ndata: a\n\n") == [("", b"a")]


def test_endless_data_lines_are_bounded() -> None:
    parser = SSE()
    for _ in range(40):
        assert parser.feed(b"data: " + b"x" * 1_000_000 + b"\n") == []
    assert sum(map(len, parser._data)) <= sse.LIMIT
    parser.feed(b"\n")
    assert parser.feed(b"data: a\n\n") == [("", b"a")]


LINES = st.lists(
    st.sampled_from(
        ["data: a", "data:", "data", "data: é", "event: x", ": c", "id: 1", "retry: 5", "", "", "what"]
    )
)
ENDS = st.sampled_from(["\n", "\r", "\r\n"])


@given(LINES, st.lists(ENDS, min_size=1, max_size=4), st.integers(0, 1000))
@settings(max_examples=300, deadline=None)
def test_against_another_parser(lines: list[str], ends: list[str], seed: int) -> None:
    oracle_module = pytest.importorskip("httpx2._sse")
    text = "".join(line + ends[at % len(ends)] for at, line in enumerate(lines)) + ":\n"
    oracle = oracle_module._SSEParser()
    events = list(oracle.decode(text))
    expected = [("" if e.event == "message" else e.event, e.data.encode()) for e in events if e.data]
    body = text.encode()
    assert frames([body]) == expected
    assert frames(cuts.at_random(body, seed)) == expected


@given(st.lists(st.binary(max_size=40)))
@settings(max_examples=200, deadline=None)
def test_any_bytes(pieces: list[bytes]) -> None:
    assert frames(pieces) == frames([b"".join(pieces)])
