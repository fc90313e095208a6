"""How frames are cut out of bytes. One file per framing; what the frames mean is the dialects' business.

A framing has `feed(chunk) -> list[Frame]` and `close() -> list[Frame]`, keeps at most a bounded
buffer and never raises: bytes that make no sense give no frame.
"""

from typing import Protocol

type Frame = tuple[str, bytes]
"""(event name, or "" where the framing has none; payload)."""


class Framing(Protocol):
    complete: bool
    """The framing itself saw its end: the closing bracket, the end of a parsed document."""

    @property
    def between(self) -> bool:
        """Whether the last byte ended a frame, so that another one could begin."""

    def feed(self, chunk: bytes) -> list[Frame]: ...

    def close(self) -> list[Frame]: ...
