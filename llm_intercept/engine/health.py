"""Which keys and targets can be used now: cool-downs, breakers, calls under way, time to the first token.

Everything is used from the event loop, except `changes`, which the writer's thread calls, and `snapshot`,
which any thread may. Nothing happens for a target without trouble but counting: rows for the database are
made when something changes, and headers are read once a second for each key.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from llm_intercept.engine.keystate import KeyState
from llm_intercept.policy import breaker as breakers
from llm_intercept.policy.attempts import KEY_STATUSES, Failure
from llm_intercept.policy.breaker import CLOSED, Breaker, State, Window
from llm_intercept.settings import BreakerSettings
from llm_intercept.store.pools import BreakerRow, Changes, KeyRow
from llm_intercept.store.speeds import Speed

TARGETS = 2_000
_LOOKED_AT = 16
"""Of the targets that were not used for longest: one without trouble has to go first."""
_SMOOTHING = 0.2
NOT_STORED = ("", "client")
"""Credentials that are many people's keys, or none: what one of them is told is no news for the others."""


class TargetKey(NamedTuple):
    """A model of a provider with a key. A tuple: it is looked up several times for each call."""

    provider: str
    credential: str
    model: str


@dataclass(frozen=True, slots=True)
class Availability:
    """`reason` is for people, and empty where there is nothing to say. `until` is Unix seconds.

    `broken`: its breaker does not let calls through. A key that cools down could be tried nonetheless.
    """

    usable: bool
    reason: str = ""
    until: float = 0.0
    broken: bool = False


