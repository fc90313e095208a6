"""Every report over the same window says the same: raw rows, rollups, breakdowns, charts and exports."""

import csv
import inspect
import io
import itertools
import json
import sqlite3
import statistics
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bench.seed import fill
from bench.seed import rows as seeded_rows
from llm_intercept.errors import NotFound
from llm_intercept.home import Home
from llm_intercept.store import export as export_module
from llm_intercept.store import report_rows, report_scope, report_tries, reports
from llm_intercept.store.export import FORMATS, Format, columns, export, usd
from llm_intercept.store.migrate import connect as connect_for_writing
from llm_intercept.store.report_spread import FEW
from llm_intercept.store.report_time import DAY, HOUR, Window, floor, window
from llm_intercept.store.reports import EVERYTHING, Filters, Scope
from llm_intercept.store.rollup import LATENCY_BOUNDS_MS, percentile
from llm_intercept.store.rows import ERROR_OUTCOMES, AttemptRow, RequestRow
from llm_intercept.store.usage import write_batch

NOW = 1_795_160_678_786_495  # 2026-11-20T07:44:38Z
ALL = Filters(EVERYTHING)
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
    "all": ALL,
    "a project": Filters(EVERYTHING, project="checkout"),
    "a model of a provider": Filters(EVERYTHING, provider="openai", model="gpt-5-mini"),
    "an outcome": Filters(EVERYTHING, outcome="client_error"),
    "all errors of a token": Filters(EVERYTHING, token="checkout-laptop", outcome="error"),
    "what was simulated": Filters(EVERYTHING, failure="any"),
    "one kind of what was simulated": Filters(EVERYTHING, failure="stream_cut"),
    "two projects": Filters(Scope(projects=frozenset(("checkout", "search")))),
    "a project and tokens of others": Filters(
        Scope(
            projects=frozenset(("docs",)),
            tokens=frozenset((("checkout", "checkout-laptop"), ("search", "checkout-ci"))),
        )
    ),
    "a token of all, by model": Filters(
        Scope(tokens=frozenset((("checkout", "checkout-ci"),))), model="gpt-5-mini"
    ),
    "another's project": Filters(Scope(projects=frozenset(("docs",))), project="checkout"),
    "nothing": Filters(Scope()),
    "odd names": Filters(Scope(projects=frozenset(('"]', "'; --"))), outcome="error"),
    "a user": Filters(EVERYTHING, user="user-of-checkout-laptop"),
    "a user who is nobody": Filters(EVERYTHING, user="nobody"),
    "a user of a project by model": Filters(
        Scope(projects=frozenset(("search",))), user="user-of-search-ci", model="gpt-5"
    ),
    "a key": Filters(EVERYTHING, credential="second", provider="anthropic"),
    "a key and a status": Filters(EVERYTHING, credential="main", status="429"),
    "a class of statuses": Filters(EVERYTHING, status="4xx"),
    "what went well": Filters(EVERYTHING, status="2xx", user="user-of-docs-laptop"),
    "streams of a user": Filters(EVERYTHING, user="user-of-checkout-laptop", stream="yes"),
    "hits": Filters(EVERYTHING, cache="hit"),
    "what was stored for a project": Filters(EVERYTHING, cache="stored", project="checkout"),
    "those of two projects that went past the cache": Filters(
        Scope(projects=frozenset(("checkout", "search"))), cache="bypass"
    ),
    "no streams": Filters(EVERYTHING, stream="no", project="checkout"),
    "nobody": Filters(EVERYTHING, project="'; DROP TABLE requests; --"),
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
    "cache_hits",
    "cache_asked",
    "saved_nanos",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    found = Home(tmp_path_factory.mktemp("home"))
    fill(found, 0, 12, NOW)
    failures = ("", "stream_cut", "response_delay,stream_cut", "timeout", "", "", "")
    calls = list(seeded_rows(3000, 12, NOW))
    for call in calls:
        call.failure = failures[call.id % 7]
        call.user = "" if call.id % 11 == 0 else f"user-of-{call.token}"
        call.credential = call.credential and ("main", "second")[call.id % 2]
        call.cache = ("", "miss", "hit", "stored", "bypass")[call.id % 5]
        call.saved_nanos = call.id % 1000 if call.id % 3 else None
    connection = connect_for_writing(found.usage_db)
    for batch in itertools.batched(calls, 500):
        write_batch(connection, batch)
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
    scope = chosen.scope
    theirs = row["project"] in scope.projects or (row["project"], row["token"]) in scope.tokens
    if not (scope.everything or theirs):
        return False
    if chosen.outcome == "error" and row["outcome"] not in ERROR_OUTCOMES:
        return False
    if chosen.failure and not (
        row["failure"] if chosen.failure == "any" else chosen.failure in str(row["failure"])
    ):
        return False
    if chosen.status and not str(row["status"]).startswith(chosen.status.removesuffix("xx")):
        return False
    if chosen.stream and bool(row["stream"]) != (chosen.stream == "yes"):
        return False
    return all(
        not getattr(chosen, name) or (name == "outcome" and chosen.outcome == "error") or row[name] == value
        for name in ("project", "token", "provider", "model", "outcome", "user", "credential", "cache")
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
        "cache_hits": sum(row["cache"] == "hit" for row in rows),
        "cache_asked": sum(row["cache"] in ("hit", "miss", "stored") for row in rows),
        "saved_nanos": sum(row["saved_nanos"] or 0 for row in rows if row["cache"] == "hit"),
        **{name: sum(row[name] or 0 for row in rows) for name in SUMS[4:-3]},
    }


