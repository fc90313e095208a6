"""The locks and leases; what is done under them is tested with the engine."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from llm_intercept.home import Home
from llm_intercept.store.reservations import Busy, Counters, Lease, checkpoint, is_dead, only_one


def test_what_is_raised_inside_undoes_it(home: Home) -> None:
    def change(counters: Counters) -> None:
        with counters.changing(1.0) as changes:
            changes.counters(["a"])["a"].add(0, 0, 5)
            changes.changed("a")
            changes.open("me", "call", [("a", 0, "requests", 1)], 1)
            raise ValueError("no")

    with closing(Counters(home.limits_db)) as counters:
        with pytest.raises(ValueError, match="no"):
            change(counters)
        assert counters.read() == {}
        assert counters.open_reservations() == []


def test_a_reservation_is_taken_once(home: Home) -> None:
    with closing(Counters(home.limits_db)) as counters:
        with counters.changing(1.0) as changes:
            made = changes.open("me", "call", [("a", 60, "requests", 1)], 7)
        [held] = counters.open_reservations()
        assert (held.owner, held.call, held.holds, held.opened_us) == (
            "me",
            "call",
            (("a", 60, "requests", 1),),
            7,
        )
        with counters.changing(1.0) as changes:
            assert changes.take(made) == (("a", 60, "requests", 1),)
            assert changes.take(made) is None


def test_one_thread_at_a_time(home: Home) -> None:
    with closing(Counters(home.limits_db)) as counters, counters.changing(1.0):
        found: list[str] = []

        def other() -> None:
            try:
                with counters.changing(0.001):
                    found.append("in")
            except Busy:
                found.append("busy")

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert found == ["busy"]


def test_a_lease_says_who_lives(tmp_path: Path) -> None:
    lease = Lease(tmp_path, "me")
    assert not is_dead(tmp_path, "me")
    lease.end()
    lease.end()
    assert is_dead(tmp_path, "me")
    assert is_dead(tmp_path, "nobody")
    assert list(tmp_path.iterdir()) == []


def test_one_sweeps_at_a_time(tmp_path: Path) -> None:
    with only_one(tmp_path, wait=True) as first, only_one(tmp_path, wait=False) as second:
        assert (first, second) == (True, False)
    with only_one(tmp_path, wait=False) as third:
        assert third


def test_the_log_is_moved_into_the_database(home: Home) -> None:
    with closing(Counters(home.limits_db)) as counters:
        with counters.changing(1.0) as changes:
            changes.counters(["a"])["a"].add(0, 0, 5)
            changes.changed("a")
        checkpoint(home.limits_db)
        assert counters.read()["a"].used == 5
