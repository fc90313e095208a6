"""A JSON array whose elements arrive one by one (`[{...}\\n,{...}]`): Gemini without `alt=sse`."""

import re

from llm_intercept.wire.framing import Frame

LIMIT = 16 * 1024 * 1024  # of one element

# The next byte that matters: outside a string a quote or a bracket, inside one a quote or an escape.
OUTSIDE = re.compile(rb'["{}\[\]]')
INSIDE = re.compile(rb'["\\]')


class JSONArray:
    """Gives each object of the outer array as soon as its last brace is there."""

    def __init__(self) -> None:
        self.complete = False
        self._buffer = bytearray()
        self._at = 0  # up to where the buffer has been looked at
        self._start = -1  # where the element under way begins
        self._depth = 0
        self._string = False

    def feed(self, chunk: bytes) -> list[Frame]:
        self._buffer += chunk
        frames: list[Frame] = []
        while found := (INSIDE if self._string else OUTSIDE).search(self._buffer, self._at):
            if not self._step(found.start(), frames):
                break
        else:
            self._at = len(self._buffer)
        self._trim()
        return frames

    @property
    def between(self) -> bool:
        return self._depth <= 1 and not self._string and self._start < 0

    def close(self) -> list[Frame]:
        return []

    def _step(self, at: int, frames: list[Frame]) -> bool:
        """Takes in the byte at `at`; False when an escape is cut off from what it escapes."""
        byte = self._buffer[at]
        self._at = at + 1
        if byte == 0x5C:
            if at + 1 >= len(self._buffer):
                self._at = at
                return False
            self._at = at + 2
        elif byte == 0x22:
            self._string = not self._string
        elif byte in b"{[":
            self._open(at, byte)
        else:
            self._close(at, frames)
        return True

    def _open(self, at: int, byte: int) -> None:
        if self._depth == 1 and byte == 0x7B:
            self._start = at
        self._depth += 1

    def _close(self, at: int, frames: list[Frame]) -> None:
        self._depth -= 1
        if self._depth == 1 and self._start >= 0:
            frames.append(("", bytes(self._buffer[self._start : at + 1])))
            self._start = -1
        self.complete = self._depth <= 0

    def _trim(self) -> None:
        """Drops what has been given out; an element beyond the limit is given up."""
        if self._start >= 0 and len(self._buffer) - self._start > LIMIT:
            self._start = -1
        cut = self._at if self._start < 0 else self._start
        del self._buffer[:cut]
        self._at -= cut
        self._start = max(-1, self._start - cut) if self._start >= 0 else -1
