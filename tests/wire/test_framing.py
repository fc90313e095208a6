"""The other framings: AWS event streams, JSON lines, JSON arrays, whole documents; and their choice."""

import json
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.wire.framing import Frame, Framing, whole
from llm_intercept.wire.framing.choose import Opaque, choose
from llm_intercept.wire.framing.eventstream import EventStream, encode, read_headers
from llm_intercept.wire.framing.jsonarray import JSONArray
from llm_intercept.wire.framing.lines import Lines
from llm_intercept.wire.framing.sse import SSE
from llm_intercept.wire.framing.whole import Whole
from tests.wire import cuts
from tests.wire.recordings import Recording, recordings


def frames(framing: Framing, pieces: list[bytes]) -> list[Frame]:
    return [frame for piece in pieces for frame in framing.feed(piece)] + framing.close()


def message(payload: bytes, **headers: str) -> bytes:
    """One AWS event stream message, made as the specification says."""
    block = b""
    for name, value in headers.items():
        key = f":{name.replace('_', '-')}".encode()
        block += bytes([len(key)]) + key + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    head = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return head + struct.pack(">I", zlib.crc32(head))


STREAM = message(b'{"a":1}', event_type="metadata", message_type="event") + message(
    b'{"message":"slow down"}', exception_type="throttlingException", message_type="exception"
)


@pytest.mark.parametrize("cut", [cuts.whole, cuts.by_byte])
def test_event_stream(cut: Callable[[bytes], list[bytes]]) -> None:
    expected = [("metadata", b'{"a":1}'), ("throttlingException", b'{"message":"slow down"}')]
    assert frames(EventStream(), cut(STREAM)) == expected


def test_event_stream_is_written_as_amazon_reads_it() -> None:
    from botocore.eventstream import EventStreamBuffer

    written = encode("metadata", b'{"a":1}') + encode("throttlingException", b'{"message":"slow down"}')
    buffer = EventStreamBuffer()
    buffer.add_data(written)
    kinds = [
        {":event-type": "metadata", ":content-type": "application/json", ":message-type": "event"},
        {
            ":exception-type": "throttlingException",
            ":content-type": "application/json",
            ":message-type": "exception",
        },
    ]
    assert [message.headers for message in buffer] == kinds
    assert frames(EventStream(), [written]) == frames(EventStream(), [STREAM])
    assert encode("odd", b"{}", exception=True).count(b":exception-type") == 1


EVENT_STREAMS = [r for r in recordings() if "eventstream" in r.content_type]


@pytest.mark.parametrize("recording", EVENT_STREAMS, ids=lambda r: r.name)
def test_event_stream_against_amazons_own_decoder(recording: Recording) -> None:
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    buffer.add_data(recording.body)
    expected = [(m.headers.get(":event-type") or m.headers.get(":exception-type"), m.payload) for m in buffer]
    assert frames(EventStream(), [recording.body]) == expected
    assert frames(EventStream(), cuts.at_random(recording.body, 1)) == expected


def test_header_types() -> None:
    block = b"\x01a\x00" + b"\x01b\x04\x00\x00\x00\x01" + b"\x01c\x06\x00\x02xx" + b"\x01d\x07\x00\x01y"
    assert read_headers(block) == {"d": "y"}
    assert read_headers(b"\x01a\x7f\x01d\x07\x00\x01y") == {}
    assert read_headers(b"\xff") == {}


@given(st.lists(st.binary(max_size=60)))
@settings(max_examples=200, deadline=None)
def test_event_stream_survives_any_bytes(pieces: list[bytes]) -> None:
    stream = EventStream()
    for piece in pieces:
        stream.feed(piece)
    assert len(stream._buffer) <= 60 * len(pieces)


def test_impossible_lengths_end_the_reading() -> None:
    stream = EventStream()
    assert stream.feed(b"\x7f\xff\xff\xff" + b"\0" * 8) == []
    assert stream.feed(STREAM) == []


@pytest.mark.parametrize("cut", [cuts.whole, cuts.by_byte])
def test_lines(cut: Callable[[bytes], list[bytes]]) -> None:
    body = b'{"a":1}\n\n{"b":2}\r\n{"c":3}'
    assert frames(Lines(), cut(body)) == [("", b'{"a":1}'), ("", b'{"b":2}\r'), ("", b'{"c":3}')]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text(alphabet='ab"\\{}[],:é\n', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='a"\\}', max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=3), max_size=4),
    st.integers(0, 99),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_json_array(elements: list[object], seed: int, spread: bool) -> None:
    body = json.dumps(elements, indent=1 if spread else None).encode()
    parser = JSONArray()
    assert [json.loads(data) for _, data in frames(parser, cuts.at_random(body, seed))] == elements
    assert parser.complete


def test_json_array_gives_each_element_at_once() -> None:
    parser = JSONArray()
    assert parser.feed(b'[{"a":1}\n') == [("", b'{"a":1}')]
    assert parser.feed(b',{"b":') == []
    assert not parser.complete
    assert parser.feed(b"2}]") == [("", b'{"b":2}')]
    assert parser.complete


@given(st.lists(st.binary(max_size=30)))
@settings(max_examples=200, deadline=None)
def test_json_array_survives_any_bytes(pieces: list[bytes]) -> None:
    frames(JSONArray(), pieces)


def test_whole() -> None:
    assert frames(Whole(), [b'{"a"', b":1}"]) == [("", b'{"a":1}')]
    assert frames(Whole(), [b"  "]) == []


def test_an_overlong_document_still_gives_its_usage() -> None:
    body = b'{"data":[' + b"0.125," * 100_000 + b'0],"usage":{"prompt_tokens":5,"d":{"x":1}}}'
    pieces = cuts.at_random(body, 2)
    found = frames(Whole(limit=1000), pieces)
    assert found == [("", b'{"usage":{"prompt_tokens":5,"d":{"x":1}}}')]
    assert frames(Whole(limit=1000), [b"x" * 5000]) == []


def test_the_tail_stays_small() -> None:
    document = Whole(limit=1000)
    for _ in range(100):
        document.feed(b"x" * 10_000)
        assert sum(map(len, document._pieces)) <= 4 * whole.TAIL + 10_000


CHOICES = [
    ("text/event-stream; charset=utf-8", b"data: {}", SSE),
    ("text/event-stream", b"whatever", SSE),
    ("text/event-stream", b'{"error":{}}', Whole),
    ("application/json", b'data: {"a":1}', SSE),
    ("application/json", b"  {}", Whole),
    ("application/json; charset=UTF-8", b"[{", JSONArray),
    ("application/x-ndjson", b"{}", Lines),
    ("application/vnd.amazon.eventstream", b"\0", EventStream),
    ("", b"\0\0\0\x8b", EventStream),
    ("", b": keep-alive", SSE),
    ("application/octet-stream", b"{}", Whole),
    ("audio/mpeg", b"ID3", Opaque),
    ("text/plain", b"Hello", Whole),
]


@pytest.mark.parametrize(("content_type", "start", "kind"), CHOICES)
def test_choice(content_type: str, start: bytes, kind: type[Framing]) -> None:
    assert type(choose(content_type, start)) is kind


def test_blanks_decide_nothing() -> None:
    assert choose("application/json", b" \n\n") is None
    assert frames(Opaque(), [b"abc"]) == []
