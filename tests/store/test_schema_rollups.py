"""Sums of an older home are split by user and key out of its calls; those without calls stay as they are."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bench.seed import rows
from llm_intercept.store.migrate import connect, migrate
from llm_intercept.store.rollup import KEYS, SUMS, aggregate
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.schema import USAGE
from llm_intercept.store.usage import write_batch

NOW = 1_795_160_678_786_495
FORMER = USAGE[: [name for name, _ in USAGE].index("m005_rollups")]
_LATER = ("cache_hits", "saved_nanos", "cache_asked")
ROUNDED = ", ".join(f"round({name}, 3)" for name in (*SUMS, "duration_7", "ttft_6") if name not in _LATER)


def old_home(path: Path, calls: Sequence[RequestRow]) -> None:
    """As the version before wrote it."""
    migrate(path, FORMER)
    now_known = path.with_name("now.db")
    migrate(now_known, USAGE)
    with closing(connect(now_known)) as connection:
        write_batch(connection, calls)
    with closing(connect(path)) as connection:
        connection.execute("ATTACH ? AS now_known", (str(now_known),))
        for table in ("requests", "attempts", "violations"):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            listed = ", ".join(names)
            connection.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM now_known.{table}")
        for table in ("usage_hour", "usage_day"):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            terms = ", ".join(name if name in KEYS else f"sum({name})" for name in names)
            connection.execute(
                f"INSERT INTO {table} SELECT {terms} FROM now_known.{table} GROUP BY 1, 2, 3, 4, 5"
            )


def sums(path: Path, table: str, keys: Sequence[str]) -> list[tuple[object, ...]]:
    listed = ", ".join(keys)
    order = ", ".join(str(number + 1) for number in range(len(keys)))
    values = ROUNDED.replace("round(", "round(sum(").replace(", 3)", "), 2)")
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            f"SELECT {listed}, {values} FROM {table} GROUP BY {order} ORDER BY {order}"
        ).fetchall()


@pytest.fixture
def calls() -> list[RequestRow]:
    made = list(rows(1500, 5, NOW))
    for call in made:
        call.user = f"user-of-{call.token}"
        call.credential = call.credential and ("main", "second")[call.id % 2]
    return made


def test_sums_are_those_of_the_calls(tmp_path: Path, calls: list[RequestRow]) -> None:
    path = tmp_path / "usage.db"
    old_home(path, calls)
    before = {table: sums(path, table, KEYS[:5]) for table in ("usage_hour", "usage_day")}
    migrate(path, USAGE)
    for table in ("usage_hour", "usage_day"):
        assert sums(path, table, KEYS[:5]) == before[table]
        assert sums(path, table, KEYS) == sums(tmp_path / "now.db", table, KEYS)
    hours, _ = aggregate(calls)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM usage_hour").fetchone() == (len(hours),)
        assert connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'former%'").fetchall() == []
        assert connection.execute("PRAGMA integrity_check(usage_day)").fetchall() == [("ok",)]


def test_sums_without_their_calls_stay(tmp_path: Path, calls: list[RequestRow]) -> None:
    path = tmp_path / "usage.db"
    old_home(path, calls)
    before = {table: sums(path, table, KEYS[:5]) for table in ("usage_hour", "usage_day")}
    with closing(connect(path)) as connection:
        connection.execute("DELETE FROM attempts")
        connection.execute("DELETE FROM violations")
        connection.execute("DELETE FROM requests WHERE id < ?", (calls[900].id,))
    migrate(path, USAGE)
    assert {table: sums(path, table, KEYS[:5]) for table in before} == before
    first = calls[0]
    with closing(sqlite3.connect(path)) as connection:
        users = connection.execute(
            "SELECT DISTINCT user, credential FROM usage_hour WHERE bucket <= ? ORDER BY 1",
            (sums(path, "usage_hour", ("bucket",))[0][0],),
        ).fetchall()
        assert users == [("", "")]
        known = connection.execute("SELECT count(*) FROM usage_hour WHERE user <> ''").fetchone()[0]
    assert known > 100, first


def test_an_empty_home(tmp_path: Path) -> None:
    migrate(tmp_path / "usage.db", FORMER)
    migrate(tmp_path / "usage.db", USAGE)
    assert sums(tmp_path / "usage.db", "usage_day", KEYS) == []
