"""Reservations that grow while an answer comes, as long as the limits have room."""

from collections.abc import Callable, Mapping

from llm_intercept.policy.limits import LimitBook
from llm_intercept.policy.windows import Counter
from llm_intercept.store.reservations import Changes

type Plan = Callable[[Mapping[str, int | None]], Mapping[str, int]]
"""From the room that each counter has (None: any) to what is added to what a call holds of it."""


def grow(changes: Changes, reservation: int, plan: Plan, book: LimitBook, now: float) -> Mapping[str, int]:
    """What was added. A limit counts as it is now; one whose period is over does not count any more."""
    holds = changes.holds(reservation)
    keys = [key for key, *_ in holds]
    counters = changes.counters(keys)
    for key in keys:
        counters[key].expire(now)
    more = plan({key: _room(book, key, start, counters[key]) for key, start, *_ in holds})
    for key, start, *_ in holds:
        if more.get(key):
            counters[key].grow(start, more[key])
            changes.changed(key)
    changes.keep(reservation, [(key, start, what, n + more.get(key, 0)) for key, start, what, n in holds])
    return more


def _room(book: LimitBook, key: str, start: int, counter: Counter) -> int | None:
    stored = book.by_id.get(key.partition(":")[0])
    if stored is None or stored.limit.soft or not counter.has(start):
        return None
    return max(0, stored.limit.amount - counter.taken)
