"""The limiter against a model that keeps every call and adds it all up each time."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from llm_intercept.engine.admission import Actual, Admission, Reservation
from llm_intercept.engine.thresholds import Thresholds
from llm_intercept.home import Home
from llm_intercept.policy.limits import Applied, Limit, LimitBook, Parties, StoredLimit
from llm_intercept.policy.windows import FOREVER, span
from llm_intercept.policy.worst_case import Worst

LIMITS = [
    StoredLimit(f"lim_{number}", Limit.model_validate(given))
    for number, given in enumerate(
        (
            {"scope": "global", "measure": "requests", "amount": 6, "per": "minute"},
            {"scope": "token", "measure": "tokens", "amount": 40, "per": "minute"},
            {"scope": "project", "name": "a", "measure": "cost", "amount": 90, "per": "day",
             "timezone": "Asia/Tokyo"},
            {"scope": "project", "measure": "concurrency", "amount": 2},
            {"scope": "model", "name": "big*", "measure": "tokens", "amount": 120},
            {"scope": "global", "measure": "tokens", "amount": 30, "per": "hour", "soft": True},
        )
    )
]  # fmt: skip
PARTIES = st.builds(
    Parties,
    project=st.sampled_from(["a", "b"]),
    token=st.sampled_from(["a/x", "b/y"]),
    model=st.sampled_from(["big-1", "big-2", "small"]),
)


@dataclass
class Call:
    """What the model remembers of one."""

    name: str
    at: float
    applied: list[Applied]
    worst: Worst
    actual: Actual | None = None
    slot: bool = True
    reservation: Reservation | None = None

    def takes(self, measure: str) -> int:
        if measure == "concurrency":
            return int(self.slot)
        if self.actual is not None:
            return self.actual.of(measure)
        return {"requests": 1, "tokens": self.worst.tokens, "cost": self.worst.nanos or 0}[measure]


class Limiter(RuleBasedStateMachine):
    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.home = Home(Path(self.folder.name))
        self.home.ensure()
        self.now = 1_795_000_001.0
        self.history: list[Call] = []
        self.admission = self.opened()

    def opened(self) -> Admission:
        made = Admission(
            self.home.limits_db, self.home.leases, Thresholds(lambda event: None), now=lambda: self.now
        )
        made.book = LimitBook(LIMITS)
        return made

    def teardown(self) -> None:
        self.admission.close()
        self.folder.cleanup()

    def taken(self, wanted: Applied) -> int:
        limit, total = wanted.limit, 0
        for call in self.history:
            _, end = span(limit.per, limit.timezone, call.at)
            if wanted.key in {applied.key for applied in call.applied} and (end == FOREVER or end > self.now):
                total += call.takes(limit.measure)
        return total

    @rule(target=calls, parties=PARTIES, input_=st.integers(0, 12), output=st.integers(0, 12))
    def reserve(self, parties: Parties, input_: int, output: int) -> Call:
        worst = Worst(input_, output, (input_ + output) * 2)
        applied = self.admission.book.applicable(parties)
        call = Call(f"call{len(self.history)}", self.now, applied, worst)
        fits = all(
            each.limit.soft or self.taken(each) + call.takes(each.limit.measure) <= each.limit.amount
            for each in applied
        )
        found = self.admission.reserve(call.name, applied, worst, patience=5.0)
        assert isinstance(found, Reservation) == fits, found
        if isinstance(found, Reservation):
            call.reservation = found
            self.history.append(call)
        return call

    @rule(call=calls)
    def free(self, call: Call) -> None:
        if call.reservation is not None:
            self.admission.free(call.reservation)
            call.slot = False

    @rule(call=consumes(calls), share=st.integers(0, 3))
    def settle(self, call: Call, share: int) -> None:
        """With none, a part, all, or more than was reserved."""
        if call.reservation is not None and call.actual is None:
            call.actual = self.actual(call, share)
            call.slot = False
            self.admission.settle(call.reservation, call.actual)

    @rule(call=calls)
    def release(self, call: Call) -> None:
        if call.reservation is not None:
            self.admission.release(call.reservation)
            call.actual, call.slot = call.actual or Actual(), False

    @rule(parties=PARTIES, tokens=st.integers(0, 20))
    def charge(self, parties: Parties, tokens: int) -> None:
        applied = self.admission.book.applicable(parties)
        actual = Actual(1, tokens, tokens)
        self.admission.charge(applied, actual)
        self.history.append(Call("charged", self.now, applied, Worst(0, 0), actual, slot=False))
        self.admission.flush()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 29.0, 61.0, 7_000.0, 50_000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(noted=st.booleans())
    def crash(self, noted: bool) -> None:
        """Killed: what was handed over and not written is lost, unless the books know of it."""
        dead = self.admission
        os.close(dead._lease._descriptor)
        dead._lease._descriptor = -1
        dead.counters.close()
        self.admission = self.opened()
        books = {call.name: call.actual for call in self.history if call.actual is not None}
        for call in self.history:
            if call.reservation is not None and call.actual is None:
                call.actual = self.actual(call, 1) if noted else Actual()
                books[call.name] = call.actual
            call.slot, call.reservation = False, None
        self.admission.sweep(lambda calls: books, wait=True)

    @invariant()
    def nothing_is_left_open(self) -> None:
        self.admission.flush()
        open_calls = {held.call for held in self.admission.counters.open_reservations()}
        assert open_calls <= {call.name for call in self.history if call.actual is None}
        for key, counter in self.admission.counters.read().items():
            counter.expire(self.now)
            stored = self.admission.book.by_id[key.partition(":")[0]]
            assert counter.taken == self.taken(Applied(stored, key.partition(":")[2])), key

    @staticmethod
    def actual(call: Call, share: int) -> Actual:
        tokens = call.worst.tokens * share // 2
        return Actual(min(1, share), tokens, tokens * 2)


TestLimiter = Limiter.TestCase
TestLimiter.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
