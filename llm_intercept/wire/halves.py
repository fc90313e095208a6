"""Characters that a server has cut in two: half of a surrogate pair ends one frame, the next has the rest.

Servers that cut their text by UTF-16 units send an emoji as `\\ud83d` and `\\ude00` in two frames. Neither
is a character, so each alone would have to be replaced; the first half waits for the second.
"""

import re

# Escapes whose backslash is not itself escaped.
_FIRST = re.compile(rb'(?<!\\)(?:\\\\)*(\\u[dD][89abAB][0-9a-fA-F]{2})(?=")')
_SECOND = re.compile(rb"(?<!\\)(?<!\\u[dD][89abAB][0-9a-fA-F]{2})(?:\\\\)*(\\u[dD][c-fC-F][0-9a-fA-F]{2})")


def may_have(frame: bytes) -> bool:
    """Whether there is any half, or whole pair, in it: nearly always not."""
    return b"\\ud" in frame or b"\\uD" in frame


class Halves:
    """Of one stream."""

    def __init__(self) -> None:
        self._waiting = b""

    def joined(self, frame: bytes) -> bytes:
        """The frame without a half at the end of a text, and with the one that has waited for it."""
        second = _SECOND.search(frame) if self._waiting else None
        if second is not None:
            at = second.start(1)
            frame = frame[:at] + self._waiting + frame[at:]
            self._waiting = b""
        first = _FIRST.search(frame)
        if first is not None:
            self._waiting = first[1]
            frame = frame[: first.start(1)] + frame[first.end(1) :]
        return frame
