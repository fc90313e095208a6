"""Which framing an answer has: its content type says so; where that is missing or wrong, its first bytes."""

from llm_intercept.wire.framing import Frame, Framing
from llm_intercept.wire.framing.eventstream import EventStream
from llm_intercept.wire.framing.jsonarray import JSONArray
from llm_intercept.wire.framing.lines import Lines
from llm_intercept.wire.framing.sse import SSE
from llm_intercept.wire.framing.whole import Whole

LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl")
NOT_TEXT = ("audio/", "image/", "video/", "multipart/", "application/zip", "application/pdf", "text/html")


class Opaque:
    """Bytes that mean nothing to us: audio, images, pages."""

    complete = True
    between = False

    def feed(self, chunk: bytes) -> list[Frame]:
        return []

    def close(self) -> list[Frame]:
        return []


BLANK = (
    b" \t\r\n\xef\xbb\xbf"  # what may stand before the first byte that tells; gateways send it to keep alive
)


def choose(content_type: str, start: bytes) -> Framing | None:
    """The framing, or None while there is nothing but blanks to judge by."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/vnd.amazon.eventstream":
        return EventStream()
    if kind in LINES:
        return Lines()
    if kind.startswith(NOT_TEXT):
        return Opaque()
    return _sniff(start.lstrip(BLANK)[:1], SSE if kind == "text/event-stream" else Whole)


def _sniff(first: bytes, otherwise: type[SSE] | type[Whole]) -> Framing | None:
    """Servers do send event streams as JSON, JSON as event streams, and either as octets."""
    if not first:
        return None
    if first == b"{":
        return Whole()
    if first == b"[":
        return JSONArray()
    if first == b"\x00":
        return EventStream()
    return SSE() if first in b"deir:" else otherwise()