USABLE = Availability(True)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is not as it should be: for metrics."""

    breakers: tuple[tuple[TargetKey, State], ...]
    cooling: tuple[tuple[str, str], ...]  # (provider, credential)


class _Model:
    """What is known of a model, whatever the key."""

    __slots__ = ("busy", "targets", "ttft")

    def __init__(self) -> None:
        self.busy = 0
        self.targets = 0
        self.ttft: float | None = None

    def measured(self, ttft_ms: float) -> None:
        before = self.ttft
        self.ttft = ttft_ms if before is None else before + _SMOOTHING * (ttft_ms - before)


class _Target:
    __slots__ = ("breaker", "key", "model", "window")

    def __init__(self, key: KeyState, model: _Model, window: Window) -> None:
        self.key = key
        self.model = model
        self.window = window
        self.breaker = CLOSED


class Health:
    """`now` gives Unix seconds."""

    def __init__(self, settings: BreakerSettings, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self._targets: OrderedDict[TargetKey, _Target] = OrderedDict()
        self._models: dict[tuple[str, str], _Model] = {}
        self._keys: dict[tuple[str, str], KeyState] = {}
        # Behind the lock: what other threads look at.
        self._lock = threading.Lock()
        self._changes = Changes()
        self._open: dict[TargetKey, State] = {}
        self._cooling: dict[tuple[str, str], float] = {}

    def restore(
        self, key_rows: Iterable[KeyRow], breaker_rows: Iterable[BreakerRow], speeds: Iterable[Speed] = ()
    ) -> None:
        """What was known before a restart; cool-downs that are over are forgotten."""
        now = self._now()
        for kept in key_rows:
            key = self._key(kept.provider, kept.credential)
            key.restore(kept, now)
            self._tell(key)
        for row in breaker_rows:
            if row.state in ("open", "half_open"):
                target = TargetKey(row.provider, row.credential, row.model)
                self._known(target).breaker = found = _breaker(row)
                self._open[target] = found.state
        for provider, name, ttft_ms in speeds:
            self._models.setdefault((provider, name), _Model()).measured(ttft_ms)

    def resume(self, under_way: Mapping[tuple[str, str], int]) -> None:
        """For an explanation: what another process has under way, by provider and model."""
        for place, calls in under_way.items():
            self._models.setdefault(place, _Model()).busy = calls

    def state(self, target: TargetKey) -> Availability:
        """Whether it could be used; takes nothing."""
        known = self._known(target)
        key, breaker = known.key, known.breaker
        if breaker is CLOSED and key.pause is None and not key.denied:
            return USABLE
        now = self._now()
        if not breaker.allows(now, self._settings):
            return _broken(breaker, now)
        pause = key.pause_of(target.model, now)
        if pause is not None:
            return Availability(False, f"cooling until {_clock(pause[0])}: {pause[1]}", pause[0])
        return USABLE if breaker.state == "closed" else Availability(True, "a trial of an open breaker")

    def admit(self, target: TargetKey) -> bool:
        """Right before a try is sent: takes the one trial of a half-open breaker, False if that is taken."""
        known = self._known(target)
        if known.breaker is CLOSED:
            return True
        now = self._now()
        admitted = breakers.admit(known.breaker, now, self._settings)
        if admitted is None:
            return False
        self._set(target, known, admitted, now)
        return True

    def started(self, target: TargetKey) -> None:
        self._known(target).model.busy += 1
        self._targets.move_to_end(target)

    def ended(self, target: TargetKey) -> None:
        model = self._models.get((target.provider, target.model))
        if model is not None and model.busy:
            model.busy -= 1

    def succeeded(self, target: TargetKey, headers: Mapping[str, str], ttft_ms: float | None) -> None:
        """An answer has begun well; header names are in lower case."""
        known, now = self._known(target), self._now()
        known.window.add(now, False)
        if known.breaker is not CLOSED:
            self._set(target, known, breakers.succeeded(known.breaker), now)
        if ttft_ms is not None:
            known.model.measured(ttft_ms)
        if now >= known.key.due:
            known.key.succeed(now)
            self._read(known.key, headers, now)

    def failed(self, target: TargetKey, failure: Failure, headers: Mapping[str, str]) -> None:
        """429, 401 and 403 are about the key; no answer, 5xx and a broken one are about the target."""
        known, now = self._known(target), self._now()
        if failure.status in KEY_STATUSES:
            self._set(target, known, breakers.abandoned(known.breaker), now)
            if target.credential not in NOT_STORED:
                self._tell(known.key, known.key.refuse(target.model, failure, headers, now))
            return
        self._read(known.key, headers, now)
        broken = _is_broken(failure)
        known.window.add(now, broken)
        if not broken:  # a 4xx: the target is well, the call is not
            return self._set(target, known, breakers.succeeded(known.breaker), now)
        tally = known.window.tally(now)
        after = breakers.failed(known.breaker, _reason(failure), now, tally, self._settings)
        self._set(target, known, after, now)

    def abandoned(self, target: TargetKey) -> None:
        """The client went away: nothing counts, and a trial is given back."""
        known = self._targets.get(target)
        if known is not None and known.breaker is not CLOSED:
            self._set(target, known, breakers.abandoned(known.breaker), self._now())

    def probed(self, target: TargetKey) -> None:
        """A probe of an open target has succeeded: the next call is its trial."""
        known, now = self._known(target), self._now()
        self._set(target, known, breakers.half_opened(known.breaker, now), now)

    def open_targets(self) -> list[TargetKey]:
        """Those whose breaker is open, not half-open."""
        return [target for target, state in self.snapshot().breakers if state == "open"]

    def ttft_ms(self, provider: str, model: str) -> float | None:
        """Milliseconds to the first token, smoothed; None before the first answer."""
        known = self._models.get((provider, model))
        return known.ttft if known else None

    def busy(self, provider: str, model: str) -> int:
        """Calls under way."""
        known = self._models.get((provider, model))
        return known.busy if known else 0

    def changes(self) -> Changes:
        """What is to be written since it was asked last. Called from the writer's thread."""
        with self._lock:
            found, self._changes = self._changes, Changes()
        return found

    def snapshot(self) -> Snapshot:
        now = self._now()
        with self._lock:
            cooling = sorted(place for place, until in self._cooling.items() if until > now)
            return Snapshot(tuple(self._open.items()), tuple(cooling))

    def reset(
        self, provider: str = "", credential: str = "", model: str = "", *, before: float | None = None
    ) -> int:
        """Closes breakers and ends cool-downs; "" stands for all. How many there were.

        `before` (Unix seconds): only what has not changed since.
        """
        wanted, now = (provider, credential, model), self._now()
        limit = float("inf") if before is None else before
        found = [t for t in self._open if all(w in ("", is_) for w, is_ in zip(wanted, t, strict=True))]
        found = [t for t in found if self._targets[t].breaker.changed <= limit]
        for target in found:
            self._set(target, self._targets[target], CLOSED, now)
        keys = [k for k in self._keys.values() if provider in ("", k.place[0]) and k.seen <= limit]
        cleared = {k: k.clear(model) for k in keys if credential in ("", k.place[1])}
        for key, models in cleared.items():
            if models:
                self._tell(key, *models)
        return len(found) + sum(map(len, cleared.values()))

    def _known(self, target: TargetKey) -> _Target:
        return self._targets.get(target) or self._add(target)

    def _add(self, target: TargetKey) -> _Target:
        if len(self._targets) >= TARGETS:
            self._make_room()
        place = (target.provider, target.model)
        model = self._models.get(place)
        if model is None:
            model = self._models[place] = _Model()
        model.targets += 1
        window = Window(self._settings.window)
        known = self._targets[target] = _Target(self._key(target.provider, target.credential), model, window)
        return known

    def _make_room(self) -> None:
        """Clients choose the names of models: the target that goes is an old one that nothing is known of."""
        oldest = [target for target, _ in zip(self._targets, range(_LOOKED_AT), strict=False)]
        gone = next((t for t in oldest if self._is_idle(self._targets[t])), oldest[0])
        known = self._targets[gone]
        self._set(gone, known, CLOSED, self._now())
        del self._targets[gone]
        known.model.targets -= 1
        if not known.model.targets:
            del self._models[gone.provider, gone.model]

    def _is_idle(self, known: _Target) -> bool:
        return known.breaker.state == "closed" and not known.model.busy

    def _key(self, provider: str, credential: str) -> KeyState:
        key = self._keys.get((provider, credential))
        if key is None:
            key = self._keys[provider, credential] = KeyState(provider, credential)
            if credential in NOT_STORED:
                key.due = float("inf")
        return key

    def _read(self, key: KeyState, headers: Mapping[str, str], now: float) -> None:
        if now >= key.due and key.read(headers, now):
            self._tell(key, "")

    def _set(self, target: TargetKey, known: _Target, after: Breaker, now: float) -> None:
        """Failures that open nothing are counted, not written."""
        before, known.breaker = known.breaker, after
        if before.state == after.state and before.openings == after.openings:
            return
        if after.state == "closed":
            known.window.clear()
        with self._lock:
            if after.state == "closed":
                self._open.pop(target, None)
            else:
                self._open[target] = after.state
            self._changes.breakers[target] = _row(target, after, now)

    def _tell(self, key: KeyState, *models: str) -> None:
        """To other threads: until when the key is out of use, and rows to be written."""
        with self._lock:
            self._cooling[key.place] = key.until
            self._changes.keys.update({(*key.place, model): key.row(model) for model in models})


