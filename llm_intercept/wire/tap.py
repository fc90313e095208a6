"""A tap reads a copy of an answer as it passes: usage, model, finish reason, the first content token, errors.

It is total: any bytes in, never an exception out, and its memory is bounded. What it cannot
read it ignores; the bytes on the wire are never its business.
"""

from collections.abc import Mapping

import orjson

from llm_intercept.wire import dialects
from llm_intercept.wire.encoding import Decoder
from llm_intercept.wire.endings import Finish
from llm_intercept.wire.fields import count, parse, total
from llm_intercept.wire.framing import Frame, Framing
from llm_intercept.wire.framing.choose import Opaque, choose
from llm_intercept.wire.framing.whole import Whole
from llm_intercept.wire.lint import Lint
from llm_intercept.wire.reading import Reading
from llm_intercept.wire.splice import peek
from llm_intercept.wire.usage import Usage

__all__ = ["Reading", "Tap"]

PARSE_LIMIT = 4 * 1024 * 1024
# Of files and lists nothing is wanted but an error's words.
OBSERVED_LIMIT = 256 * 1024
# After the first token nothing hurries: chunks are read this many, or about this many bytes, at a time.
_TOGETHER = 32
_TOGETHER_BYTES = 65_536
SUMMARY = (
    *("usage", "usageMetadata", "meta", "model", "modelVersion", "id", "responseId", "error", "type"),
    *("inputTextTokenCount", "prompt_eval_count", "object"),
)


class Tap:
    """Reads one answer. `status` and `headers` (lower-case names) are the answer's.

    An answer of 400 and above is read as the provider's error. Bedrock counts tokens, and names
    its exceptions, in headers.
    """

    def __init__(
        self,
        dialect: str,
        operation: str,
        content_type: str,
        content_encoding: str = "",
        *,
        keep: int = 0,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.dialect = dialects.get(dialect if dialect in dialects.names() else "observe")
        self.operation = operation
        self.reading = Reading()
        self.lint: Lint | None = None  # sees every frame of a stream
        self.ending: Finish | None = None  # the same, where the stream may have to end early
        self.together = _TOGETHER  # chunks that are read at a time after the first token
        self._content_type = content_type
        self._headers = headers or {}
        self._decoder = Decoder(content_encoding)
        self._framing: Framing | None = None
        self._whole = False
        self._waiting: list[bytes] = []
        self._status = status
        self._keep = keep
        self._kept: list[bytes] = []
        self._closed = False
        self.between = True  # once it is closed: whether the last byte ended a frame

    @property
    def kept(self) -> bytes:
        """The decoded body, up to `keep` bytes."""
        return b"".join(self._kept)

    def feed(self, chunk: bytes, now: float) -> None:
        """Takes a chunk as it came off the wire, still content-encoded."""
        if self.reading.first_token:
            self._waiting.append(chunk)
            if len(self._waiting) < self.together and len(chunk) < _TOGETHER_BYTES // _TOGETHER:
                return
            chunk = b"".join(self._waiting)
            self._waiting.clear()
        self._take(chunk, now)

    def _take(self, chunk: bytes, now: float) -> None:
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
        if self._framing is not None and self.dialect is dialects.get("observe"):
            self._framing = Whole(OBSERVED_LIMIT) if self._whole else Opaque()
        return chunk

    def _finish(self) -> None:
        reading = self.reading
        self._take(b"".join(self._waiting), 0.0)
        if self._framing is not None:
            self.between = self._framing.between
            self._read(self._framing.close(), 0.0)
            reading.complete = reading.complete or self._framing.complete
        if not reading.usage.known:
            reading.usage.absorb(_counted_in_headers(self._headers))
        reading.settle()

    def _read(self, frames: list[Frame], now: float) -> None:
        if self.lint is not None and not self._whole:
            for frame in frames:
                self.lint.frame(*frame)
        for event, data in frames:
            if data == b"[DONE]":
                self.reading.complete = True
                continue
            try:
                payload = orjson.loads(data) if len(data) <= PARSE_LIMIT else peek(data, SUMMARY)
            except ValueError:
                payload = parse(data) or parse(_braced(data))
            if self._whole and self._status >= 400:
                self._refused(data)
            elif isinstance(payload, dict):
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
                if self.ending is not None:
                    self.ending.see(event, payload)
        except dialects.MALFORMED:
            return

    def _refused(self, body: bytes) -> None:
        """The exception's name in the header is better than a bare status."""
        kind, message = self.dialect.read_error(self._status, body)
        named = self._headers.get("x-amzn-errortype", "").partition(":")[0]
        self.reading.fail(named or kind, message)
        self.reading.complete = True


def _braced(document: bytes) -> bytes:
    """A document inside something else: the remains of a transfer coding, a padding, a callback."""
    return document[document.find(b"{") : document.rfind(b"}") + 1]


def _counted_in_headers(headers: Mapping[str, str]) -> Usage:
    prefix = "x-amzn-bedrock-"
    read = _header(headers, f"{prefix}cache-read-input-token-count")
    written = _header(headers, f"{prefix}cache-write-input-token-count")
    plain = _header(headers, f"{prefix}input-token-count")
    return Usage(
        input=None if plain is None else total(plain, read, written),
        output=_header(headers, f"{prefix}output-token-count"),
        cache_read=read,
        cache_write=written,
    )


def _header(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name, "")
    return count(int(value)) if value.isascii() and value.isdigit() else None
