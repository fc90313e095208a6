"""The ways a byte stream can be cut on its way: whole, event by event, byte by byte, at random."""

import random
import re
from collections.abc import Iterator

EVENT = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\n,)")


def whole(body: bytes) -> list[bytes]:
    return [body]


def by_event(body: bytes) -> list[bytes]:
    return [piece for piece in EVENT.split(body) if piece]


def by_byte(body: bytes) -> list[bytes]:
    return [body[i : i + 1] for i in range(len(body))]


def at_random(body: bytes, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    return list(_pieces(body, rng))


def _pieces(body: bytes, rng: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        size = rng.choice((1, 2, 3, 7, 40, 200, 1500))
        yield body[at : at + size]
        at += size
