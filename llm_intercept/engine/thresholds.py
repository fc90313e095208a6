"""When a limit is nearly or wholly used up: which of its thresholds has been passed, told once in a period.

What is noticed inside a transaction is told after it has been committed.
"""

from collections.abc import Callable

from llm_intercept.engine.events import Event
from llm_intercept.policy.limit_texts import Standing, sentence, state
from llm_intercept.policy.limits import Applied, StoredLimit
from llm_intercept.policy.windows import SECONDS, Counter

_REMEMBERED = 4096
_QUIET_S = 60  # concurrency comes and goes: told of once a minute at most
_NEVER_AGAIN = 2**53
_CERTAIN = ("requests", "concurrency")  # what is reserved of these is what is used


class Thresholds:
    """`emit` must not block. Used under the lock of the counters."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._noticed: list[Event] = []
        self._refused: dict[str, float] = {}

    def watch(self, stored: StoredLimit, key: str, counter: Counter, now: float) -> None:
        """Looks at a counter that was just changed."""
        limit = stored.limit
        count = counter.taken if limit.measure in _CERTAIN else counter.used
        reached = 0
        for percent in limit.thresholds:  # the lowest first
            if count * 100 < limit.amount * percent:
                break
            reached = percent
        if counter.told_until <= now or counter.told_of != limit.amount:
            counter.told, counter.told_of = 0, limit.amount
        if reached > counter.told:
            counter.told, counter.told_until = reached, _until(stored, counter, now)
            applied = Applied(stored, key.partition(":")[2])
            self._noticed.append(
                _event("limit.threshold", Standing(applied, count, 0, None), now, {"percent": reached})
            )

    def refused(self, standing: Standing, now: float) -> None:
        """A hard limit has refused a call: told of once until it has room again."""
        key = standing.applied.key
        if self._refused.get(key, 0.0) > now:
            return
        if len(self._refused) >= _REMEMBERED:
            self._refused.clear()
        self._refused[key] = max(now + _QUIET_S, standing.resets or 0)
        self._emit(_event("limit.refused", standing, now, {}))

    def noticed(self) -> list[Event]:
        """What has been noticed since the last time, to be told once it is certain."""
        noticed, self._noticed = self._noticed, []
        return noticed

    def tell(self, noticed: list[Event]) -> None:
        for event in noticed:
            self._emit(event)


def _until(stored: StoredLimit, counter: Counter, now: float) -> int:
    limit = stored.limit
    if limit.measure == "concurrency":
        return int(now) + _QUIET_S
    if limit.per in SECONDS:
        return int(now) + SECONDS[limit.per]
    return counter.end or _NEVER_AGAIN


def _event(kind: str, standing: Standing, now: float, more: dict[str, object]) -> Event:
    applied = standing.applied
    limit = applied.limit
    text = f"{sentence(limit, applied.member)}; {state(standing)}"
    return Event(
        kind,
        now,
        {
            "limit": applied.stored.id,
            "scope": limit.scope,
            "name": applied.member or limit.name,
            "measure": limit.measure,
            "per": limit.per,
            "amount": limit.amount,
            "taken": standing.taken,
            "soft": limit.soft,
            "text": text,
            **more,
        },
    )
