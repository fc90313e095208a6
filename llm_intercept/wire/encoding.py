"""Content-encodings, undone on a copy: gzip, deflate (with and without its zlib header), br, zstd, stacked.

Total: what is not what it claims to be ends the decoding and marks the decoder `broken`.
"""

import zlib
from typing import Protocol

import brotli
import zstandard

OUTPUT_LIMIT = 256 * 1024 * 1024  # of one answer; more is not an LLM's answer


class Inflater(Protocol):
    def feed(self, chunk: bytes) -> bytes: ...


class _Gzip:
    """Members may be concatenated."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)

    def feed(self, chunk: bytes) -> bytes:
        parts = []
        while chunk:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            parts.append(self._member.decompress(chunk))
            chunk = self._member.unused_data
        return b"".join(parts)


class _Deflate:
    """Servers disagree whether deflate means zlib (as the standard says) or raw: the first two bytes tell."""

    def __init__(self) -> None:
        self._start = b""
        self._stream: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> bytes:
        if self._stream is None:
            chunk = self._start = self._start + chunk
            if len(chunk) < 2:
                return b""
            zlib_header = chunk[0] & 0x0F == 8 and int.from_bytes(chunk[:2]) % 31 == 0
            self._stream = zlib.decompressobj(wbits=15 if zlib_header else -15)
        return self._stream.decompress(chunk)


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def feed(self, chunk: bytes) -> bytes:
        return bytes(self._stream.process(chunk))


class _Zstd:
    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()

    def feed(self, chunk: bytes) -> bytes:
        parts = []
        while chunk:
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            parts.append(self._frame.decompress(chunk))
            chunk = self._frame.unused_data
        return b"".join(parts)


CODINGS: dict[str, type[Inflater]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


class Decoder:
    """Undoes a `Content-Encoding` header's codings, the last one first."""

    def __init__(self, content_encoding: str = "", limit: int = OUTPUT_LIMIT) -> None:
        names = [name.strip().lower() for name in content_encoding.split(",")]
        wanted = [name for name in names if name and name != "identity"]
        self.broken = any(name not in CODINGS for name in wanted)
        self._stages = [] if self.broken else [CODINGS[name]() for name in reversed(wanted)]
        self._room = limit

    @property
    def idle(self) -> bool:
        """Nothing to undo: bytes are what they are."""
        return not self._stages and not self.broken

    def feed(self, chunk: bytes) -> bytes:
        if self.idle:
            return chunk
        if self.broken:
            return b""
        try:
            for stage in self._stages:
                chunk = stage.feed(chunk)
        except (zlib.error, brotli.error, zstandard.ZstdError, EOFError, MemoryError):
            self.broken = True
            return b""
        self._room -= len(chunk)
        self.broken = self._room < 0
        return chunk


def inflate(body: bytes, content_encoding: str, limit: int = OUTPUT_LIMIT) -> bytes | None:
    """A whole body without its content-encoding; None if it cannot be undone."""
    decoder = Decoder(content_encoding, limit)
    decoded = decoder.feed(body)
    return None if decoder.broken else decoded
