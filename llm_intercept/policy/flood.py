"""How many events of one kind from one source are written down, so that a flood cannot fill a disk."""

from collections.abc import Iterator
from dataclasses import dataclass

EACH = 20
EVERYWHERE = 300
WINDOW_S = 60.0
_MOST_KEYS = 4096
_ALL = "*"


@dataclass(slots=True)
class _Window:
    since: float
    told: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not written; `source` is "*" where there were too many sources to name them."""

    kind: str
    source: str
    count: int


class Flood:
    """So many in a minute from each source, and so many from all sources; the others are counted."""

    def __init__(self, each: int = EACH, everywhere: int = EVERYWHERE, window_s: float = WINDOW_S) -> None:
        self._each = each
        self._everywhere = everywhere
        self._window_s = window_s
        self._windows: dict[tuple[str, str], _Window] = {}

    def admit(self, kind: str, source: str, now: float) -> bool:
        """Whether this one is written down. What is left out is found in `ended` once its window is over."""
        everywhere = self._window(kind, _ALL, now)
        if everywhere.told >= self._everywhere:
            everywhere.left_out += 1
            return False
        own = self._window(kind, source, now)
        if own.told >= self._each:
            own.left_out += 1
            return False
        own.told += 1
        everywhere.told += 1
        return True

    def ended(self, now: float, *, all_of_them: bool = False) -> Iterator[LeftOut]:
        """What was left out in windows that are over (or in all of them, before the end)."""
        over = [
            (key, window)
            for key, window in self._windows.items()
            if all_of_them or not 0 <= now - window.since < self._window_s
        ]
        for key, window in over:
            del self._windows[key]
            if window.left_out:
                yield LeftOut(*key, window.left_out)

    def _window(self, kind: str, source: str, now: float) -> _Window:
        """The current one. An ended one that left something out stays until `ended` has told of it."""
        found = self._windows.get((kind, source))
        if found is not None and (found.left_out or 0 <= now - found.since < self._window_s):
            return found
        if len(self._windows) >= _MOST_KEYS:
            self._forget(now)
        fresh = self._windows[kind, source] = _Window(now)
        return fresh

    def _forget(self, now: float) -> None:
        for key, window in list(self._windows.items()):
            if not window.left_out and not 0 <= now - window.since < self._window_s:
                del self._windows[key]