def sums(summary: reports.Summary) -> dict[str, int]:
    return {name: getattr(summary, name) for name in SUMS}


@pytest.mark.parametrize("chosen", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("span", WINDOWS.values(), ids=WINDOWS)
def test_all_reports_agree_with_the_rows(conn: sqlite3.Connection, span: Window, chosen: Filters) -> None:
    expected = expected_sums(raw(conn, span, chosen))
    assert sums(reports.summary(conn, span, chosen)) == expected
    for by in (*reports.DIMENSIONS, "user", "credential", "outcome", "day", "hour"):
        lines = reports.breakdown(conn, span, by, chosen)
        assert sums(reports.total(lines)) == expected
    for lines in reports.leaders(conn, span, chosen).values():
        assert sums(reports.total(lines)) == expected
    exported = [json.loads(line) for line in "".join(export(conn, span, "ndjson", chosen)).splitlines()]
    assert expected_sums(exported) == expected
    assert sum(Decimal(row["cost_usd"] or 0) for row in exported) * 10**9 == expected["cost_nanos"]


@pytest.mark.parametrize("by", ["user", "credential", "outcome"])
def durations(rows: list[dict[str, object]]) -> list[float]:
    return sorted(row["duration_ms"] for row in rows if row["duration_ms"] is not None)  # type: ignore[type-var,misc]


def test_percentiles_of_many_are_those_of_the_histogram_of_the_rows(conn: sqlite3.Connection) -> None:
    span = WINDOWS["everything"]
    values = durations(raw(conn, span, ALL))
    assert len(values) > FEW
    edges = [0, *LATENCY_BOUNDS_MS, float("inf")]
    histogram = [sum(low < value <= high for value in values) for low, high in itertools.pairwise(edges)]
    found = reports.summary(conn, span, ALL)
    assert found.duration_ms_p50 == percentile(histogram, 0.5)
    assert found.duration_ms_p95 == percentile(histogram, 0.95)
    assert found.duration_ms_avg == pytest.approx(sum(values) / len(values))


@pytest.mark.parametrize("name", ["everything", "a user", "a class of statuses", "nobody"])
def test_percentiles_of_few_are_their_own(conn: sqlite3.Connection, name: str) -> None:
    span, filters = WINDOWS["seven days to the microsecond"], FILTERS.get(name, ALL)
    values = durations(raw(conn, span, filters))
    assert len(values) <= FEW
    found = reports.summary(conn, span, filters)
    assert (found.duration_ms_p50 is None) is (not values)
    if values:
        parts = statistics.quantiles(values, n=20, method="inclusive")
        assert (found.duration_ms_p50, found.duration_ms_p95) == pytest.approx((parts[9], parts[18]))


@pytest.mark.parametrize("by", ["project", "user", "day", "hour"])
def test_percentiles_by_group(conn: sqlite3.Connection, by: Any) -> None:
    span = WINDOWS["seven days to the microsecond"]
    lines, rows = reports.breakdown(conn, span, by, ALL), raw(conn, span, ALL)
    for line in lines:
        values = durations([row for row in rows if key_of(row, by) == line.key])
        middle = statistics.median(values) if values else None
        assert line.summary.duration_ms_p50 == (None if middle is None else pytest.approx(middle))
    assert any(line.summary.duration_ms_p50 for line in lines)


def key_of(row: dict[str, object], by: str) -> object:
    moment = datetime.fromtimestamp(int(str(row["id"])) / 1e6, UTC)
    times = {"day": moment.strftime("%Y-%m-%d"), "hour": moment.strftime("%Y-%m-%dT%H")}
    return times.get(by) or row.get(by)


def test_calls_whose_rows_are_gone_have_the_percentiles_of_their_sums(tmp_path: Path) -> None:
    """One call of a day that is kept as a row, another only in the sums."""
    home = Home(tmp_path)
    fill(home, 0, 2, NOW)
    writer = connect_for_writing(home.usage_db)
    write_batch(
        writer,
        [RequestRow(id=5 * DAY + n, request_id=str(n), duration_ms=ms) for n, ms in ((0, 120), (1, 4000))],
    )
    writer.execute("DELETE FROM requests WHERE id = ?", [5 * DAY + 1])
    writer.commit()
    writer.close()
    with closing(reports.connect(home.usage_db)) as conn:
        found = reports.summary(conn, Window(5 * DAY, 6 * DAY), ALL)
    assert found.duration_ms_p95 == pytest.approx(4750)  # within 2,500 to 5,000
    assert found.duration_ms_p50 == pytest.approx(250)


def test_breakdowns_are_ordered_by_cost_and_days_by_time(conn: sqlite3.Connection) -> None:
    span = WINDOWS["everything"]
    costs = [line.summary.cost_nanos for line in reports.by_model(conn, span, ALL)]
    assert costs == sorted(costs, reverse=True)
    days = [line.key for line in reports.by_day(conn, span, ALL)]
    assert days == sorted(days)
    assert days[-1] == "2026-11-20"


def test_lists_of_the_worst(conn: sqlite3.Connection) -> None:
    span = WINDOWS["everything"]
    rows = raw(conn, span, ALL)
    assert [row["id"] for row in reports.errors(conn, span, ALL, limit=5)] == [
        row["id"] for row in reversed(rows) if row["outcome"] in ERROR_OUTCOMES
    ][:5]
    slow = max(rows, key=lambda row: row["duration_ms"] or 0)
    assert reports.slowest(conn, span, ALL, limit=1)[0]["id"] == slow["id"]
    dear = max(rows, key=lambda row: row["cost_nanos"] or 0)
    assert reports.most_expensive(conn, span, ALL, limit=1)[0]["id"] == dear["id"]
    groups = reports.error_groups(conn, span, ALL, limit=100)
    assert sum(group["requests"] for group in groups) == reports.summary(conn, span, ALL).errors


def test_recent_calls_are_paged_by_id(conn: sqlite3.Connection) -> None:
    newest = reports.recent(conn, ALL, limit=10)
    ids = [row["id"] for row in newest]
    assert ids == sorted(ids, reverse=True)
    assert [row["id"] for row in reports.recent(conn, ALL, before_id=ids[4], limit=5)] == ids[5:]
    assert [row["id"] for row in reports.recent(conn, ALL, after_id=ids[3])] == ids[:3]
    assert reports.recent(conn, ALL, after_id=ids[0]) == []


def test_one_call_comes_with_its_attempts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.ensure()
    tries = [AttemptRow(0, number, "openai", "api.openai.com", "main", status=503) for number in (1, 2)]
    writer = connect_for_writing(home.usage_db)
    write_batch(writer, [RequestRow(NOW, "0197-a", outcome="ok", tries=tries)])
    writer.close()
    conn = reports.connect(home.usage_db)
    found = reports.request(conn, "0197-a", EVERYTHING)
    assert found == reports.request(conn, str(NOW), EVERYTHING)
    assert [attempt["number"] for attempt in found["tries"]] == [1, 2]
    with pytest.raises(NotFound):
        reports.request(conn, "0197-b", EVERYTHING)
    assert reports.known(conn, "project", EVERYTHING) == ["default"]
    assert not reports.is_empty(conn, EVERYTHING)
    assert reports.bounded(conn, window("", "", NOW), ALL).since == NOW
    conn.close()


def test_the_call_that_a_hit_has_its_answer_from(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.ensure()
    same = {"provider": "openai", "response_id": "resp-1", "outcome": "ok"}
    writer = connect_for_writing(home.usage_db)
    write_batch(
        writer,
        [
            RequestRow(NOW, "0197-a", project="theirs", cache="stored", **same),  # type: ignore[arg-type]
            RequestRow(NOW + 1, "0197-b", project="mine", cache="hit", **same),  # type: ignore[arg-type]
        ],
    )
    writer.close()
    with closing(reports.connect(home.usage_db)) as conn:
        stored, hit = (reports.request(conn, name, EVERYTHING) for name in ("0197-a", "0197-b"))
        found = reports.stored_by(conn, hit, EVERYTHING)
        assert found is not None
        assert found["request_id"] == "0197-a"
        assert reports.stored_by(conn, hit, Scope(projects=frozenset(("mine",)))) is None
        assert reports.stored_by(conn, stored, EVERYTHING) is None
        plan = conn.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM requests WHERE cache = 'stored' AND response_id <> ''"
            " AND response_id = 'x' AND provider = 'y' AND id < 5 ORDER BY id DESC LIMIT 1"
        ).fetchall()
        assert "requests_stored" in plan[0][3]
        condition, _ = Filters(EVERYTHING, cache="hit").clauses()
        statement = f"EXPLAIN QUERY PLAN SELECT * FROM requests WHERE id > 5{condition} ORDER BY id DESC"
        assert "requests_hits" in conn.execute(statement).fetchall()[0][3]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_size_of_pages_does_not_show_in_an_export(conn: sqlite3.Connection, kind: Format) -> None:
    span = WINDOWS["seven days to the microsecond"]
    assert "".join(export(conn, span, kind, ALL, limit=7)) == "".join(export(conn, span, kind, ALL))


def test_csv_json_and_ndjson_hold_the_same_rows(conn: sqlite3.Connection) -> None:
    span = WINDOWS["today"]
    as_json = json.loads("".join(export(conn, span, "json", ALL)))
    as_ndjson = [json.loads(line) for line in "".join(export(conn, span, "ndjson", ALL)).splitlines()]
    as_csv = list(csv.DictReader(io.StringIO("".join(export(conn, span, "csv", ALL)))))
    assert as_json == as_ndjson
    assert [row["request_id"] for row in as_csv] == [row["request_id"] for row in as_json]
    assert [row["cost_usd"] for row in as_csv] == [row["cost_usd"] or "" for row in as_json]
    assert tuple(as_csv[0]) == columns(conn)
    assert {"id", "ts", "cost_nanos", "cost_usd"} <= set(columns(conn))


@pytest.mark.parametrize(
    ("kind", "expected"), [("csv", 1), ("ndjson", 0), ("json", 2)], ids=["csv", "ndjson", "json"]
)
def test_an_export_of_nothing_is_well_formed(conn: sqlite3.Connection, kind: Format, expected: int) -> None:
    text = "".join(export(conn, WINDOWS["before anything"], kind, ALL))
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
    row = next(csv.DictReader(io.StringIO("".join(export(conn, Window(0, NOW + 1), "csv", ALL)), newline="")))
    assert row["error_message"] == "'" + text
    assert row["tokens_per_second"] == "-1.5"
    assert json.loads("".join(export(conn, Window(0, NOW + 1), "ndjson", ALL)))["error_message"] == text
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


def reports_of_all_modules() -> list[Callable[..., object]]:
    """Every public function of the modules with reports that is given a connection."""
    return [
        function
        for module in (reports, report_rows, report_tries, export_module)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if "conn" in inspect.signature(function).parameters and not name.startswith("_") and name != "columns"
    ]


@pytest.mark.parametrize("function", reports_of_all_modules(), ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_no_report_can_be_asked_without_a_scope(function: Callable[..., object]) -> None:
    parameters = inspect.signature(function).parameters
    scoped = [parameters[name] for name in ("filters", "scope") if name in parameters]
    assert len(scoped) == 1
    assert scoped[0].default is inspect.Parameter.empty
    assert scoped[0].annotation in (Filters, Scope)


@pytest.mark.parametrize("few", [0, 1 << 40], ids=["read on", "by index"])
def test_a_few_calls_among_many_are_found_either_way(
    conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(report_scope, "FEW", few)
    scopes = (
        Scope(projects=frozenset(("docs",))),
        Scope(tokens=frozenset((("search", "search-ci"), ("docs", "search-ci")))),
        Scope(projects=frozenset(("docs",)), tokens=frozenset((("search", "search-ci"),))),
        Scope(),
    )
    for scope, span in itertools.product(scopes, WINDOWS.values()):
        for chosen in (Filters(scope), Filters(scope, outcome="error"), Filters(scope, model="gpt-5")):
            expected = [row["id"] for row in reversed(raw(conn, span, chosen))]
            found = [row["id"] for row in reports.rows(conn, span, chosen, "id DESC", 5000)]
            assert found == expected
            assert [row["id"] for row in reports.rows(conn, span, chosen, "id DESC", 3)] == expected[:3]
        every = raw(conn, WINDOWS["everything"], Filters(scope))
        assert reports.is_empty(conn, scope) is (not every)


def test_filters_have_no_scope_by_themselves() -> None:
    with pytest.raises(TypeError, match="scope"):
        Filters(project="checkout")  # type: ignore[call-arg]


def test_a_scope_holds_wherever_rows_are_read(conn: sqlite3.Connection) -> None:
    scope = Scope(projects=frozenset(("docs",)), tokens=frozenset((("search", "search-ci"),)))
    mine, span = Filters(scope), WINDOWS["everything"]

    def is_mine(row: dict[str, object]) -> bool:
        return row["project"] == "docs" or (row["project"], row["token"]) == ("search", "search-ci")

    lists = [
        reports.recent(conn, mine, limit=5000),
        reports.errors(conn, span, mine, 5000),
        reports.slowest(conn, span, mine, 5000),
        reports.most_expensive(conn, span, mine, 5000),
    ]
    for found in lists:
        assert found
        assert all(map(is_mine, found))
    assert reports.known(conn, "project", scope) == ["docs", "search"]
    assert "checkout-ci" not in reports.known(conn, "token", scope)
    everybody = reports.recent(conn, ALL, limit=5000)
    theirs = next(row for row in everybody if not is_mine(row))
    for reference in (str(theirs["request_id"]), str(theirs["id"])):
        assert reports.request(conn, reference, EVERYTHING)
        with pytest.raises(NotFound):
            reports.request(conn, reference, scope)
    own = next(row for row in everybody if is_mine(row))
    assert reports.request(conn, str(own["request_id"]), scope)["id"] == own["id"]
    assert reports.is_empty(conn, Scope())
    assert not reports.is_empty(conn, scope)
    first = min(row["id"] for row in everybody if is_mine(row))
    assert reports.bounded(conn, window("", "", NOW), mine).since == first
    assert report_rows.by_listener(conn, span, Scope()) == {}
