"""One JSON document: kept until its end, up to a limit, beyond which only its tail is kept.

The tail of an over-long document (embeddings, images) still has the usage, which comes last.
"""

import re

from llm_intercept.wire.framing import Frame

LIMIT = 16 * 1024 * 1024
TAIL = 64 * 1024
USAGE = re.compile(rb'"usage"\s*:\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})')


class Whole:
    def __init__(self, limit: int = LIMIT) -> None:
        self.complete = False
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0
        self._overlong = False

    def feed(self, chunk: bytes) -> list[Frame]:
        self._pieces.append(chunk)
        self._held += len(chunk)
        if self._held > self._limit or (self._overlong and self._held > 4 * TAIL):
            self._overlong = True
            self._pieces = [b"".join(self._pieces)[-TAIL:]]
            self._held = len(self._pieces[0])
        return []

    @property
    def between(self) -> bool:
        return False

    def close(self) -> list[Frame]:
        body = b"".join(self._pieces)
        self._pieces = []
        if self._overlong:
            found = USAGE.findall(body)
            return [("", b'{"usage":' + found[-1] + b"}")] if found else []
        return [("", body)] if body.strip() else []
