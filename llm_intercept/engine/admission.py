"""Limits that hold: what a call may take at most is reserved before it is made, and settled after it.

All limits that apply are checked first and reserved together, in one transaction of `limits.db`; a refused
call counts against nothing. A reservation ends exactly once, however its call ends: by `settle` or `release`
here, by `sweep` if the process died. Settling is handed over (`_pending`) and done with the next
reservation of this process, so that it has room at once, or by a thread a moment later, for the others.
"""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_intercept.engine.extending import Plan, grow
from llm_intercept.engine.thresholds import Thresholds
from llm_intercept.errors import StoreError
from llm_intercept.policy.limit_texts import Standing
from llm_intercept.policy.limits import Applied, Limit, LimitBook
from llm_intercept.policy.windows import SECONDS, SLICES, Counter, span
from llm_intercept.policy.worst_case import Worst
from llm_intercept.store.reservations import (
    Busy,
    Changes,
    Counters,
    Hold,
    Lease,
    checkpoint,
    forget,
    is_dead,
    only_one,
)

log = logging.getLogger(__name__)

PATIENCE_S = 0.02  # on the event loop
LONG_PATIENCE_S = 10.0
_GATHER_S = 0.005
_HOUSEKEEPING_S = 15.0
_CHECKPOINT_EVERY = 1000  # transactions

type Figures = Callable[[Sequence[str]], Mapping[str, "Actual"]]
"""What calls (by request id) really took, as far as the books know."""


@dataclass(frozen=True, slots=True)
class Actual:
    """What a call really took; `cost` in nano-USD. `unknown`: what was held for it, if that is more."""

    requests: int = 0
    tokens: int = 0
    cost: int = 0
    unknown: bool = False

    def of(self, measure: str, held: int = 0) -> int:
        if measure == "concurrency":
            return 0
        return max(int(getattr(self, measure)), held if self.unknown else 0)


NOTHING = Actual()
UNKNOWN = Actual(1, unknown=True)
"""Of a call that was sent, and of whose answer nobody knows how far it got."""


type _Asked = tuple[Applied, Limit, str, int, int, int]
"""What a call wants of a limit's counter: (.., its key, how much, start and end of the cell)"""


class _NoRoomError(Exception):
    """Undoes the transaction."""

    def __init__(self, standing: Standing) -> None:
        super().__init__()
        self.standing = standing


@dataclass(slots=True, eq=False)
class Reservation:
    """What is held for one call, until it is known what it took; `row` is 0 once it has ended."""

    call: str
    applied: tuple[Applied, ...]
    row: int
    standings: tuple[Standing, ...]

    @property
    def has_slot(self) -> bool:
        return any(each.limit.measure == "concurrency" for each in self.applied)


type _Settlement = tuple[int, Actual | None]
"""(row of the reservation, what it took; None: its slot is free and the rest is not known yet)"""
type _Charge = tuple[Sequence[Applied], Actual]


