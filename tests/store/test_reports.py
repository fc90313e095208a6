"""Every report over the same window says the same: raw rows, rollups, breakdowns, charts and exports."""

import csv
import io
import itertools
import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bench.seed import fill
from llm_intercept.errors import NotFound
from llm_intercept.home import Home
from llm_intercept.store import reports
from llm_intercept.store.export import FORMATS, Format, columns, export, usd
from llm_intercept.store.migrate import connect as connect_for_writing
from llm_intercept.store.report_time import DAY, HOUR, Window, floor, preset, window
from llm_intercept.store.reports import Filters
from llm_intercept.store.rollup import LATENCY_BOUNDS_MS, percentile
from llm_intercept.store.rows import ERROR_OUTCOMES, AttemptRow, RequestRow
from llm_intercept.store.usage import write_batch

NOW = 1_795_160_678_786_495  # 2026-11-20T07:44:38Z
TODAY = floor(NOW, DAY)
WINDOWS = {
    "everything": Window(0, TODAY + DAY),
    "today": Window(TODAY, TODAY + DAY),
    "yesterday until now": Window(TODAY - DAY, NOW - DAY),
    "seven days to the microsecond": Window(NOW - 7 * DAY, NOW),
    "forty-nine hours": Window(NOW - 49 * HOUR, NOW),
    "within an hour": Window(NOW - 40 * 60_000_000, NOW - 10 * 60_000_000),
    "before anything": Window(0, 1000),
}
FILTERS = {
    "all": Filters(),
    "a project": Filters(project="checkout"),
    "a model of a provider": Filters(provider="openai", model="gpt-5-mini"),
    "an outcome": Filters(outcome="client_error"),
    "all errors of a token": Filters(token="checkout-laptop", outcome="error"),
    "what was simulated": Filters(failure="any"),
    "one kind of what was simulated": Filters(failure="stream_cut"),
    "nobody": Filters(project="'; DROP TABLE requests; --"),
}
SUMS = (
    "requests",
    "errors",
    "streams",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "reasoning_tokens",
    "cost_nanos",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    found = Home(tmp_path_factory.mktemp("home"))
    fill(found, 3000, 12, NOW)
    with connect_for_writing(found.usage_db) as connection:
        connection.execute("UPDATE requests SET failure = 'stream_cut' WHERE id % 7 = 1")
        connection.execute("UPDATE requests SET failure = 'response_delay,stream_cut' WHERE id % 7 = 2")
        connection.execute("UPDATE requests SET failure = 'timeout' WHERE id % 7 = 3")
    connection.close()
    return found


@pytest.fixture
def conn(home: Home) -> Iterator[sqlite3.Connection]:
    connection = reports.connect(home.usage_db)
    yield connection
    connection.close()


def raw(conn: sqlite3.Connection, span: Window, chosen: Filters) -> list[dict[str, object]]:
    """The rows a report is about, found without any of its SQL."""
    conn.row_factory = sqlite3.Row
    found = [dict(row) for row in conn.execute("SELECT * FROM requests ORDER BY id")]
    conn.row_factory = None
    return [row for row in found if span.since <= row["id"] < span.until and fits(row, chosen)]


def fits(row: dict[str, object], chosen: Filters) -> bool:
    if chosen.outcome == "error" and row["outcome"] not in ERROR_OUTCOMES:
        return False
    if chosen.failure and not (
        row["failure"] if chosen.failure == "any" else chosen.failure in str(row["failure"])
    ):
        return False
    return all(
        not getattr(chosen, name) or (name == "outcome" and chosen.outcome == "error") or row[name] == value
        for name in ("project", "token", "provider", "model", "outcome")
        if (value := getattr(chosen, name)) is not None
    )


def expected_sums(rows: list[dict[str, object]]) -> dict[str, int]:
    return {
        "requests": len(rows),
        "errors": sum(row["outcome"] in ERROR_OUTCOMES for row in rows),
        "streams": sum(row["stream"] for row in rows),
        "unpriced": sum(
            not row["priced"] and bool(row["input_tokens"] or row["output_tokens"]) for row in rows
        ),
        **{name: sum(row[name] or 0 for row in rows) for name in SUMS[4:]},
    }


def sums(summary: reports.Summary) -> dict[str, int]:
    return {name: getattr(summary, name) for name in SUMS}


@pytest.mark.parametrize("chosen", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("span", WINDOWS.values(), ids=WINDOWS)
def test_all_reports_agree_with_the_rows(conn: sqlite3.Connection, span: Window, chosen: Filters) -> None:
    expected = expected_sums(raw(conn, span, chosen))
    assert sums(reports.summary(conn, span, chosen)) == expected
    for by in (*reports.DIMENSIONS, "day", "hour"):
        lines = reports.breakdown(conn, span, by, chosen)
        assert sums(reports.total(lines)) == expected
    for lines in reports.leaders(conn, span, chosen).values():
        assert sums(reports.total(lines)) == expected
    exported = [json.loads(line) for line in "".join(export(conn, span, "ndjson", chosen)).splitlines()]
    assert expected_sums(exported) == expected
    assert sum(Decimal(row["cost_usd"] or 0) for row in exported) * 10**9 == expected["cost_nanos"]


@pytest.mark.parametrize("range_name", ["24h", "7d", "30d"])
@pytest.mark.parametrize("by", ["none", *reports.DIMENSIONS])
def test_charts_add_up_and_have_no_gaps(conn: sqlite3.Connection, range_name: str, by: str) -> None:
    span, interval = preset(range_name, NOW)
    summary = reports.summary(conn, span)
    for measure in ("requests", "cost_nanos", "input_tokens"):
        series = reports.timeseries(conn, span, interval, measure, by)
        assert {len(values) for values in series.values.values()} == {len(series.buckets)}
        assert sum(map(sum, series.values.values())) == getattr(summary, measure)
        totals = [sum(values) for values in series.values.values()]
        assert totals == sorted(totals, reverse=True)


def test_an_empty_chart_still_has_its_buckets(conn: sqlite3.Connection) -> None:
    span = Window(0, 3 * DAY)
    series = reports.timeseries(conn, span, "day", "requests", "project")
    assert series.buckets == ["1970-01-01", "1970-01-02", "1970-01-03"]
    assert series.values == {"": [0, 0, 0]}


@pytest.mark.parametrize("span", [WINDOWS["everything"], WINDOWS["seven days to the microsecond"]])
def test_percentiles_are_those_of_the_histogram_of_the_rows(conn: sqlite3.Connection, span: Window) -> None:

    durations = [row["duration_ms"] for row in raw(conn, span, Filters()) if row["duration_ms"] is not None]
    edges = [0, *LATENCY_BOUNDS_MS, float("inf")]
    histogram = [sum(low < value <= high for value in durations) for low, high in itertools.pairwise(edges)]
    found = reports.summary(conn, span)
    assert found.duration_ms_p50 == percentile(histogram, 0.5)
    assert found.duration_ms_p95 == percentile(histogram, 0.95)
    assert found.duration_ms_avg == pytest.approx(sum(durations) / len(durations))


def test_breakdowns_are_ordered_by_cost_and_days_by_time(conn: sqlite3.Connection) -> None:
    span = WINDOWS["everything"]
    costs = [line.summary.cost_nanos for line in reports.by_model(conn, span)]
    assert costs == sorted(costs, reverse=True)
    days = [line.key for line in reports.by_day(conn, span)]
    assert days == sorted(days)
    assert days[-1] == "2026-11-20"


def test_lists_of_the_worst(conn: sqlite3.Connection) -> None:
    span = WINDOWS["everything"]
    rows = raw(conn, span, Filters())
    assert [row["id"] for row in reports.errors(conn, span, limit=5)] == [
        row["id"] for row in reversed(rows) if row["outcome"] in ERROR_OUTCOMES
    ][:5]
    slow = max(rows, key=lambda row: row["duration_ms"] or 0)
    assert reports.slowest(conn, span, limit=1)[0]["id"] == slow["id"]
    dear = max(rows, key=lambda row: row["cost_nanos"] or 0)
    assert reports.most_expensive(conn, span, limit=1)[0]["id"] == dear["id"]
    groups = reports.error_groups(conn, span, limit=100)
    assert sum(group["requests"] for group in groups) == reports.summary(conn, span).errors


def test_recent_calls_are_paged_by_id(conn: sqlite3.Connection) -> None:
    newest = reports.recent(conn, limit=10)
    ids = [row["id"] for row in newest]
    assert ids == sorted(ids, reverse=True)
    assert [row["id"] for row in reports.recent(conn, before_id=ids[4], limit=5)] == ids[5:]
    assert [row["id"] for row in reports.recent(conn, after_id=ids[3])] == ids[:3]
    assert reports.recent(conn, after_id=ids[0]) == []


def test_one_call_comes_with_its_attempts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.ensure()
    tries = [AttemptRow(0, number, "openai", "api.openai.com", "main", status=503) for number in (1, 2)]
    writer = connect_for_writing(home.usage_db)
    write_batch(writer, [RequestRow(NOW, "0197-a", outcome="ok", tries=tries)])
    writer.close()
    conn = reports.connect(home.usage_db)
    found = reports.request(conn, "0197-a")
    assert found == reports.request(conn, str(NOW))
    assert [attempt["number"] for attempt in found["tries"]] == [1, 2]
    with pytest.raises(NotFound):
        reports.request(conn, "0197-b")
    assert reports.known(conn, "project") == ["default"]
    assert not reports.is_empty(conn)
    assert reports.bounded(conn, window("", "", NOW)).since == NOW
    conn.close()


@pytest.mark.parametrize("kind", FORMATS)
def test_the_size_of_pages_does_not_show_in_an_export(conn: sqlite3.Connection, kind: Format) -> None:
    span = WINDOWS["seven days to the microsecond"]
    assert "".join(export(conn, span, kind, limit=7)) == "".join(export(conn, span, kind))


def test_csv_json_and_ndjson_hold_the_same_rows(conn: sqlite3.Connection) -> None:
    span = WINDOWS["today"]
    as_json = json.loads("".join(export(conn, span, "json")))
    as_ndjson = [json.loads(line) for line in "".join(export(conn, span, "ndjson")).splitlines()]
    as_csv = list(csv.DictReader(io.StringIO("".join(export(conn, span, "csv")))))
    assert as_json == as_ndjson
    assert [row["request_id"] for row in as_csv] == [row["request_id"] for row in as_json]
    assert [row["cost_usd"] for row in as_csv] == [row["cost_usd"] or "" for row in as_json]
    assert tuple(as_csv[0]) == columns(conn)
    assert {"id", "ts", "cost_nanos", "cost_usd"} <= set(columns(conn))


@pytest.mark.parametrize(
    ("kind", "expected"), [("csv", 1), ("ndjson", 0), ("json", 2)], ids=["csv", "ndjson", "json"]
)
def test_an_export_of_nothing_is_well_formed(conn: sqlite3.Connection, kind: Format, expected: int) -> None:
    text = "".join(export(conn, WINDOWS["before anything"], kind))
    assert len(text.splitlines()) == expected
    if kind == "json":
        assert json.loads(text) == []


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_disarmed_in_csv_only(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path)
    home.ensure()
    writer = connect_for_writing(home.usage_db)
    write_batch(writer, [RequestRow(NOW, "0197-a", error_message=text, tokens_per_second=-1.5)])
    writer.close()
    conn = reports.connect(home.usage_db)
    row = next(csv.DictReader(io.StringIO("".join(export(conn, Window(0, NOW + 1), "csv")), newline="")))
    assert row["error_message"] == "'" + text
    assert row["tokens_per_second"] == "-1.5"
    assert json.loads("".join(export(conn, Window(0, NOW + 1), "ndjson")))["error_message"] == text
    conn.close()


@pytest.mark.parametrize(
    ("nanos", "expected"),
    [
        (0, "0.000000000"),
        (1, "0.000000001"),
        (1_234_500, "0.001234500"),
        (12_000_000_001, "12.000000001"),
        (-5, "-0.000000005"),
        (None, None),
    ],
)
def test_dollars_are_exact(nanos: int | None, expected: str | None) -> None:
    assert usd(nanos) == expected
