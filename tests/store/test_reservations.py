"""The locks and leases; what is done under them is tested with the engine."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from llm_intercept.home import Home
from llm_intercept.store.reservations import Busy, Counters, Lease, checkpoint, is_dead, only_one


def fail(counters: Counters) -> None:
    with counters.changing(1.0) as changes:
        changes.counters(["a"])["a"].add(0, 0, 5)
        changes.changed("a")
        changes.open("me", "call", [("a", 0, "requests", 1)], 1)
        raise ValueError("no")


def test_what_is_raised_inside_undoes_it(home: Home) -> None:
    with closing(Counters(home.limits_db)) as counters:
        with pytest.raises(ValueError, match="no"):
            fail(counters)
        assert counters.read() == {}
        assert counters.open_reservations() == []


def add(counters: Counters, key: str, amount: int) -> int:
    """What the counter says afterwards."""
    with counters.changing(1.0) as changes:
        counter = changes.counters([key])[key]
        counter.add(0, 0, amount)
        changes.changed(key)
        return counter.used


def test_what_others_write_is_seen(home: Home) -> None:
    with closing(Counters(home.limits_db)) as one, closing(Counters(home.limits_db)) as other:
        assert [add(one, "a", 1), add(one, "a", 1), add(other, "a", 5)] == [1, 2, 7]
        assert [add(one, "b", 1), add(one, "a", 1), add(other, "b", 1)] == [1, 8, 2]
        checkpoint(home.limits_db)
        assert [add(one, "a", 1), add(other, "a", 1)] == [9, 10]


def test_what_was_changed_and_not_written_is_forgotten(home: Home) -> None:
    with closing(Counters(home.limits_db)) as counters:
        add(counters, "a", 1)
        with counters.changing(1.0) as changes:
            changes.counters(["a"])["a"].add(0, 0, 5)
        assert add(counters, "a", 0) == 1
        with pytest.raises(ValueError, match="no"):
            fail(counters)
        assert add(counters, "a", 1) == 2


def test_what_was_deleted_is_forgotten(home: Home) -> None:
    with closing(Counters(home.limits_db)) as counters:
        add(counters, "gone:me", 1)
        with counters.changing(1.0) as changes:
            assert changes.prune([], 1.0, "") == ""
        assert add(counters, "gone:me", 1) == 1


def test_many_counters(home: Home) -> None:
    with closing(Counters(home.limits_db)) as counters:
        for turn in (1, 2):
            with counters.changing(1.0) as changes:
                keys = [str(number) for number in range(700)]
                found = changes.counters(keys)
                for key in keys:
                    found[key].add(0, 0, 1)
                    changes.changed(key)
            assert add(counters, "3", 0) == turn


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
