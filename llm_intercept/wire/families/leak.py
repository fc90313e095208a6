"""Reasoning that leaked into the answer's text: `<think>...</think>` at its beginning is split off.

Servers without a reasoning parser send what the model wrote. The tags may be cut anywhere between chunks.
"""

OPENING = "<think>"
CLOSING = "</think>"

type Piece = tuple[bool, str]
"""(whether it is reasoning, text)."""


class Leak:
    """Feed it the text piece by piece; `close` gives what was held back."""

    __slots__ = ("_feed", "_held")

    def __init__(self) -> None:
        self._held = ""
        self._feed = self._beginning

    @property
    def settled(self) -> bool:
        """Nothing but plain text can follow, and nothing is held back."""
        return self._feed == self._plain

    def feed(self, text: str) -> list[Piece]:
        return self._feed(text)

    def close(self) -> list[Piece]:
        held, self._held = self._held, ""
        thinking = self._feed == self._inside
        return [(thinking, held)] if held else []

    def _beginning(self, text: str) -> list[Piece]:
        self._held += text
        start = self._held.lstrip()
        if start.startswith(OPENING):
            self._held = ""
            self._feed = self._opened
            return self._opened(start[len(OPENING) :])
        if OPENING.startswith(start):
            return []
        return self._release()

    def _release(self) -> list[Piece]:
        held, self._held = self._held, ""
        self._feed = self._plain
        return [(False, held)]

    def _opened(self, text: str) -> list[Piece]:
        """Before the first word of the reasoning: line ends are dropped."""
        text = text.lstrip("\r\n")
        if not text:
            return []
        self._feed = self._inside
        return self._inside(text)

    def _inside(self, text: str) -> list[Piece]:
        text = self._held + text
        thought, closing, rest = text.partition(CLOSING)
        if closing:
            self._held = ""
            self._feed = self._after
            found = [(True, thought)] if thought else []
            return found + self._after(rest)
        keep = _overlap(text)
        self._held = text[len(text) - keep :]
        thought = text[: len(text) - keep]
        return [(True, thought)] if thought else []

    def _after(self, text: str) -> list[Piece]:
        text = text.lstrip("\r\n")
        if not text:
            return []
        self._feed = self._plain
        return [(False, text)]

    def _plain(self, text: str) -> list[Piece]:
        return [(False, text)] if text else []


def _overlap(text: str) -> int:
    """How many characters at the end may be the beginning of the closing tag."""
    for size in range(min(len(CLOSING) - 1, len(text)), 0, -1):
        if CLOSING.startswith(text[len(text) - size :]):
            return size
    return 0


def split(text: str) -> list[Piece]:
    """A whole text at once."""
    if not text.lstrip().startswith(OPENING):
        return [(False, text)] if text else []
    leak = Leak()
    joined: list[Piece] = []
    for thinking, piece in leak.feed(text) + leak.close():
        if joined and joined[-1][0] == thinking:
            joined[-1] = (thinking, joined[-1][1] + piece)
        else:
            joined.append((thinking, piece))
    return joined
