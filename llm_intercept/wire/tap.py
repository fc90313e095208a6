"""A tap reads a copy of an answer as it passes: usage, model, finish reason, the first content token, errors.

It is total: any bytes in, never an exception out, and its memory is bounded. What it cannot
read it ignores; the bytes on the wire are never its business.
"""

from collections.abc import Mapping

import orjson

from llm_intercept.wire import dialects
from llm_intercept.wire.encoding import Decoder
from llm_intercept.wire.fields import count, parse
from llm_intercept.wire.framing import Frame, Framing
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.framing.whole import Whole
from llm_intercept.wire.reading import Reading
from llm_intercept.wire.splice import peek

__all__ = ["Reading", "Tap"]

# What a dialect raises when a member has a type that nobody would expect there.
MALFORMED = (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError, OverflowError)

PARSE_LIMIT = 4 * 1024 * 1024
SUMMARY = (
    *("usage", "usageMetadata", "meta", "model", "modelVersion", "id", "responseId", "error", "type"),
    *("inputTextTokenCount", "prompt_eval_count", "object"),
)


class Tap:
    """Reads one answer. `headers` are the answer's, lower-case (Bedrock counts tokens in them)."""

    def __init__(
        self,
        dialect: str,
        operation: str,
        content_type: str,
        content_encoding: str = "",
        *,
        keep: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.dialect = dialects.get(dialect if dialect in dialects.names() else "observe")
        self.operation = operation
        self.reading = Reading()
        self._content_type = content_type
        self._headers = headers or {}
        self._decoder = Decoder(content_encoding)
        self._framing: Framing | None = None
        self._whole = False
        self._keep = keep
        self._kept: list[bytes] = []
        self._closed = False

    @property
    def kept(self) -> bytes:
        """The decoded body, up to `keep` bytes."""
        return b"".join(self._kept)

    def feed(self, chunk: bytes, now: float) -> None:
        """Takes a chunk as it came off the wire, still content-encoded."""
        if not self._decoder.idle:
            chunk = self._decoder.feed(chunk)
        if not chunk:
            return
        if self._keep > 0:
            self._kept.append(chunk[: self._keep])
            self._keep -= len(chunk)
        if self._framing is None:
            chunk = self._begin(chunk)
        if self._framing is not None:
            self._read(self._framing.feed(chunk), now)

    def close(self) -> Reading:
        """What was read, at whatever end. May be called again."""
        if not self._closed:
            self._closed = True
            self._finish()
        return self.reading

    def _begin(self, chunk: bytes) -> bytes:
        """Chooses the framing once there is something to judge by; until then blanks are let go."""
        self._framing = choose(self._content_type, chunk)
        self._whole = isinstance(self._framing, Whole)
        return chunk

    def _finish(self) -> None:
        reading = self.reading
        if self._framing is not None:
            self._read(self._framing.close(), 0.0)
            reading.complete = reading.complete or self._framing.complete
        if not reading.usage.known:
            reading.usage.input = _header(self._headers, "x-amzn-bedrock-input-token-count")
            reading.usage.output = _header(self._headers, "x-amzn-bedrock-output-token-count")
        reading.settle()

    def _read(self, frames: list[Frame], now: float) -> None:
        for event, data in frames:
            if data == b"[DONE]":
                self.reading.complete = True
                continue
            try:
                payload = orjson.loads(data) if len(data) <= PARSE_LIMIT else peek(data, SUMMARY)
            except ValueError:
                payload = parse(data)
            if isinstance(payload, dict):
                self._interpret(event, payload)
        if self.reading.content and not self.reading.first_token:
            self.reading.first_token = now

    def _interpret(self, event: str, payload: dict[str, object]) -> None:
        try:
            if self._whole:
                self.dialect.read_answer(self.reading, payload)
                self.reading.complete = True
            else:
                self.dialect.read_event(self.reading, event, payload)
        except MALFORMED:
            return


def _header(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name, "")
    return count(int(value)) if value.isascii() and value.isdigit() else None
