"""Content-encodings: any cut, stacked ones, wrong ones."""

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.wire.encoding import Decoder, inflate
from tests.wire import cuts

TEXT = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n' * 50


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def two_members(body: bytes) -> bytes:
    return gzip.compress(body[:100]) + gzip.compress(body[100:])


def two_frames(body: bytes) -> bytes:
    return zstandard.compress(body[:100]) + zstandard.compress(body[100:])


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("", bytes),
    ("identity", bytes),
    ("gzip", gzip.compress),
    ("x-gzip", two_members),
    ("deflate", zlib.compress),
    ("Deflate", raw_deflate),
    ("br", brotli.compress),
    ("zstd", zstandard.compress),
    ("zstd", two_frames),
    ("gzip, br", lambda body: brotli.compress(gzip.compress(body))),
]


@pytest.mark.parametrize(("name", "encode"), CODINGS)
def test_round_trip(name: str, encode: Callable[[bytes], bytes]) -> None:
    coded = encode(TEXT)
    assert inflate(coded, name) == TEXT
    for pieces in (cuts.by_byte(coded), cuts.at_random(coded, 4)):
        decoder = Decoder(name)
        assert b"".join(decoder.feed(piece) for piece in pieces) == TEXT
        assert not decoder.broken


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
@given(data=st.binary(max_size=80))
@settings(max_examples=60, deadline=None)
def test_nonsense_breaks_the_decoder_only(name: str, data: bytes) -> None:
    decoder = Decoder(name)
    decoder.feed(data)
    decoder.feed(b"not compressed at all")
    assert decoder.feed(b"") == b""


def test_unknown_codings_are_not_guessed_at() -> None:
    assert Decoder("compress").broken
    assert inflate(b"abc", "compress") is None
    assert Decoder("compress").feed(b"abc") == b""


def test_a_bomb_is_left() -> None:
    bomb = gzip.compress(b"\0" * 5_000_000)
    decoder = Decoder("gzip", limit=1_000_000)
    decoder.feed(bomb)
    assert decoder.broken
    assert inflate(bomb, "gzip", limit=1_000_000) is None
