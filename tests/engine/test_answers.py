"""Stored answers as a process sees them: at once there, counted, bounded; a bad file costs answers alone."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from llm_intercept.engine import answers as module
from llm_intercept.engine.answers import Answers
from llm_intercept.home import Home
from llm_intercept.store.cache import AnswerStore, Stored, Which, opened
from llm_intercept.store.migrate import connect
from tests.live.stack import wait_for
from tests.store.test_cache import FACTS, HOUR, NOW, answer

CLOCK = NOW / 1e6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    home = Home(tmp_path / "home")
    home.ensure()
    return home.cache_db


@contextmanager
def at_work(
    path: Path, max_bytes: int = 10**9, clock: Callable[[], float] = lambda: CLOCK
) -> Iterator[Answers]:
    found = Answers(AnswerStore(path), max_bytes, clock)
    try:
        yield found
    finally:
        found.close()


def on_disk(path: Path) -> list[str]:
    with opened(path) as store:
        return [entry.request_id for entry in store.entries(Which(), 1000)]


def written(path: Path, count: int) -> None:
    wait_for(lambda: len(on_disk(path)) == count, f"{count} answers on the disk")


def test_there_at_once_and_later_from_the_disk(path: Path) -> None:
    with at_work(path) as answers:
        assert answers.get(FACTS.key) is None
        assert answers.put(FACTS)
        assert answers.get(FACTS.key) == FACTS
        written(path, 1)
        assert answers.get(FACTS.key) == FACTS
        assert answers.get(bytes(31) + b"x") is None


def test_the_newest_counts(path: Path) -> None:
    with at_work(path) as answers:
        answers.put(FACTS)
        written(path, 1)
        answers.put(replace(FACTS, body=b"{}"))
        found = answers.get(FACTS.key)
        assert found is not None
        assert found.body == b"{}"
    assert len(on_disk(path)) == 1


def test_out_of_date(path: Path) -> None:
    clock = [CLOCK]
    with at_work(path, clock=lambda: clock[0]) as answers:
        answers.put(replace(FACTS, expires_us=NOW + 1_000_000))
        assert answers.get(FACTS.key)
        clock[0] += 1
        assert answers.get(FACTS.key) is None  # in memory
        wait_for(lambda: not answers._fresh, "it is on the disk")
        assert answers.get(FACTS.key) is None  # and on the disk


def test_hits_are_counted(path: Path) -> None:
    with at_work(path, clock=lambda: CLOCK + 60) as answers:
        answers.put(FACTS)
        for _ in range(3):
            answers.hit(FACTS.key)
        written(path, 1)
        answers.hit(FACTS.key)
        answers.hit(b"of nothing that is there")
    with opened(path) as store:
        (entry,) = store.entries(Which(), 10)
    assert (entry.hits, entry.used_us) == (4, NOW + 60_000_000)


def test_closing_writes_the_rest(path: Path) -> None:
    with at_work(path) as answers:
        for number in range(50):
            answers.put(answer(number))
        answers.hit(answer(7).key)
    with opened(path) as store:
        assert store.totals(NOW).entries == 50
        assert store.totals(NOW).hits == 1


def test_what_comes_while_the_rest_is_written_is_written_as_well(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end comes while the thread is busy with what was there before."""
    store = AnswerStore(path)
    answers, put, busy, go_on = (
        Answers(store, 10**9, lambda: CLOCK),
        store.put,
        threading.Event(),
        threading.Event(),
    )

    def slowly(given: list[Stored]) -> None:
        busy.set()
        assert go_on.wait(30)
        put(given)

    monkeypatch.setattr(store, "put", slowly)
    answers.put(answer(1))
    assert busy.wait(30)
    answers.put(answer(2))
    closer = threading.Thread(target=answers.close, args=(30.0,))
    closer.start()
    wait_for(lambda: answers._closing, "closing has begun")
    go_on.set()
    closer.join(30)
    assert on_disk(path) == ["r-2", "r-1"]


def test_closed_without_having_been_used(path: Path) -> None:
    with at_work(path):
        pass


def test_one_thread_writes_whoever_comes_first(path: Path) -> None:
    with at_work(path) as answers:
        start = threading.Barrier(8)

        def one(number: int) -> None:
            start.wait()
            answers.put(answer(number))

        threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [t.name for t in threading.enumerate()].count("cache-writer") == 1
    assert len(on_disk(path)) == 8


