"""Frames to bytes, for streams that we write ourselves. Reading them is the other modules' business."""

import base64
from collections.abc import Callable, Iterable

import orjson

from llm_intercept.wire.framing import Frame, eventstream

CONTENT_TYPES = {
    "sse": "text/event-stream; charset=utf-8",
    "sse-crlf": "text/event-stream",
    "jsonarray": "application/json; charset=UTF-8",
    "lines": "application/x-ndjson",
    "eventstream": "application/vnd.amazon.eventstream",
    "chunks": "application/vnd.amazon.eventstream",
}


class FrameWriter:
    """One stream. `write` gives the bytes of some frames, `end` what the framing itself has at the end."""

    def __init__(self, framing: str) -> None:
        self.content_type = CONTENT_TYPES[framing]
        self._frame = _FRAMES[framing]
        self._array = framing == "jsonarray"
        self._begun = False

    def write(self, frames: Iterable[Frame]) -> bytes:
        written = [self._frame(event, data) for event, data in frames]
        return b"".join(map(self._separated, written) if self._array else written)

    def end(self) -> bytes:
        if not self._array:
            return b""
        return b"]" if self._begun else b"[]"

    def _separated(self, frame: bytes) -> bytes:
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + frame


def _sse(event: str, data: bytes) -> bytes:
    if not event:
        return b"data: %b\n\n" % data
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data)


def _sse_crlf(event: str, data: bytes) -> bytes:
    return b"data: " + data + b"\r\n\r\n"


def _bare(event: str, data: bytes) -> bytes:
    return data


def _line(event: str, data: bytes) -> bytes:
    return data + b"\n"


def _chunk(event: str, data: bytes) -> bytes:
    """Bedrock's invoke-with-response-stream: the model's own event, in base64, inside an event of AWS."""
    if event.endswith("Exception"):
        return eventstream.encode(event, data)
    return eventstream.encode("chunk", orjson.dumps({"bytes": base64.b64encode(data).decode()}))


_FRAMES: dict[str, Callable[[str, bytes], bytes]] = {
    "sse": _sse,
    "sse-crlf": _sse_crlf,
    "jsonarray": _bare,
    "lines": _line,
    "eventstream": lambda event, data: eventstream.encode(event, data),
    "chunks": _chunk,
}
