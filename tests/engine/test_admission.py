"""Reserve and settle over a real database; the races themselves are `bench/races.py`."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import races
from llm_intercept.engine.admission import NOTHING, UNKNOWN, Actual, Admission, Reservation
from llm_intercept.engine.events import Event
from llm_intercept.engine.thresholds import Thresholds
from llm_intercept.home import Home
from llm_intercept.policy.limit_texts import Standing
from llm_intercept.policy.limits import Limit, LimitBook, Parties, StoredLimit
from llm_intercept.policy.worst_case import Worst
from llm_intercept.store.reservations import Busy

CALL = Parties(project="demo", token="demo/laptop", model="gpt-4o", provider="openai")
WORST = Worst(60, 40, 5_000)


class Place:
    """A home with admissions in it, a clock that moves when told, and what was emitted."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.home.ensure()
        self.now = 1_795_000_000.0
        self.events: list[Event] = []
        self.open: list[Admission] = []

    def admission(self, *limits: Limit) -> Admission:
        made = Admission(
            self.home.limits_db, self.home.leases, Thresholds(self.events.append), now=lambda: self.now
        )
        made.book = LimitBook([StoredLimit(f"lim_{n}", limit) for n, limit in enumerate(limits)])
        self.open.append(made)
        return made


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "home")
    yield made
    for admission in made.open:
        with contextlib.suppress(sqlite3.ProgrammingError):
            admission.close()


def limit(measure: str, amount: int, **more: object) -> Limit:
    return Limit.model_validate({"scope": "global", "measure": measure, "amount": amount, **more})


def take(admission: Admission, call: str = "a", worst: Worst = WORST) -> Reservation | Standing:
    return admission.reserve(call, admission.book.applicable(CALL), worst)


def held(admission: Admission, call: str = "a", worst: Worst = WORST) -> Reservation:
    found = take(admission, call, worst)
    assert isinstance(found, Reservation), found
    return found


def refused(admission: Admission, worst: Worst = WORST) -> Standing:
    found = take(admission, "refused", worst)
    assert isinstance(found, Standing), found
    return found


def counted(admission: Admission) -> dict[str, tuple[int, int]]:
    admission.flush()
    return {key: (c.used, c.reserved) for key, c in admission.counters.read().items()}


def test_the_worst_case_is_held_until_the_real_figure_is_known(place: Place) -> None:
    admission = place.admission(limit("tokens", 150), limit("requests", 10), limit("cost", 9_000))
    reservation = held(admission)
    assert counted(admission) == {"lim_0:": (0, 100), "lim_1:": (0, 1), "lim_2:": (0, 5_000)}
    assert refused(admission).applied.limit.measure == "tokens"
    admission.settle(reservation, Actual(1, 30, 700))
    assert counted(admission) == {"lim_0:": (30, 0), "lim_1:": (1, 0), "lim_2:": (700, 0)}
    held(admission)


def test_what_is_refused_counts_against_nothing(place: Place) -> None:
    admission = place.admission(limit("requests", 5), limit("tokens", 99))
    for _ in range(3):
        assert refused(admission).need == 100
    assert counted(admission) == {}
    assert admission.counters.open_reservations() == []


def test_another_target_takes_the_place_of_the_first(place: Place) -> None:
    admission = place.admission(
        limit("tokens", 150), limit("requests", 1), limit("tokens", 90, scope="model", name="small")
    )
    first = held(admission)
    other = admission.book.applicable(CALL._replace(model="small"))
    full = admission.reserve("a", other, WORST, instead=first)
    assert isinstance(full, Standing)
    assert full.applied.limit.scope == "model"
    assert counted(admission) == {"lim_0:": (0, 100), "lim_1:": (0, 1)}
    second = admission.reserve("a", other, Worst(10, 10, 0), instead=first)
    assert isinstance(second, Reservation)
    assert counted(admission) == {"lim_0:": (0, 20), "lim_1:": (0, 1), "lim_2:": (0, 20)}
    admission.settle(second, Actual(1, 15, 0))
    admission.settle(first, Actual(1, 15, 0))
    assert counted(admission) == {"lim_0:": (15, 0), "lim_1:": (1, 0), "lim_2:": (15, 0)}


def test_what_was_handed_over_is_not_lost_with_a_refusal(place: Place) -> None:
    admission = place.admission(limit("requests", 2), limit("tokens", 1000))
    first, _second = held(admission), held(admission, "b")
    admission.settle(first, Actual(1, 30, 0))
    assert refused(admission).taken == 2
    assert counted(admission) == {"lim_0:": (1, 1), "lim_1:": (30, 100)}


