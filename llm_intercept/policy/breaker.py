"""The circuit breaker of one target: when it is left alone, when one call is let through to try it.

    closed --N failures in a row, or too many of the last calls--> open
    open --its time is over, or a probe succeeded--> half_open
    half_open --its one trial succeeds--> closed, --it fails--> open, for twice as long

Values and functions; `now` is Unix seconds. How many of the last calls failed is counted by a `Window`,
so that calls without trouble cost an addition and make no new value.
"""

from dataclasses import dataclass, replace
from typing import Literal

from llm_intercept.settings import BreakerSettings

type State = Literal["closed", "open", "half_open"]

_DOUBLINGS = 20
SLOTS = 10


@dataclass(frozen=True, slots=True)
class Breaker:
    """`until`: when a trial is let through; `openings` in a row: each time it waits longer."""

    state: State = "closed"
    failures: int = 0  # in a row
    openings: int = 0
    until: float = 0.0
    changed: float = 0.0
    reason: str = ""  # the last failure
    trial_since: float | None = None  # half_open: the one trial is under way

    def allows(self, now: float, settings: BreakerSettings) -> bool:
        """Whether a call could be sent; takes nothing."""
        if self.state == "closed":
            return True
        if self.state == "open":
            return now >= self.until
        # A trial that was never heard of again must not close the way for ever.
        return self.trial_since is None or now - self.trial_since >= settings.longest


CLOSED = Breaker()


class Window:
    """Calls and failures of the last seconds, in `SLOTS` parts: what is older goes part by part."""

    __slots__ = ("_calls", "_failures", "_slot", "_width")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / SLOTS
        self._slot = 0
        self._calls = [0] * SLOTS
        self._failures = [0] * SLOTS

    def add(self, now: float, failed: bool) -> None:
        slot = int(now / self._width)
        if slot != self._slot:
            self._advance(slot)
            slot = self._slot
        self._calls[slot % SLOTS] += 1
        if failed:
            self._failures[slot % SLOTS] += 1

    def tally(self, now: float) -> tuple[int, int]:
        """(calls, failures) in the current part and those before it."""
        self._advance(int(now / self._width))
        return sum(self._calls), sum(self._failures)

    def clear(self) -> None:
        self._calls = [0] * SLOTS
        self._failures = [0] * SLOTS

    def _advance(self, slot: int) -> None:
        """Empties the parts in between. A clock that was set back counts into the current part."""
        passed = slot - self._slot
        if passed <= 0:
            return
        for n in range(min(passed, SLOTS)):
            self._calls[(slot - n) % SLOTS] = self._failures[(slot - n) % SLOTS] = 0
        self._slot = slot


def admit(breaker: Breaker, now: float, settings: BreakerSettings) -> Breaker | None:
    """Right before a call is sent: None when it must not be; else the breaker with the trial taken."""
    if breaker.state == "closed":
        return breaker
    if not breaker.allows(now, settings):
        return None
    changed = breaker.changed if breaker.state == "half_open" else now
    return replace(breaker, state="half_open", changed=changed, trial_since=now)


def succeeded(breaker: Breaker) -> Breaker:
    """A stray success while it is open (a call from before) closes nothing: that is for a trial to say."""
    return breaker if breaker.state == "open" else CLOSED


def failed(
    breaker: Breaker, reason: str, now: float, tally: tuple[int, int], settings: BreakerSettings
) -> Breaker:
    """`tally`: (calls, failures) of the window, this failure included."""
    if breaker.state == "open":
        return breaker  # a call from before
    if breaker.state == "half_open":
        return breaker if breaker.trial_since is None else _opened(breaker, reason, now, settings)
    counted = replace(breaker, failures=breaker.failures + 1, reason=reason)
    return _opened(counted, reason, now, settings) if _is_too_much(counted, tally, settings) else counted


def _is_too_much(breaker: Breaker, tally: tuple[int, int], settings: BreakerSettings) -> bool:
    if 0 < settings.consecutive <= breaker.failures:
        return True
    calls, failures = tally
    return settings.rate > 0 and calls >= settings.minimum and failures >= settings.rate * calls


def _opened(breaker: Breaker, reason: str, now: float, settings: BreakerSettings) -> Breaker:
    openings = breaker.openings + 1
    wait = min(
        settings.open_for * 2.0 ** min(openings - 1, _DOUBLINGS), max(settings.longest, settings.open_for)
    )
    failures = breaker.failures + (breaker.state == "half_open")
    return Breaker("open", failures, openings, now + wait, now, reason)


def abandoned(breaker: Breaker) -> Breaker:
    """The trial's client went away, or its answer says nothing about the target: another call may try."""
    return replace(breaker, trial_since=None) if breaker.state == "half_open" else breaker


def half_opened(breaker: Breaker, now: float) -> Breaker:
    """A probe has succeeded: the next call is the trial."""
    return replace(breaker, state="half_open", changed=now) if breaker.state == "open" else breaker


def restored(breaker: Breaker) -> Breaker:
    """After a restart: a trial that was under way is over, and what was half open waits for one at once."""
    return replace(breaker, trial_since=None)
