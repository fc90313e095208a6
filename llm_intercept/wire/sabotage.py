"""A stream that fails on purpose, on its way to the client: cut off, or with one event that nobody can read.

`Splitter` gives a stream's bytes back event by event, each with the bytes that end it, so that what is
cut or garbled is an event as the client's dialect frames it. Whatever has no events (or is compressed)
goes on in the pieces that it came in. Total: any bytes in, byte strings out, never an exception.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from llm_intercept.wire.conceal import END
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.framing.eventstream import OVERHEAD, PRELUDE, EventStream
from llm_intercept.wire.framing.jsonarray import JSONArray
from llm_intercept.wire.framing.lines import Lines
from llm_intercept.wire.framing.sse import SSE

type Stream = Callable[[bytes], list[bytes]]
"""A chunk in, what goes on out; b"" is the end."""
type Ends = Callable[[bytes], list[int]]
"""Where in these bytes, which begin with an event, the events of a framing end."""

LIMIT = 16 * 1024 * 1024  # an event beyond this goes on as it comes
GARBLED = 24


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What is done to a stream. Events count from 1; comments that keep a connection alive are none."""

    cut_after_bytes: int | None = None
    cut_after_events: int | None = None
    garble_at_event: int | None = None
    events_per_second: float | None = None

    @property
    def by_events(self) -> bool:
        return any((self.cut_after_events is not None, self.garble_at_event, self.events_per_second))

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is in store, in the words of the rows."""
        cut = self.cut_after_events is not None or self.cut_after_bytes is not None
        found = {"stream_cut": cut, "garbled": self.garble_at_event, "slow_tokens": self.events_per_second}
        return tuple(kind for kind, is_planned in found.items() if is_planned)


UNTOUCHED = StreamPlan()


def _as_it_comes(data: bytes) -> list[int]:
    return [len(data)] if data else []


def _blank_lines(data: bytes) -> list[int]:
    return [found.end() for found in END.finditer(data)]


def _line_ends(data: bytes) -> list[int]:
    return [found.end() for found in re.finditer(rb"\n", data)]


def _messages(data: bytes) -> list[int]:
    """By their own lengths; one that cannot be true ends the telling apart."""
    ends: list[int] = []
    at = 0
    while len(data) - at >= PRELUDE:
        size = int.from_bytes(data[at : at + 4])
        if size < OVERHEAD:
            return [*ends, len(data)]
        at += size
        if at > len(data):
            break
        ends.append(at)
    return ends


# A string (perhaps cut off at the end of the data), or a brace outside of one.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)|[{}]', re.DOTALL)


def _elements(data: bytes) -> list[int]:
    """The objects of an array: where their last brace is."""
    ends, depth = [], 0
    for token in _TOKEN.finditer(data):
        depth += {b"{": 1, b"}": -1}.get(token.group(), 0)
        if token.group() == b"}" and depth <= 0:
            ends.append(token.end())
            depth = 0
    return ends


_ENDS: dict[type, Ends] = {
    SSE: _blank_lines,
    Lines: _line_ends,
    EventStream: _messages,
    JSONArray: _elements,
}


class Splitter:
    """Holds back an event that has not ended; `close` gives what is left."""

    def __init__(self, content_type: str, *, whole_events: bool) -> None:
        self._content_type = content_type
        self._rest = b""
        self._ends: Ends | None = None if whole_events else _as_it_comes

    def feed(self, chunk: bytes) -> list[bytes]:
        data = self._rest = self._rest + chunk
        if self._ends is None and (framing := choose(self._content_type, data)) is not None:
            self._ends = _ENDS.get(type(framing), _as_it_comes)
        pieces, at = [], 0
        for end in self._ends(data) if self._ends is not None else ():
            pieces.append(data[at:end])
            at = end
        self._rest = data[at:]
        return pieces if len(self._rest) <= LIMIT else [*pieces, *self.close()]

    def close(self) -> list[bytes]:
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class Sabotage:
    """Stands around a stream and carries out its plan; `strike` is told what happens when it happens:
    "stream_cut" (nothing comes after it) or "garbled"."""

    def __init__(
        self, inner: Stream, plan: StreamPlan, splitter: Splitter, strike: Callable[[str], None]
    ) -> None:
        self._inner = inner
        self._plan = plan
        self._splitter = splitter
        self._strike = strike
        self._is_cut = False
        self._events = 0
        self._bytes = 0
        self.events_per_second = plan.events_per_second

    def __call__(self, chunk: bytes) -> list[bytes]:
        if self._is_cut:
            return []
        pieces = [piece for data in self._inner(chunk) for piece in self._splitter.feed(data)]
        if not chunk:
            pieces += self._splitter.close()
        return self._passed(pieces)

    @property
    def judge(self) -> object:
        """Of the stream inside: what it makes of its beginning."""
        return getattr(self._inner, "judge", None)

    def abort(self, message: str, late: bool = False) -> list[bytes] | None:
        """As that of the stream inside, if it has one; nothing mends a stream that is cut on purpose."""
        inner: Callable[[str, bool], list[bytes] | None] | None = getattr(self._inner, "abort", None)
        rest = None if inner is None or self._is_cut else inner(message, late)
        return None if rest is None else [*self._splitter.close(), *rest]

    def _passed(self, pieces: list[bytes]) -> list[bytes]:
        out = []
        for piece in pieces:
            if self._is_over():
                break
            out.append(self._next(piece))
        if self._is_over() and not self._is_cut:
            self._is_cut = True
            self._strike("stream_cut")
        return [piece for piece in out if piece]

    def _next(self, piece: bytes) -> bytes:
        is_event = not piece.lstrip().startswith(b":")
        self._events += is_event
        if is_event and self._events == self._plan.garble_at_event:
            self._strike("garbled")
            piece = garbled(piece)
        if (limit := self._plan.cut_after_bytes) is not None:
            piece = piece[: limit - self._bytes]
        self._bytes += len(piece)
        return piece

    def _is_over(self) -> bool:
        events, size = self._plan.cut_after_events, self._plan.cut_after_bytes
        return (events is not None and self._events >= events) or (size is not None and self._bytes >= size)


def garbled(event: bytes) -> bytes:
    """The event with its length and its end, but what is in it can be parsed by nobody."""
    if event[:1] == b"\x00":  # a message of AWS: its checksum tells
        start = PRELUDE + int.from_bytes(event[4:8])
    else:
        start = event.find(b"{")
    if start < 0:
        start = event.find(b":") + 1
    spoilt = bytes(byte if byte in b"\r\n" else 0x23 for byte in event[start : start + GARBLED])
    return event[:start] + spoilt + event[start + GARBLED :]
