"""Identifiers of one call: the UUIDv7 that the client sees and the epoch-microsecond key of its row.

Pure: time and randomness are parameters.
"""


def new_request_id(now_us: int, random_bytes: bytes) -> str:
    """A UUIDv7 (RFC 9562) from the time in microseconds and eight random bytes.

    The twelve bits after the version carry the fraction of the millisecond (method 3 of the RFC),
    so that ids sort by time within a millisecond too.
    """
    millis, micros = divmod(now_us, 1000)
    tail = int.from_bytes(random_bytes[:8], "big") & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    text = f"{millis << 80 | 0x7000 << 64 | (micros << 12) // 1000 << 64 | tail:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class RowIds:
    """Hands out epoch microseconds, never the same twice: a second call within one gets the next."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, now_us: int) -> int:
        self._last = now_us if now_us > self._last else self._last + 1
        return self._last
