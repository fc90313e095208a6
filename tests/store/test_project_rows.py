"""What `project delete` does to the books; the command has tests in tests/cli/test_project_house.py."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from llm_intercept.home import Home
from llm_intercept.store import project_rows
from llm_intercept.store.migrate import connect
from llm_intercept.store.project_rows import AT_ONCE, NOBODY
from llm_intercept.store.usage import write_batch
from tests.store.example import row

SUMS = "SELECT sum(requests), sum(cost_nanos), sum(duration_3), sum(duration_count) FROM "


@pytest.fixture
def books(home: Home) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    with closing(connect(home.usage_db)) as usage, closing(connect(home.bodies_db)) as bodies:
        write_batch(usage, [row(number) for number in range(3 * 2 * AT_ONCE)])
        yield usage, bodies


def sums(usage: sqlite3.Connection) -> list[object]:
    return [usage.execute(SUMS + table).fetchone() for table in project_rows.ROLLUPS]


def test_broken_off_and_taken_up_again(books: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    usage, bodies = books
    before = sums(usage)
    for name in ("project-0", "project-1"):
        work = project_rows.forget(usage, bodies, name, delete=False)
        assert next(work) == AT_ONCE
        work.close()
        assert project_rows.count(usage, name) == AT_ONCE
        assert list(project_rows.forget(usage, bodies, name, delete=False)) == [AT_ONCE]
        assert list(project_rows.forget(usage, bodies, name, delete=False)) == []
    assert sums(usage) == before
    assert project_rows.count(usage, NOBODY) == 4 * AT_ONCE
    names = {name for (name,) in usage.execute("SELECT DISTINCT project FROM usage_hour")}
    assert names == {NOBODY, "project-2"}


def test_deleting_takes_exactly_its_own(books: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    usage, bodies = books
    assert sum(project_rows.forget(usage, bodies, "project-0", delete=True)) == 2 * AT_ONCE
    for table in ("requests", "attempts"):
        assert usage.execute(f"SELECT count(*) FROM {table}").fetchone() == (4 * AT_ONCE,)
    assert usage.execute("SELECT sum(requests) FROM usage_day").fetchone() == (4 * AT_ONCE,)