class Admission:
    """`now` is Unix seconds. `reserve` on the event loop or in a thread, everything else from anywhere."""

    def __init__(
        self, path: Path, leases: Path, thresholds: Thresholds, *, now: Callable[[], float] = time.time
    ) -> None:
        self.book = LimitBook()
        self._path = path
        self._leases = leases
        self._now = now
        self._thresholds = thresholds
        self.counters = Counters(path)
        self._spans: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._pending: deque[_Settlement | _Charge] = deque()
        self._transactions = 0
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.owner = secrets.token_hex(8)
        with only_one(leases, wait=True):
            self._lease = Lease(leases, self.owner)
            with self.counters.changing(LONG_PATIENCE_S) as changes:
                changes.add_owner(self.owner, int(now() * 1e6))

    def reserve(
        self,
        call: str,
        applied: Sequence[Applied],
        worst: Worst | None,
        *,
        instead: Reservation | None = None,
        patience: float = PATIENCE_S,
    ) -> Reservation | Standing:
        """Everything that is asked for, or nothing and the limit that stands against it. May raise Busy.

        `instead` of another reservation of the same call, which stays as it was if there is no room.
        """
        now = self._now()
        asked = [self._ask(each, worst, now) for each in applied]

        def admit(changes: Changes) -> Reservation:
            if instead is not None:
                self._settle(changes, instead.row, NOTHING)
            refused = self._refused(changes, asked, now)
            if refused is not None:
                raise _NoRoomError(refused)
            return self._hold(changes, call, asked, now)

        try:
            return self._transact(admit, patience)
        except _NoRoomError as full:
            self._thresholds.refused(full.standing, now)
            return full.standing

    def extend(self, reservation: Reservation, plan: Plan) -> Mapping[str, int]:
        """More of what it holds, by counter: what `plan` says. May raise Busy."""

        def more(changes: Changes) -> Mapping[str, int]:
            grown = grow(changes, reservation.row, plan, self.book, self._now())
            for key in grown:
                self._watch(key, changes.counters([key])[key])
            return grown

        return self._transact(more, PATIENCE_S) if reservation.row else {}

    def free(self, reservation: Reservation) -> None:
        """The call has ended: another one may begin. What it took may be settled later."""
        if reservation.row and reservation.has_slot:
            self._hand_over((reservation.row, None))

    def settle(self, reservation: Reservation, actual: Actual) -> None:
        """Ends it with what the call really took; only the first time counts."""
        if reservation.row:
            self._hand_over((reservation.row, actual))
            reservation.row = 0

    def release(self, reservation: Reservation) -> None:
        """Ends it as if the call had never been."""
        self.settle(reservation, NOTHING)

    def charge(self, applied: Sequence[Applied], actual: Actual) -> None:
        """Counts what nothing was reserved for."""
        if applied:
            self._hand_over((applied, actual))

    def flush(self, patience: float = LONG_PATIENCE_S) -> None:
        """Writes what has been handed over."""
        if self._pending:
            self._transact(lambda changes: None, patience)

    def sweep(self, figures: Figures, *, wait: bool, first: Callable[[], object] = lambda: None) -> int:
        """Settles what processes held that have died; how many reservations that were.

        No two processes sweep at the same time. `first` is done before anything is settled: reading
        journals back, so that `figures` knows what is in them.
        """
        with only_one(self._leases, wait=wait) as alone:
            dead = self._dead() if alone else []
            if dead or (alone and wait):
                first()
            return sum(self._bury(owner, figures) for owner in dead)

    def prune(self, known: Callable[[], Collection[str]]) -> None:
        """Deletes counters that count nothing any more, or whose limit is gone."""
        after, more = "", True
        while more:
            with self.counters.changing(LONG_PATIENCE_S) as changes:
                # Inside: a limit that is new to us must not lose what others have counted on it.
                after = changes.prune(known(), self._now(), after)
            more = bool(after)

    def keep_house(self, work: Callable[[], object]) -> None:
        """Starts the thread; `work` is done in it every now and then."""
        self._thread = threading.Thread(target=self._run, args=(work,), name="limits", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Settles what is known; what is still open is left to be swept by the next process."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(LONG_PATIENCE_S)
        try:
            self.flush()
            if not any(held.owner == self.owner for held in self.counters.open_reservations()):
                with self.counters.changing(LONG_PATIENCE_S) as changes:
                    changes.drop_owner(self.owner)
        except (Busy, StoreError) as error:
            log.warning("limits.db could not be brought up to date: %s", error)
        self._lease.end()
        self.counters.close()

    def _hand_over(self, job: _Settlement | _Charge) -> None:
        self._pending.append(job)
        if not self._wake.is_set():
            self._wake.set()

    def _transact[T](self, act: Callable[[Changes], T], patience: float) -> T:
        """What was handed over first, then `act`, in one transaction."""
        taken: list[_Settlement | _Charge] = []
        try:
            with self.counters.changing(patience) as changes:
                self._thresholds.noticed()  # of a transaction that was undone
                while self._pending:
                    taken.append(self._pending.popleft())
                    self._end(changes, taken[-1])
                found = act(changes)
                noticed = self._thresholds.noticed()
        except BaseException:
            self._pending.extendleft(reversed(taken))
            raise
        self._transactions += 1
        self._thresholds.tell(noticed)
        return found

    def _end(self, changes: Changes, job: _Settlement | _Charge) -> None:
        subject, actual = job
        if not isinstance(subject, int):
            self._add(changes, subject, actual or NOTHING)
        elif actual is None:
            self._free(changes, subject)
        else:
            self._settle(changes, subject, actual)

    def _free(self, changes: Changes, reservation: int) -> None:
        holds = changes.holds(reservation)
        kept = [hold for hold in holds if hold[2] != "concurrency"]
        if len(kept) < len(holds):
            changes.keep(reservation, kept)
            self._put(changes, [hold for hold in holds if hold[2] == "concurrency"], NOTHING)

    def _settle(self, changes: Changes, reservation: int, actual: Actual) -> None:
        if holds := changes.take(reservation):
            self._put(changes, holds, actual)

    def _put(self, changes: Changes, holds: Sequence[Hold], actual: Actual) -> None:
        """The real figures in place of what was held."""
        counters = changes.counters([key for key, *_ in holds])
        for key, start, measure, amount in holds:
            counters[key].settle(start, amount, actual.of(measure, amount))
            changes.changed(key)
            self._watch(key, counters[key])

    def _add(self, changes: Changes, applied: Sequence[Applied], actual: Actual) -> None:
        now = self._now()
        counters = changes.counters([each.key for each in applied])
        for each in applied:
            if amount := actual.of(each.limit.measure):
                counters[each.key].expire(now)
                counters[each.key].add(*self._span(each.limit, now), amount)
                changes.changed(each.key)
                self._watch(each.key, counters[each.key])

    def _ask(self, applied: Applied, worst: Worst | None, now: float) -> _Asked:
        limit = applied.limit
        start, end = self._span(limit, now)
        return applied, limit, applied.key, _need(limit, worst), start, end

    @staticmethod
    def _refused(changes: Changes, asked: Sequence[_Asked], now: float) -> Standing | None:
        """Of the limits that have no room the one that will have none for longest."""
        counters = changes.counters([each[2] for each in asked])
        full: list[Standing] = []
        for applied, limit, key, need, _, end in asked:
            counter = counters[key]
            counter.expire(now)
            counter.turn_back(end)
            taken = counter.taken
            if taken + need > limit.amount and not limit.soft:
                full.append(Standing(applied, taken, need, counter.fits_at(need, limit.amount, now)))
        return max(full, key=lambda s: (s.resets is None, s.resets or 0), default=None)

    def _hold(self, changes: Changes, call: str, asked: Sequence[_Asked], now: float) -> Reservation:
        counters = changes.counters([each[2] for each in asked])
        holds: list[Hold] = []
        standings: list[Standing] = []
        for applied, limit, key, need, start, end in asked:
            counter = counters[key]
            counter.hold(start, end, need)
            changes.changed(key)
            self._watch(key, counter)
            holds.append((key, start, limit.measure, need))
            standings.append(Standing(applied, counter.taken, need, counter.end))
        row = changes.open(self.owner, call, holds, int(now * 1e6)) if holds else 0
        return Reservation(call, tuple([each[0] for each in asked]), row, tuple(standings))

    def _watch(self, key: str, counter: Counter) -> None:
        stored = self.book.by_id.get(key.partition(":")[0])
        if stored is not None:
            self._thresholds.watch(stored, key, counter, self._now())

    def _span(self, limit: Limit, now: float) -> tuple[int, int]:
        """Remembered for as long as it is the same: calendars are slow."""
        key = (limit.per, limit.timezone)
        start, end, until = self._spans.get(key, (0, 0, 0))
        if not start <= now < until:
            start, end = span(limit.per, limit.timezone, now)
            until = start + SECONDS[limit.per] // SLICES if limit.per in SECONDS else end
            self._spans[key] = (start, end, until)
        return start, end

    def _dead(self) -> list[str]:
        owners = [owner for owner in self.counters.owners() if owner != self.owner]
        return [owner for owner in owners if is_dead(self._leases, owner)]

    def _bury(self, owner: str, figures: Figures) -> int:
        held = [each for each in self.counters.open_reservations() if each.owner == owner]
        known = figures([each.call for each in held]) if held else {}

        def end(changes: Changes) -> None:
            for each in held:
                self._settle(changes, each.id, known.get(each.call, NOTHING))
            changes.drop_owner(owner)

        self._transact(end, LONG_PATIENCE_S)
        forget(self._leases, owner)
        if held:
            log.warning("ended %d reservations of a proxy that was killed", len(held))
        return len(held)

    def _run(self, work: Callable[[], object]) -> None:
        due = time.monotonic() + _HOUSEKEEPING_S
        moved = self._transactions
        while not self._stopping.is_set():
            self._wake.wait(_HOUSEKEEPING_S)
            self._wake.clear()
            try:
                self._gather()
                if self._transactions - moved >= _CHECKPOINT_EVERY:
                    moved = self._transactions
                    checkpoint(self._path)
                if time.monotonic() >= due:
                    due = time.monotonic() + _HOUSEKEEPING_S
                    work()
            except (Busy, StoreError, OSError) as error:
                log.warning("limits.db could not be brought up to date: %s; trying again", error)

    def _gather(self) -> None:
        """Writes what was handed over a moment ago, unless calls come so quickly that they take it along."""
        before = self._transactions
        self._stopping.wait(_GATHER_S)
        if self._transactions == before:
            self.flush()
        elif self._pending:
            self._wake.set()


def _need(limit: Limit, worst: Worst | None) -> int:
    measure = limit.measure
    if measure not in ("tokens", "cost"):
        return 1
    if worst is None:
        return 0
    worst = worst.first(limit.reserve)
    return worst.tokens if measure == "tokens" else worst.nanos or 0