def test_what_is_not_fit_is_neither_given_nor_written(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fails(answer: Stored) -> bool:
        raise ValueError("cannot say")

    with at_work(path) as answers:
        assert answers.put(answer(1), lambda given: given.request_id == "r-1")
        assert answers.put(answer(2), lambda given: False)
        assert answers.put(answer(3), lambda given: False)  # never asked for
        assert answers.put(answer(4), fails)
        assert answers.get(answer(1).key) == answer(1)
        assert answers.get(answer(2).key) is None
        assert answers.get(answer(4).key) is None
        written(path, 1)
        assert [answers.get(answer(n).key) is None for n in (1, 2, 3, 4)] == [False, True, True, True]
    assert on_disk(path) == ["r-1"]
    assert "cannot say" in caplog.text


def test_too_much_waiting_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES", 1000)
    store = AnswerStore(path)
    go_on, put = threading.Event(), store.put

    def slowly(given: list[Stored]) -> None:
        assert go_on.wait(30)
        put(given)

    monkeypatch.setattr(store, "put", slowly)
    answers = Answers(store, 10**9, lambda: CLOCK)
    assert answers.put(answer(1, body=b"x" * 600))
    assert not answers.put(answer(2, body=b"x" * 600))
    assert answers.put(answer(3, body=b"x" * 300))
    assert answers.get(answer(2).key) is None
    go_on.set()
    written(path, 2)
    wait_for(lambda: answers.put(answer(2, body=b"x" * 600)), "room again")
    answers.close()
    assert sorted(on_disk(path)) == ["r-1", "r-2", "r-3"]


def test_those_not_asked_for_longest_go(path: Path) -> None:
    with at_work(path, clock=lambda: CLOCK + 60) as first:
        for number in range(40):
            first.put(answer(number, headers=()))
        written(path, 40)
        first.hit(answer(0).key)
    with opened(path) as store:
        size = store.totals(NOW).stored
    with at_work(path, max_bytes=size // 2) as second:
        second.put(answer(50, body=b"y"))
        wait_for(lambda: len(on_disk(path)) < 30, "the file is smaller")
    left = on_disk(path)
    assert "r-50" in left
    assert "r-0" in left
    assert "r-1" not in left


def test_what_is_out_of_date_goes(path: Path) -> None:
    with at_work(path, clock=lambda: CLOCK + 7200) as answers:
        for number in range(5):
            answers.put(answer(number))
        answers.put(answer(9, expires_us=NOW + 3 * HOUR))
        wait_for(lambda: on_disk(path) == ["r-9"], "the rest has gone")


# --- bad files


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE answers SET body = x'0001'",
        "UPDATE answers SET body = 'text'",
        "UPDATE answers SET headers = '{'",
        "UPDATE answers SET headers = '[1]'",
        "UPDATE answers SET headers = '[[1]]'",
        "DROP TABLE answers",
    ],
)
def test_a_damaged_file_costs_answers(path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    with at_work(path) as answers:
        answers.put(FACTS)
        written(path, 1)
        with closing(connect(path)) as other:
            other.execute(damage)
        assert answers.get(FACTS.key) is None
        assert answers.get(FACTS.key) is None
        answers.put(answer(1))
        assert answers.get(answer(1).key) == answer(1)
    assert caplog.text.count("cache.db cannot be read") == 1


def test_a_file_that_another_has_locked(path: Path) -> None:
    """Look-ups do not wait for it; what is to be written does."""
    with at_work(path) as answers:
        answers.put(FACTS)
        written(path, 1)
        with closing(connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            answers.put(answer(1))
            wait_for(lambda: not answers._waiting.is_set(), "the thread has begun")
            assert answers.get(FACTS.key) == FACTS
            assert answers.get(answer(1).key) == answer(1)
            other.execute("ROLLBACK")
        written(path, 2)


def test_a_file_that_is_full(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = AnswerStore(path)
    store._connection.execute("PRAGMA max_page_count = 30")
    answers = Answers(store, 10**9, lambda: CLOCK)
    answers.put(replace(FACTS, body=bytes(range(256)) * 4000, headers=(("x", "é" * 200_000),)))
    wait_for(lambda: answers.problems, "it has been tried")
    assert "full" in answers.problems["written"]
    assert answers.get(FACTS.key) is None
    answers.put(answer(1))
    written(path, 1)
    wait_for(lambda: not answers.problems, "it works again")
    answers.close()
    assert caplog.text.count("cache.db cannot be written") == 1
    assert caplog.records[0].levelno == logging.WARNING


def test_closed_under_it(path: Path) -> None:
    store = AnswerStore(path)
    answers = Answers(store, 10**9, lambda: CLOCK)
    store.close()
    assert answers.get(FACTS.key) is None
    assert "closed" in answers.problems["read"]
    assert answers.put(FACTS)
    answers.hit(FACTS.key)
    wait_for(lambda: FACTS.key not in answers._fresh, "it was tried")
    assert answers.get(FACTS.key) is None
    with pytest.raises(sqlite3.ProgrammingError):
        store.get(FACTS.key, NOW)
    answers.close()