@pytest.mark.parametrize("ends", [1, 2, 5])
def test_a_reservation_ends_once(place: Place, ends: int) -> None:
    admission = place.admission(limit("tokens", 1000), limit("concurrency", 2))
    reservation = held(admission)
    for number in range(ends):
        admission.settle(reservation, Actual(1, 30 + number, 0))
        admission.release(reservation)
    assert counted(admission) == {"lim_0:": (30, 0), "lim_1:": (0, 0)}


def test_a_slot_is_free_before_the_call_is_settled(place: Place) -> None:
    admission = place.admission(limit("concurrency", 1), limit("tokens", 1000))
    reservation = held(admission)
    assert refused(admission).applied.limit.measure == "concurrency"
    admission.free(reservation)
    second = held(admission, "b")
    assert counted(admission)["lim_1:"] == (0, 200)
    admission.settle(reservation, Actual(1, 10, 0))
    admission.settle(second, Actual(1, 20, 0))
    assert counted(admission)["lim_1:"] == (30, 0)


def test_the_longest_wait_is_named(place: Place) -> None:
    admission = place.admission(limit("requests", 1, per="minute"), limit("requests", 1, per="day"))
    admission.settle(held(admission), Actual(1))
    assert refused(admission).applied.limit.per == "day"


def test_a_period_ends(place: Place) -> None:
    admission = place.admission(limit("requests", 2, per="minute"))
    for call in "ab":
        admission.settle(held(admission, call), Actual(1))
    assert refused(admission).resets == int(place.now) // 2 * 2 + 62
    place.now += 62
    held(admission)


def test_a_call_that_outlives_its_period_leaves_the_next_one_alone(place: Place) -> None:
    admission = place.admission(limit("tokens", 100, per="day"))
    reservation = held(admission)
    place.now += 86_400
    second = held(admission, "b")
    admission.settle(reservation, Actual(1, 100, 0))
    assert counted(admission) == {"lim_0:": (0, 100)}
    admission.settle(second, Actual(1, 7, 0))
    assert counted(admission) == {"lim_0:": (7, 0)}


def test_what_nothing_was_reserved_for_can_be_charged(place: Place) -> None:
    admission = place.admission(limit("tokens", 100))
    admission.charge(admission.book.applicable(CALL), Actual(1, 95, 0))
    assert refused(admission).taken == 95


def test_soft_limits_only_tell(place: Place) -> None:
    admission = place.admission(limit("requests", 2, soft=True, per="day"))
    for call in "abcd":
        admission.settle(held(admission, call), Actual(1))
    assert counted(admission) == {"lim_0:": (4, 0)}
    assert [event.data["percent"] for event in place.events] == [100]


def test_thresholds_are_told_once_in_a_period(place: Place) -> None:
    admission = place.admission(limit("tokens", 100, per="day", soft=True))
    for _ in range(2):
        for call in "abcdefg":
            admission.settle(held(admission, call), Actual(1, 20, 0))
            admission.flush()
        place.now += 86_400
    told = [(event.kind, event.data["percent"]) for event in place.events]
    assert told == [("limit.threshold", 80), ("limit.threshold", 100)] * 2
    assert "everybody together may use 100 tokens a day" in str(place.events[0].data["text"])


def test_another_amount_has_thresholds_of_its_own(place: Place) -> None:
    admission = place.admission(limit("requests", 5, per="day", soft=True))
    for call in "abcdef":
        held(admission, call)
    admission.book = LimitBook([StoredLimit("lim_0", limit("requests", 10, per="day", soft=True))])
    for call in "ghij":
        held(admission, call)
    assert [(event.data["amount"], event.data["percent"]) for event in place.events] == [
        *((5, 80), (5, 100)),
        *((10, 80), (10, 100)),
    ]


@pytest.mark.parametrize("per", ["minute", "hour", "day", "week", "month", "total"])
def test_a_clock_that_was_years_ahead_fills_nothing_for_years(place: Place, per: str) -> None:
    admission = place.admission(limit("requests", 2, per=per))
    now = place.now
    place.now += 10 * 366 * 86_400
    ahead = held(admission, "a")
    place.now = now
    held(admission, "b")
    full = refused(admission).resets
    assert (full or now) <= now + 31 * 86_400
    admission.settle(ahead, Actual(1))
    admission.flush()
    assert counted(admission)["lim_0:"] == (1, 1)
    if full is not None:
        place.now = full
        held(admission, "c")


def test_a_clock_that_goes_back_a_little_lets_nothing_through(place: Place) -> None:
    admission = place.admission(limit("requests", 2, per="minute"), limit("requests", 3, per="day"))
    place.now = place.now // 86_400 * 86_400 + 86_400 + 1
    held(admission, "a")
    place.now -= 3
    held(admission, "b")
    refused(admission)


def test_a_refusal_is_told_once(place: Place) -> None:
    admission = place.admission(limit("requests", 1, per="day"))
    held(admission)
    for _ in range(3):
        refused(admission)
    assert [event.kind for event in place.events] == ["limit.threshold", "limit.refused"]


