import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llm_intercept.home import Home
from llm_intercept.settings import CaptureSettings
from llm_intercept.store.bodies import Body, Capture, read_bodies
from llm_intercept.store.journal import Journal
from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.writer import Writer
from tests.store.conftest import Query
from tests.store.example import row

SECONDS = 20.0


@pytest.fixture
def journal(home: Home) -> Iterator[Journal]:
    journal = Journal(home.journal)
    yield journal
    journal.close()


class Commits:
    """Collects what `on_commit` tells, and lets a test wait for a number of rows."""

    def __init__(self) -> None:
        self.rows: list[RequestRow] = []
        self._changed = threading.Condition()

    def __call__(self, rows: list[RequestRow]) -> None:
        with self._changed:
            self.rows += rows
            self._changed.notify_all()

    def wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.rows) >= count, SECONDS)


def test_a_thousand_jobs(home: Home, journal: Journal, query: Query) -> None:
    commits = Commits()
    writer = Writer(home, journal, on_commit=commits, window=0.01)
    writer.start()
    for n in range(1000):
        journal.begin(row(n).id, {"request_id": row(n).request_id})
        writer.put(lambda n=n: row(n))  # type: ignore[misc]
    assert commits.wait_for(1000)
    assert writer.alive
    assert writer.stop(SECONDS)
    assert not writer.alive
    assert query("SELECT count(*), sum(cost_nanos) FROM requests") == [(1000, 1_499_500)]
    for table in ("usage_hour", "usage_day"):
        assert query(f"SELECT sum(requests), sum(cost_nanos) FROM {table}") == [(1000, 1_499_500)]
    assert (writer.rows_written, writer.depth, writer.lag_s, writer.last_error) == (1000, 0, 0.0, "")
    journal.close()
    assert list(home.journal.iterdir()) == []


def test_rows_are_in_the_journal_long_before_they_are_committed(home: Home, query: Query) -> None:
    class Watched(Journal):
        noted = threading.Event()

        def done(self, *rows: RequestRow) -> None:
            super().done(*rows)
            self.noted.set()

    with closing(Watched(home.journal)) as journal:
        writer = Writer(home, journal, window=60.0)
        writer.start()
        writer.put(lambda: row(0))
        assert journal.noted.wait(SECONDS)
        assert query("SELECT count(*) FROM requests") == [(0,)]
        assert b"\nD " in b"".join(path.read_bytes() for path in home.journal.iterdir())
        assert writer.stop(SECONDS)
    assert query("SELECT count(*) FROM requests") == [(1,)]


def test_stop_drains(home: Home, query: Query) -> None:
    writer = Writer(home, window=60.0)
    writer.start()
    for n in range(50):
        writer.put(row(n))
    assert writer.stop(SECONDS)
    assert query("SELECT count(*) FROM requests") == [(50,)]


