"""Reservations that grow while an answer comes, over a real database."""

from collections.abc import Mapping

import pytest

from llm_intercept.engine.admission import Actual
from llm_intercept.engine.extending import Plan
from llm_intercept.policy.limits import LimitBook, StoredLimit
from llm_intercept.policy.worst_case import Worst
from tests.engine.test_admission import Place, counted, held, limit, place

__all__ = ["place"]

STREAM = Worst(60, 40, 5_000, input_nanos=1_000, asked=True, stream=True)


def seen(rooms: dict[str, int | None], more: Mapping[str, int]) -> Plan:
    """Notes the rooms that it is told of."""

    def plan(told: Mapping[str, int | None]) -> Mapping[str, int]:
        rooms.update(told)
        return more

    return plan


def test_a_stream_reserves_less_where_its_limit_says_so(place: Place) -> None:
    admission = place.admission(
        limit("tokens", 1000, reserve=10), limit("tokens", 1000, per="day"), limit("cost", 10**6, reserve=10)
    )
    held(admission, worst=STREAM)
    assert counted(admission) == {"lim_0:": (0, 70), "lim_1:": (0, 100), "lim_2:": (0, 2_000)}


def test_other_answers_do_not(place: Place) -> None:
    admission = place.admission(limit("tokens", 1000, reserve=10))
    held(admission, worst=Worst(60, 40))
    assert counted(admission) == {"lim_0:": (0, 100)}


def test_what_was_added_is_settled(place: Place) -> None:
    admission = place.admission(limit("tokens", 100, reserve=10), limit("requests", 5))
    reservation = held(admission, worst=STREAM)
    rooms: dict[str, int | None] = {}
    assert admission.extend(reservation, seen(rooms, {"lim_0:": 25})) == {"lim_0:": 25}
    assert rooms == {"lim_0:": 30, "lim_1:": 4}
    assert counted(admission)["lim_0:"] == (0, 95)
    admission.settle(reservation, Actual(1, 90))
    assert counted(admission) == {"lim_0:": (90, 0), "lim_1:": (1, 0)}
    assert admission.counters.open_reservations() == []


def test_a_call_that_has_ended_takes_no_more(place: Place) -> None:
    admission = place.admission(limit("tokens", 100, reserve=10))
    reservation = held(admission, worst=STREAM)
    admission.release(reservation)
    assert admission.extend(reservation, seen({}, {"lim_0:": 25})) == {}
    assert counted(admission) == {"lim_0:": (0, 0)}


@pytest.mark.parametrize(
    ("changed", "room"),
    [
        (limit("tokens", 75), 5),
        (limit("tokens", 10), 0),
        (limit("tokens", 10, soft=True), None),
        (None, None),
    ],
    ids=["lowered", "below what is reserved", "softened", "removed"],
)
def test_a_limit_counts_as_it_is_now(place: Place, changed: object, room: int | None) -> None:
    admission = place.admission(limit("tokens", 1000, reserve=10))
    reservation = held(admission, worst=STREAM)
    left = [StoredLimit("lim_0", changed)] if changed is not None else []  # type: ignore[arg-type]
    admission.book = LimitBook(left)
    rooms: dict[str, int | None] = {}
    admission.extend(reservation, seen(rooms, {}))
    assert rooms == {"lim_0:": room}


def test_a_period_that_is_over_does_not_count(place: Place) -> None:
    admission = place.admission(limit("tokens", 100, per="minute", reserve=10))
    reservation = held(admission, worst=STREAM)
    place.now += 300
    rooms: dict[str, int | None] = {}
    admission.extend(reservation, seen(rooms, {"lim_0:": 1_000}))
    assert rooms == {"lim_0:": None}
    admission.settle(reservation, Actual(1, 1_060))
    assert counted(admission) == {"lim_0:": (0, 0)}