def _broken(breaker: Breaker, now: float) -> Availability:
    if breaker.state == "half_open":
        why = f"breaker half-open, a trial is under way: {breaker.reason}"
        return Availability(False, why, now + 1.0, broken=True)
    why = f"breaker open until {_clock(breaker.until)}: {breaker.reason}"
    return Availability(False, why, breaker.until, broken=True)


def _is_broken(failure: Failure) -> bool:
    if failure.kind == "status":
        return (failure.status or 0) >= 500
    return failure.kind in ("connect", "lost", "timeout", "stream_error")


def _reason(failure: Failure) -> str:
    what = str(failure.status) if failure.kind == "status" else failure.kind
    return f"{what}: {failure.message[:160]}" if failure.message else what


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S UTC")


def _breaker(row: BreakerRow) -> Breaker:
    state: State = "open" if row.state == "open" else "half_open"
    return Breaker(state, row.failures, row.openings, row.until_us / 1e6, row.changed_us / 1e6, row.reason)


def _row(target: TargetKey, breaker: Breaker, now: float) -> BreakerRow:
    return BreakerRow(
        *target,
        breaker.state,
        breaker.failures,
        breaker.reason,
        int(breaker.until * 1e6),
        breaker.openings,
        int((breaker.changed or now) * 1e6),
    )
