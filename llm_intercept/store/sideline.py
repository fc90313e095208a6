"""What the writer thread writes beside the rows of calls: state, at most once a second."""

import logging
import sqlite3
import time
from collections.abc import Callable

from llm_intercept.store.pools import Changes, write_changes

log = logging.getLogger(__name__)

EVERY_S = 1.0


class Sideline:
    """Used in the writer's thread only. What could not be written stays and is tried again."""

    def __init__(self, drain: Callable[[], Changes], clock: Callable[[], float] = time.monotonic) -> None:
        self._drain = drain
        self._clock = clock
        self._pending = Changes()
        self._due = 0.0

    def write(self, connect: Callable[[], sqlite3.Connection], *, at_once: bool = False) -> None:
        """Raises what sqlite does; `connect` is only called when there is something to write."""
        if self._clock() < self._due and not at_once:
            return
        self._due = self._clock() + EVERY_S
        self._pending.update(self._drain())
        if self._pending:
            write_changes(connect(), self._pending, time.time_ns() // 1000)
            self._pending = Changes()
