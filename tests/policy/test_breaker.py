"""The breaker against a slow, obvious model of it, and the few things that a model would not show."""

import pytest
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llm_intercept.policy import breaker as breakers
from llm_intercept.policy.breaker import CLOSED, SLOTS, Breaker, Window
from llm_intercept.settings import BreakerSettings

NOW = 1_700_000_000.0


class Model:
    """Everything that ever happened, and what follows from it."""

    def __init__(self, settings: BreakerSettings) -> None:
        self.settings = settings
        self.history: list[tuple[float, bool]] = []  # since it was closed last
        self.state = "closed"
        self.in_a_row = 0
        self.openings = 0
        self.until = 0.0
        self.trial: float | None = None

    def recent(self, now: float) -> list[bool]:
        part = self.settings.window / SLOTS
        return [failed for at, failed in self.history if now // part - at // part < SLOTS]

    def may(self, now: float) -> bool:
        match self.state:
            case "closed":
                return True
            case "open":
                return now >= self.until
        return self.trial is None or now >= self.trial + self.settings.longest

    def send(self, now: float) -> None:
        if self.state != "closed":
            self.state, self.trial = "half_open", now

    def succeed(self, now: float) -> None:
        if self.state == "half_open":
            self.__init__(self.settings)  # type: ignore[misc]
        elif self.state == "closed":
            self.history.append((now, False))
            self.in_a_row = 0

    def fail(self, now: float) -> None:
        if self.state == "closed":
            self.history.append((now, True))
            self.in_a_row += 1
            recent = self.recent(now)
            many = len(recent) >= self.settings.minimum and self.settings.rate > 0
            too_many = many and sum(recent) / len(recent) >= self.settings.rate
            if too_many or self.in_a_row == self.settings.consecutive:
                self.open(now)
        elif self.state == "half_open" and self.trial is not None:
            self.open(now)

    def open(self, now: float) -> None:
        self.state, self.trial = "open", None
        wait = self.settings.open_for
        for _ in range(self.openings):
            wait = min(2 * wait, self.settings.longest)
        self.openings += 1
        self.until = now + wait


class Machine(RuleBasedStateMachine):
    @initialize(
        consecutive=st.integers(0, 4),
        rate=st.sampled_from([0.0, 0.5, 0.75, 1.0]),
        minimum=st.integers(1, 8),
        longest=st.sampled_from([30.0, 100.0]),
    )
    def begin(self, consecutive: int, rate: float, minimum: int, longest: float) -> None:
        self.settings = BreakerSettings(
            consecutive=consecutive, rate=rate, minimum=minimum, window=60, open_for=30, longest=longest
        )
        self.now = 1_700_000_000.0
        self.real, self.window, self.model = CLOSED, Window(60), Model(self.settings)

    @rule(seconds=st.sampled_from([0, 1, 5, 6, 29, 30, 59, 60, 61, 200]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def send(self) -> None:
        admitted = breakers.admit(self.real, self.now, self.settings)
        assert (admitted is not None) == self.model.may(self.now)
        if admitted is not None:
            self.real = admitted
            self.model.send(self.now)

    @rule()
    def succeed(self) -> None:
        was = self.real.state
        self.real = breakers.succeeded(self.real)
        if was == "closed":
            self.window.add(self.now, False)
        elif self.real.state == "closed":
            self.window.clear()
        self.model.succeed(self.now)

    @rule()
    def fail(self) -> None:
        if self.real.state == "closed":
            self.window.add(self.now, True)
        tally = self.window.tally(self.now)
        self.real = breakers.failed(self.real, "503", self.now, tally, self.settings)
        self.model.fail(self.now)

    @rule()
    def abandon(self) -> None:
        self.real = breakers.abandoned(self.real)
        if self.model.state == "half_open":
            self.model.trial = None

    @precondition(lambda self: self.real.state == "open")
    @rule()
    def probe(self) -> None:
        self.real = breakers.half_opened(self.real, self.now)
        self.model.state = "half_open"

    @rule()
    def restart(self) -> None:
        self.real = breakers.restored(self.real)
        self.model.trial = None

    @invariant()
    def alike(self) -> None:
        assert (self.real.state, self.real.openings) == (self.model.state, self.model.openings)
        assert self.real.trial_since == self.model.trial
        assert self.real.allows(self.now, self.settings) == self.model.may(self.now)
        if self.real.state == "open":
            assert self.real.until == self.model.until
        if self.real.state == "closed":
            assert self.real.failures == self.model.in_a_row
            recent = self.model.recent(self.now)
            assert self.window.tally(self.now) == (len(recent), sum(recent))


Machine.TestCase.settings = profile(max_examples=150, stateful_step_count=40, deadline=None)
test_against_the_model = Machine.TestCase

SETTINGS = BreakerSettings(consecutive=2, rate=0, open_for=30, longest=100)


def opened(times: int) -> Breaker:
    state = CLOSED
    for _ in range(2):
        state = breakers.failed(state, "500", NOW, (0, 0), SETTINGS)
    for _ in range(times - 1):
        trial = breakers.admit(state, state.until, SETTINGS)
        assert trial is not None
        state = breakers.failed(trial, "502", NOW, (0, 0), SETTINGS)
    return state


@pytest.mark.parametrize(("times", "wait"), [(1, 30), (2, 60), (3, 100), (50, 100)])
def test_it_waits_longer_each_time(times: int, wait: float) -> None:
    state = opened(times)
    assert (state.state, state.openings, state.until) == ("open", times, NOW + wait)
    assert state.reason == ("500" if times == 1 else "502")
    assert not state.allows(state.until - 0.001, SETTINGS)
    assert state.allows(state.until, SETTINGS)


def test_one_trial_at_a_time() -> None:
    state = opened(1)
    trial = breakers.admit(state, state.until, SETTINGS)
    assert trial is not None
    assert breakers.admit(trial, state.until, SETTINGS) is None
    assert breakers.admit(breakers.abandoned(trial), state.until, SETTINGS) == trial
    assert breakers.succeeded(trial) is CLOSED


def test_a_trial_that_is_never_heard_of_again() -> None:
    state = opened(1)
    trial = breakers.admit(state, state.until, SETTINGS)
    assert trial is not None
    assert breakers.admit(trial, state.until + SETTINGS.longest, SETTINGS) is not None


def test_calls_from_before_say_nothing() -> None:
    state = opened(1)
    assert breakers.succeeded(state) is state
    assert breakers.failed(state, "late", NOW + 5, (9, 9), SETTINGS) is state
    waiting = breakers.half_opened(state, NOW)
    assert breakers.failed(waiting, "late", NOW + 5, (9, 9), SETTINGS) is waiting


def test_a_clock_that_is_set_back() -> None:
    window = Window(60)
    window.add(NOW, True)
    window.add(NOW - 3600, False)
    assert window.tally(NOW - 3600) == (2, 1)
    assert window.tally(NOW) == (2, 1)
    assert window.tally(NOW + 3600) == (0, 0)