def test_a_fault_costs_only_its_own_details(
    home: Home, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty() -> RequestRow:
        raise ZeroDivisionError("in a parser")

    writer = Writer(home, window=0.01)
    writer.put(row(0))
    writer.put(faulty)
    writer.put(faulty, fallback=row(1, outcome="internal_error"))
    writer.put(row(2, input_tokens="not a number"))
    writer.put(row(3, status=object()))
    writer.put(row(4))
    writer.start()
    assert writer.stop(SECONDS)
    assert query("SELECT outcome FROM requests ORDER BY id") == [("ok",), ("internal_error",), ("ok",)]
    assert query("SELECT sum(requests) FROM usage_hour") == [(3,)]
    assert "in a parser" in caplog.text


def test_a_faulty_listener_does_not_stop_it(home: Home, query: Query) -> None:
    def listener(rows: list[RequestRow]) -> None:
        raise RuntimeError("metrics are broken")

    writer = Writer(home, on_commit=listener, window=0.01)
    writer.start()
    writer.put(row(0))
    assert writer.stop(SECONDS)
    assert query("SELECT count(*) FROM requests") == [(1,)]


def test_a_locked_database_delays_but_loses_nothing(
    home: Home, journal: Journal, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_intercept.store.migrate.BUSY_TIMEOUT_MS", 10)
    commits = Commits()
    writer = Writer(home, journal, on_commit=commits, window=0.01)
    with closing(connect(home.usage_db)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer.put(lambda: row(0))
        writer.start()
        failed = threading.Event()
        while "locked" not in writer.last_error:
            failed.wait(0.01)
        assert (writer.depth, writer.alive, writer.lag_s > 0) == (1, True, True)
        writer.put(lambda: row(1))
        other.execute("ROLLBACK")
    assert commits.wait_for(2)
    assert writer.stop(SECONDS)
    assert writer.last_error == ""
    assert query("SELECT count(*) FROM requests") == [(2,)]


def test_what_could_not_be_written_in_time_is_in_the_journal(
    home: Home, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_intercept.store.migrate.BUSY_TIMEOUT_MS", 10)
    journal = Journal(home.journal)
    writer = Writer(home, journal, window=0.01)
    with closing(connect(home.usage_db)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer.put(lambda: row(0))
        writer.start()
        assert not writer.stop(0.2)
    journal.close()
    second = Journal(home.journal)
    again = Writer(home, second, window=0.01)
    again.start()
    for recovered in second.recover():
        again.put(recovered)
    assert again.stop(SECONDS)
    second.close()
    assert query("SELECT count(*), sum(outcome = 'ok') FROM requests") == [(1, 1)]
    assert list(home.journal.iterdir()) == []


def test_a_missing_database_is_an_error_that_is_told(home: Home) -> None:
    home.usage_db.unlink()
    writer = Writer(home, window=0.01)
    writer.put(row(0))
    writer.start()
    assert not writer.stop(0.2)
    assert "cannot be opened" in writer.last_error


def captured(text: bytes) -> Body:
    return Body("request", "application/json", text)


def test_bodies_are_written_beside_the_rows(home: Home) -> None:
    writer = Writer(home, capture=Capture(CaptureSettings(max_bytes=1024, retention_days=10**6)), window=0.01)
    writer.put(row(0), bodies=lambda r: [captured(f"body of {r.model}".encode())], body_bytes=10)
    writer.put(row(1, id=row(0).id), bodies=lambda r: [captured(b"collided")], body_bytes=10)
    writer.put(row(2), bodies=lambda r: 1 / 0, body_bytes=10)  # type: ignore[arg-type, return-value]
    writer.start()
    assert writer.stop(SECONDS)
    assert [body.text for body in read_bodies(home.bodies_db, row(0).id)] == ["body of gpt-0"]
    assert [body.text for body in read_bodies(home.bodies_db, row(0).id + 1)] == ["collided"]
    assert writer.rows_written == 3


def test_too_many_bodies_are_dropped_and_rows_are_not(home: Home, query: Query) -> None:
    writer = Writer(home, body_budget=250, capture=Capture(CaptureSettings(retention_days=10**6)))
    for n in range(5):
        writer.put(row(n), bodies=lambda r: [captured(b"x")], body_bytes=100)
    writer.start()
    assert writer.stop(SECONDS)
    assert writer.bodies_dropped == 3
    assert query("SELECT count(*) FROM requests") == [(5,)]
    with closing(sqlite3.connect(home.bodies_db)) as bodies:
        assert bodies.execute("SELECT count(*) FROM bodies").fetchone() == (2,)


# Writes until it is killed; tells each number only after it is in the journal.
CHILD = """
import sys
from pathlib import Path
from llm_intercept.home import Home
from llm_intercept.store.journal import Journal
from llm_intercept.store.writer import Writer
from tests.store.example import row

home = Home(Path(sys.argv[1]))
journal = Journal(home.journal, segment_bytes=20_000)
writer = Writer(home, journal, window=0.005)
writer.start()
for n in range(100_000):
    journal.begin(row(n).id, row(n, outcome=""))
    if n % 10:
        writer.put(lambda n=n: row(n))
    print(n, flush=True)
"""


def test_kill_minus_nine_while_writing(home: Home, query: Query) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home.path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= 700:
                child.kill()
                break
        begun = max([int(line), *(int(number) for number in child.stdout if number.endswith("\n"))]) + 1
    for _ in range(2):  # the second time there is nothing left to do
        journal = Journal(home.journal)
        writer = Writer(home, journal, window=0.01)
        writer.start()
        for recovered in journal.recover():
            writer.put(recovered)
        assert writer.stop(SECONDS)
        journal.close()
        [(rows, interrupted)] = query("SELECT count(*), sum(outcome = 'interrupted') FROM requests")
        assert isinstance(rows, int)
        assert begun <= rows <= begun + 1  # killed between a write and telling about it
        assert isinstance(interrupted, int)
        assert interrupted >= rows // 10
        assert query("SELECT sum(requests), sum(errors) FROM usage_hour") == [(rows, interrupted)]
    assert list(home.journal.iterdir()) == []