def test_two_processes_share_the_counters(place: Place) -> None:
    one, two = (place.admission(limit("requests", 2)) for _ in range(2))
    held(one)
    reservation = held(two)
    assert isinstance(take(one), Standing)
    two.release(reservation)
    two.flush()
    held(one)


def test_somebody_elses_lock_is_not_waited_for_for_ever(place: Place) -> None:
    admission = place.admission(limit("requests", 2))
    with contextlib.closing(sqlite3.connect(place.home.limits_db)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            take(admission)
        other.rollback()
    held(admission)


def test_what_was_handed_over_survives_a_lock(place: Place) -> None:
    admission = place.admission(limit("tokens", 200))
    reservation = held(admission)
    admission.settle(reservation, Actual(1, 30, 0))
    with contextlib.closing(sqlite3.connect(place.home.limits_db)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            admission.flush(patience=0.001)
        other.rollback()
    assert counted(admission) == {"lim_0:": (30, 0)}


def _die(admission: Admission) -> None:
    """What the kernel does to a process: its locks are gone, nothing else happens."""
    os.close(admission._lease._descriptor)
    admission._lease._descriptor = -1


@pytest.mark.parametrize(
    ("known", "left"),
    [
        ({}, (0, 0)),
        ({"a": Actual(1, 40, 0)}, (40, 0)),
        ({"a": UNKNOWN}, (WORST.tokens, 0)),
        ({"other": Actual(1, 40, 0)}, (0, 0)),
    ],
)
def test_the_dead_are_swept(place: Place, known: dict[str, Actual], left: tuple[int, int]) -> None:
    limits = limit("tokens", 100), limit("concurrency", 1)
    dead = place.admission(*limits)
    held(dead)
    _die(dead)
    order: list[str] = []

    def figures(calls: object) -> dict[str, Actual]:
        order.append(f"figures {calls}")
        return known

    heir = place.admission(*limits)
    assert isinstance(take(heir), Standing)
    assert heir.sweep(figures, wait=True, first=lambda: order.append("first")) == 1
    assert order == ["first", "figures ['a']"]
    assert counted(heir) == {"lim_0:": left, "lim_1:": (0, 0)}
    assert heir.counters.owners() == [heir.owner]
    assert heir.sweep(figures, wait=True) == 0


def test_the_living_are_left_alone(place: Place) -> None:
    one, two = (place.admission(limit("requests", 2)) for _ in range(2))
    held(one)
    assert two.sweep(lambda calls: {}, wait=False) == 0
    assert counted(two) == {"lim_0:": (0, 1)}


def test_a_start_always_reads_journals_back(place: Place) -> None:
    seen: list[Callable[[], None] | int] = []
    admission = place.admission()
    admission.sweep(lambda calls: {}, wait=True, first=lambda: seen.append(1))
    admission.sweep(lambda calls: {}, wait=False, first=lambda: seen.append(2))
    assert seen == [1]


def test_closing_leaves_nothing(place: Place) -> None:
    admission = place.admission(limit("tokens", 1000))
    admission.settle(held(admission), Actual(1, 30, 0))
    admission.close()
    heir = place.admission(limit("tokens", 1000))
    assert counted(heir) == {"lim_0:": (30, 0)}
    assert heir.counters.owners() == [heir.owner]
    assert [path.stem for path in place.home.leases.glob("*.lock")] == [heir.owner]


def test_closing_with_calls_under_way_leaves_them_to_the_next_process(place: Place) -> None:
    admission = place.admission(limit("tokens", 1000))
    held(admission)
    admission.close()
    heir = place.admission(limit("tokens", 1000))
    assert heir.sweep(lambda calls: {"a": Actual(1, 12, 0)}, wait=True) == 1
    assert counted(heir) == {"lim_0:": (12, 0)}


def test_counters_that_count_nothing_are_deleted(place: Place) -> None:
    admission = place.admission(limit("requests", 9, per="minute"), limit("requests", 9))
    admission.settle(held(admission), Actual(1))
    admission.flush()
    admission.prune(lambda: {"lim_0", "lim_1"})
    assert set(counted(admission)) == {"lim_0:", "lim_1:"}
    place.now += 100
    admission.prune(lambda: {"lim_0", "lim_1"})
    assert set(counted(admission)) == {"lim_1:"}
    admission.prune(lambda: {"lim_0"})
    assert counted(admission) == {}


def test_nothing_is_taken_for_nothing(place: Place) -> None:
    assert [NOTHING.of(measure) for measure in ("requests", "tokens", "cost", "concurrency")] == [0] * 4


@pytest.mark.parametrize("seed", range(3))
def test_races(seed: int) -> None:
    assert races.one_seed(seed, 300) == []
