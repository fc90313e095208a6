"""A secret that lies across the events of a stream, a few letters in each: found in what they say together.

Only text that grows is looked at: the members that dialects give their deltas in. All else stays as it is.
"""

import re
from collections.abc import Callable, Iterable
from itertools import accumulate

type Find = Callable[[bytes], Iterable[tuple[int, int]]]
"""Where in a text the secrets are: (start, end)."""

_PIECE = re.compile(
    rb'"(content|text|delta|partial_json|arguments|thinking|reasoning|reasoning_content|refusal|transcript'
    rb'|partialJson|input)"\s*:\s*"((?:[^"\\]|\\.)*)"'
)
MARK = b"[redacted]"


def without(body: bytes, find: Find) -> bytes:
    """The body with these taken out; `[redacted]` stands where each begins."""
    pieces = [(found.start(2), found[2], found[1]) for found in _PIECE.finditer(body)]
    cuts: list[tuple[int, int, bytes]] = []
    for name in dict.fromkeys(piece[2] for piece in pieces):
        cuts += _cuts([(at, text) for at, text, member in pieces if member == name], find)
    for start, end, mark in sorted(cuts, reverse=True):
        body = body[:start] + mark + body[end:]
    return body


def _cuts(pieces: list[tuple[int, bytes]], find: Find) -> Iterable[tuple[int, int, bytes]]:
    """What is to be cut from the body: the part of each secret in each piece."""
    if len(pieces) < 2:
        return
    begins = [0, *accumulate(len(text) for _, text in pieces)]
    for start, end in find(b"".join(text for _, text in pieces)):
        mark = MARK
        for (at, text), begin in zip(pieces, begins, strict=False):
            first, last = max(start, begin), min(end, begin + len(text))
            if first < last:
                yield at + first - begin, at + last - begin, mark
                mark = b""
