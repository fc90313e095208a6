"""What is shown once: it waits in memory, for minutes at most, until the browser that made it looks at it.

So a secret is in no address, no history and no cache, and loading the page again does not make another one.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

WAITS_S = 300.0
_MOST = 200


@dataclass(frozen=True, slots=True)
class _Waiting[T]:
    owner: str
    until: float
    value: T


class Once[T]:
    """`owner` is the login that may look; anybody else finds nothing, and does not use it up."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, _Waiting[T]] = {}

    def put(self, owner: str, value: T) -> str:
        """The code to ask for it with."""
        now = self._clock()
        kept = {code: one for code, one in self._waiting.items() if one.until > now}
        self._waiting = dict(list(kept.items())[-_MOST + 1 :])
        code = secrets.token_urlsafe(12)
        self._waiting[code] = _Waiting(owner, now + WAITS_S, value)
        return code

    def take(self, owner: str, code: str) -> T | None:
        found = self._waiting.get(code)
        if found is None or found.owner != owner:
            return None
        del self._waiting[code]
        return found.value if found.until > self._clock() else None
