import sqlite3
from dataclasses import fields
from typing import Any

import pytest

from llm_intercept.store.rollup import SUMS
from llm_intercept.store.rows import AttemptRow, RequestRow, ViolationRow
from llm_intercept.store.usage import ATTEMPT_COLUMNS, REQUEST_COLUMNS, write_batch
from tests.store.conftest import Query
from tests.store.example import START_US, row


def test_columns_are_the_fields_of_the_rows(usage_db: sqlite3.Connection) -> None:
    def columns(table: str) -> list[str]:
        return [name for _, name, *_ in usage_db.execute(f"PRAGMA table_info({table})")]

    assert sorted(columns("requests")) == sorted(REQUEST_COLUMNS)
    assert sorted(columns("attempts")) == sorted(ATTEMPT_COLUMNS)


def test_a_thousand_rows_sum_up_in_every_table(usage_db: sqlite3.Connection, query: Query) -> None:
    rows = [
        row(n, id=START_US + n * 60_000_000, outcome="timeout" if n % 9 == 0 else "ok") for n in range(1000)
    ]
    for start in range(0, 1000, 130):
        assert write_batch(usage_db, rows[start : start + 130]) == rows[start : start + 130]
    sums = "count(*), sum(input_tokens), sum(output_tokens), sum(cost_nanos), sum(outcome = 'timeout')"
    [raw] = query(f"SELECT {sums} FROM requests")
    assert raw == (
        1000,
        sum(r.input_tokens or 0 for r in rows),
        10_000,
        sum(r.cost_nanos or 0 for r in rows),
        112,
    )
    rollup = "sum(requests), sum(input_tokens), sum(output_tokens), sum(cost_nanos), sum(errors)"
    for table in ("usage_hour", "usage_day"):
        assert query(f"SELECT {rollup} FROM {table}") == [raw]
    assert query("SELECT count(*) FROM attempts") == [(1000,)]


def test_rollups_equal_the_raw_rows_of_each_key(usage_db: sqlite3.Connection, query: Query) -> None:
    for n in range(0, 300, 50):
        write_batch(usage_db, [row(i, id=START_US + i * 97_000_000) for i in range(n, n + 50)])
    raw = query(
        "SELECT substr(ts, 1, 13), project, token, provider, model, count(*), sum(cost_nanos),"
        " sum(duration_ms) FROM requests GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"
    )
    hours = query(
        "SELECT bucket, project, token, provider, model, requests, cost_nanos, duration_ms_sum"
        " FROM usage_hour ORDER BY 1, 2, 3, 4, 5"
    )
    assert hours == raw


def test_every_field_comes_back(usage_db: sqlite3.Connection) -> None:
    values: dict[str, Any] = {}
    for number, field in enumerate(fields(RequestRow)):
        if field.name in REQUEST_COLUMNS:
            values[field.name] = f"text {number}" if isinstance(field.default, str) else number + 1
    values |= {"id": START_US, "request_id": "r", "ttft_ms": 1.5}
    write_batch(usage_db, [RequestRow(**values)])
    usage_db.row_factory = sqlite3.Row
    stored = dict(usage_db.execute("SELECT * FROM requests").fetchone())
    assert stored.pop("ts") == "2026-11-20T09:13:20.000Z"
    assert stored == values


def wrong(sentence: str, side: str = "provider") -> ViolationRow:
    return ViolationRow(0, side, "anthropic", 4, sentence)


def test_violations_are_stored_with_their_row(usage_db: sqlite3.Connection, query: Query) -> None:
    found = [wrong("a"), wrong("b\udcff"), wrong("a", "ours")]
    write_batch(usage_db, [row(0, violations=[wrong("x")]), row(1, id=START_US, violations=found), row(2)])
    assert query("SELECT request_id, side, dialect, event, sentence FROM violations ORDER BY 1, 2, 5") == [
        (START_US, "provider", "anthropic", 4, "x"),
        (START_US + 1, "ours", "anthropic", 4, "a"),
        (START_US + 1, "provider", "anthropic", 4, "a"),
        (START_US + 1, "provider", "anthropic", 4, "b?"),
    ]


