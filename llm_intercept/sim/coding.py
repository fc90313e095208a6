"""Content-encodings: reading compressed request bodies, compressing answers chunk by chunk."""

import zlib
from collections.abc import Callable
from typing import Protocol

import brotli
import zstandard


class Encoder(Protocol):
    """Compresses a body piece by piece; what `feed` returns can be decoded without waiting for more."""

    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._deflate = zlib.compressobj(wbits=wbits)

    def feed(self, data: bytes) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._deflate.flush(zlib.Z_FINISH)


class _Brotli:
    def __init__(self) -> None:
        self._compressor = brotli.Compressor(quality=4)

    def feed(self, data: bytes) -> bytes:
        return bytes(self._compressor.process(data) + self._compressor.flush())

    def finish(self) -> bytes:
        return bytes(self._compressor.finish())


class _Zstandard:
    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor().compressobj()

    def feed(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "gzip": lambda: _Zlib(31),
    "deflate": lambda: _Zlib(15),
    "br": _Brotli,
    "zstd": _Zstandard,
}


def encode(data: bytes, encoding: str) -> bytes:
    """A whole body in one of ENCODERS."""
    encoder = ENCODERS[encoding]()
    return encoder.feed(data) + encoder.finish()


def decode(data: bytes, encoding: str) -> bytes:
    """A request body without its content-encoding; ValueError if it is not what the header says."""
    for name in reversed([n.strip().lower() for n in encoding.split(",") if n.strip()]):
        data = _decode_one(data, name)
    return data


def _decode_one(data: bytes, name: str) -> bytes:
    try:
        match name:
            case "gzip" | "x-gzip":
                return zlib.decompress(data, wbits=31)
            case "deflate":
                return zlib.decompress(data, wbits=15 if data[:1] == b"\x78" else -15)
            case "br":
                return bytes(brotli.decompress(data))
            case "zstd":
                return zstandard.ZstdDecompressor().decompressobj().decompress(data)
            case "identity":
                return data
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise ValueError(f"the body is not valid {name}") from error
    raise ValueError(f"unknown content-encoding {name!r}")
