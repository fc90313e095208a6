import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from llm_intercept.errors import StoreError
from llm_intercept.home import Home
from llm_intercept.store import pools
from llm_intercept.store.migrate import connect
from llm_intercept.store.pools import BreakerRow, Changes, KeyRow
from llm_intercept.store.sideline import Sideline
from llm_intercept.store.writer import Writer
from tests.store.conftest import Query
from tests.store.example import row

SECONDS = 20.0
NOW_US = 1_795_166_000_000_000
KEY = KeyRow("openai", "main", "", NOW_US, "429 slow down", "", NOW_US)
OPEN = BreakerRow("openai", "main", "gpt", "open", 5, "503", NOW_US, 1, NOW_US)


def changes(*rows: KeyRow | BreakerRow) -> Changes:
    found = Changes()
    for entry in rows:
        place = (entry.provider, entry.credential, entry.model)
        if isinstance(entry, KeyRow):
            found.keys[place] = entry
        else:
            found.breakers[place] = entry
    return found


def closed(model: str, changed_us: int) -> BreakerRow:
    return BreakerRow("openai", "main", model, "closed", 0, "", 0, 0, changed_us)


def test_the_newest_row_of_a_place_stands(usage_db: sqlite3.Connection, home: Home) -> None:
    pools.write_changes(usage_db, changes(KEY, OPEN), NOW_US)
    assert pools.read(home.usage_db) == ([KEY], [OPEN])
    later = closed("gpt", NOW_US + 5)
    pools.write_changes(usage_db, changes(later), NOW_US)
    assert pools.read(home.usage_db) == ([KEY], [later])


def test_what_is_long_over_is_forgotten(usage_db: sqlite3.Connection, home: Home) -> None:
    denied = KeyRow("openai", "main", "gpt", NOW_US, "403", "", NOW_US)
    old, recent = closed("old", NOW_US), closed("recent", NOW_US + 10)
    pools.write_changes(usage_db, changes(KEY, denied, OPEN, old, recent), NOW_US)
    assert len(pools.read_breakers(usage_db)) == 3
    pools.write_changes(usage_db, changes(KEY), NOW_US + pools.KEPT_US + 5)
    assert pools.read(home.usage_db) == ([KEY], [OPEN, recent])


def test_a_database_that_cannot_be_read(home: Home) -> None:
    home.usage_db.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"usage\.db"):
        pools.read(home.usage_db)


def test_a_transaction_that_fails_leaves_nothing(usage_db: sqlite3.Connection) -> None:
    faulty = KeyRow("x", "y", "", None, "", "", 0)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        pools.write_changes(usage_db, changes(KEY, faulty), NOW_US)
    assert not usage_db.in_transaction
    assert pools.read_keys(usage_db) == []


class Source:
    """Gives each of some changes once."""

    def __init__(self, *found: Changes) -> None:
        self.found = list(found)
        self.asked = threading.Event()

    def __call__(self) -> Changes:
        self.asked.set()
        return self.found.pop(0) if self.found else Changes()


def test_at_most_once_a_second(usage_db: sqlite3.Connection) -> None:
    now = [0.0]
    sideline = Sideline(Source(changes(KEY), changes(OPEN)), lambda: now[0])
    sideline.write(lambda: usage_db)
    now[0] = 0.9
    sideline.write(lambda: usage_db)
    assert pools.read_breakers(usage_db) == []
    sideline.write(lambda: usage_db, at_once=True)
    assert (pools.read_keys(usage_db), pools.read_breakers(usage_db)) == ([KEY], [OPEN])


def test_what_cannot_be_written_stays(usage_db: sqlite3.Connection) -> None:
    def unreachable() -> sqlite3.Connection:
        raise sqlite3.OperationalError("database is locked")

    newer = KeyRow("openai", "main", "", 0, "", "", NOW_US + 1)
    sideline = Sideline(Source(changes(KEY, OPEN), changes(newer)))
    with pytest.raises(sqlite3.OperationalError):
        sideline.write(unreachable)
    sideline.write(lambda: usage_db, at_once=True)
    assert (pools.read_keys(usage_db), pools.read_breakers(usage_db)) == ([newer], [OPEN])


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    pause = threading.Event()
    while not condition() and time.monotonic() < deadline:
        pause.wait(0.01)
    return condition()


def test_the_writer_writes_it_without_any_call(home: Home, query: Query) -> None:
    found = Source()
    writer = Writer(home, state=found)
    writer.start()
    assert found.asked.wait(SECONDS)
    found.found.append(changes(OPEN))
    assert until(lambda: query("SELECT state FROM breakers") == [("open",)])
    assert writer.stop(SECONDS)


def test_the_writer_writes_it_at_the_end(home: Home, query: Query) -> None:
    found = Source(Changes())
    writer = Writer(home, window=0.01, state=found)
    writer.start()
    writer.put(row(0))
    assert found.asked.wait(SECONDS)
    found.found += [changes(OPEN)]
    assert writer.stop(SECONDS)
    assert query("SELECT state FROM breakers") == [("open",)]
    assert query("SELECT count(*) FROM requests") == [(1,)]


def test_a_source_that_fails_costs_no_row(home: Home, query: Query, caplog: pytest.LogCaptureFixture) -> None:
    def faulty() -> Changes:
        raise ZeroDivisionError("in the state")

    writer = Writer(home, window=0.01, state=faulty)
    writer.put(row(0))
    writer.start()
    assert writer.stop(SECONDS)
    assert query("SELECT count(*) FROM requests") == [(1,)]
    assert "in the state" in caplog.text


CHILD = """
import sys, time
from pathlib import Path
from llm_intercept.engine.health import Health, TargetKey
from llm_intercept.home import Home
from llm_intercept.policy.attempts import Failure
from llm_intercept.settings import BreakerSettings
from llm_intercept.store.writer import Writer

health = Health(BreakerSettings(consecutive=1, open_for=500), time.time)
Writer(Home(Path(sys.argv[1])), state=health.changes).start()
health.failed(TargetKey("openai", "main", "gpt"), Failure("connect"), {})
health.failed(TargetKey("openai", "spare", "gpt"), Failure("status", 429), {"retry-after": "500"})
print("told", flush=True)
time.sleep(600)
"""


def test_it_survives_kill_minus_nine(home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home.path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "told\n"
        written = until(lambda: all(pools.read(home.usage_db)))
        child.kill()
    assert written
    with closing(connect(home.usage_db, readonly=True)) as connection:
        assert [(r.credential, r.state) for r in pools.read_breakers(connection)] == [("main", "open")]
        assert [(r.credential, r.reason) for r in pools.read_keys(connection)] == [("spare", "429")]