def test_a_taken_id_gets_the_next_free_microsecond(usage_db: sqlite3.Connection, query: Query) -> None:
    write_batch(usage_db, [row(0), row(1, id=START_US + 1)])
    rows = [row(2, id=START_US), row(3, id=START_US), row(4)]
    assert write_batch(usage_db, rows) == rows
    assert [r.id for r in rows] == [START_US + 2, START_US + 3, START_US + 4000]
    assert query("SELECT count(*) FROM requests JOIN attempts ON attempts.request_id = requests.id") == [(5,)]


def test_a_known_request_id_counts_once(usage_db: sqlite3.Connection, query: Query) -> None:
    write_batch(usage_db, [row(0), row(1)])
    late = row(0, outcome="interrupted", id=START_US + 500)
    fresh = row(2)
    assert write_batch(usage_db, [late, fresh, row(1)]) == [fresh]
    assert query("SELECT count(*), sum(outcome = 'interrupted') FROM requests") == [(3, 0)]
    assert query("SELECT sum(requests) FROM usage_day") == [(3,)]
    assert query("SELECT count(*) FROM attempts") == [(3,)]


@pytest.mark.parametrize(
    ("values", "column", "stored"),
    [
        ({"client": "agent/\udcff1"}, "client", "agent/?1"),
        ({"response_bytes": 2**70}, "response_bytes", 0),
        ({"input_tokens": 2**64}, "input_tokens", None),
        ({"model": "modèle-é"}, "model", "modèle-é"),
    ],
)
def test_what_no_database_takes_is_replaced(
    usage_db: sqlite3.Connection, query: Query, values: dict[str, Any], column: str, stored: object
) -> None:
    write_batch(usage_db, [row(0), row(1, **values), row(2)])
    assert query(f"SELECT {column} FROM requests ORDER BY id")[1] == (stored,)
    assert query("SELECT count(*) FROM requests") == [(3,)]


def test_a_hopeless_row_does_not_take_others_with_it(usage_db: sqlite3.Connection, query: Query) -> None:
    broken = row(1, status=object())
    assert len(write_batch(usage_db, [row(0), broken, row(2)])) == 2
    assert query("SELECT count(*), (SELECT sum(requests) FROM usage_hour) FROM requests") == [(2, 2)]


def test_a_full_disk_undoes_the_whole_batch(usage_db: sqlite3.Connection, query: Query) -> None:
    write_batch(usage_db, [row(0)])
    [(pages,)] = usage_db.execute("PRAGMA page_count").fetchall()
    usage_db.execute(f"PRAGMA max_page_count = {pages + 2}")
    batch = [row(n, model=f"model-{n}") for n in range(1, 500)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        write_batch(usage_db, batch)
    assert query("SELECT count(*), (SELECT sum(requests) FROM usage_day) FROM requests") == [(1, 1)]
    usage_db.execute("PRAGMA max_page_count = 1000000")
    assert len(write_batch(usage_db, batch)) == 499


def test_several_attempts(usage_db: sqlite3.Connection, query: Query) -> None:
    tries = [AttemptRow(0, n, "openai", "h", "key", outcome="timeout") for n in (1, 2, 3)]
    write_batch(usage_db, [row(0, tries=tries, attempts=3)])
    assert query("SELECT request_id, number FROM attempts") == [(START_US, 1), (START_US, 2), (START_US, 3)]


def test_sums_cover_the_rollup_columns(usage_db: sqlite3.Connection) -> None:
    columns = {name for _, name, *_ in usage_db.execute("PRAGMA table_info(usage_hour)")}
    assert set(SUMS) <= columns


def test_partial_index_serves_the_errors(usage_db: sqlite3.Connection) -> None:
    plan = usage_db.execute(
        "EXPLAIN QUERY PLAN SELECT id FROM requests WHERE status >= 400 ORDER BY id DESC LIMIT 100"
    ).fetchall()
    assert "requests_errors" in plan[0][3]
