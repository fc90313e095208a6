"""Every page and endpoint for somebody who is logged in, and that their numbers are those of the reports."""

import csv
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from llm_intercept.home import Home
from llm_intercept.settings import CaptureSettings
from llm_intercept.store import reports
from llm_intercept.store.bodies import Body, Capture, write_bodies
from llm_intercept.store.migrate import connect
from llm_intercept.store.report_time import preset, window
from llm_intercept.store.reports import EVERYTHING, Filters
from llm_intercept.store.rows import AttemptRow, RequestRow, ViolationRow
from llm_intercept.store.usage import write_batch
from tests.dashboard.conftest import NOW, Visitor, log_in

ALL = Filters(EVERYTHING)

REPORTS = (
    "by-day",
    "by-project",
    "by-model",
    "by-provider",
    "by-token",
    "by-cache",
    "errors",
    "slowest",
    "most-expensive",
    "stream-violations",
)


@pytest.fixture
def conn(seeded: Home) -> Iterator[sqlite3.Connection]:
    connection = reports.connect(seeded.usage_db)
    yield connection
    connection.close()


def total(text: str, title: str) -> str:
    found = re.search(rf"<h3>{title} by \w+</h3><span class=\"total\"[^>]*>([^<]+)<", text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("range_name", ["24h", "7d", "30d", "90d"])
@pytest.mark.parametrize("by", ["project", "model", "provider"])
def test_the_overview_shows_the_totals_of_its_range(
    owner: Visitor, conn: sqlite3.Connection, range_name: str, by: str
) -> None:
    answer = owner.get(f"/?range={range_name}&by={by}")
    assert answer.status_code == 200
    expected = reports.summary(conn, preset(range_name, NOW)[0], ALL)
    assert total(answer.text, "Requests") == f"{expected.requests:,}"
    assert total(answer.text, "Cost") == f"${expected.cost_nanos / 1e9:,.2f}"
    charted = [json.loads(data) for data in re.findall(r'data-for="\w+">(.*?)</script>', answer.text)]
    requests = sum(sum(series["values"]) for series in charted[1]["series"])
    assert requests == expected.requests
    assert len(charted[0]["times"]) == int(range_name.rstrip("hd"))


@pytest.mark.parametrize("range_name", ["24h", "7d", "30d"])
def test_a_leader_links_to_exactly_its_calls(owner: Visitor, range_name: str) -> None:
    text = owner.get(f"/?range={range_name}").text
    leaders = re.findall(r'<a href="([^"]+since=[^"]+)">([^<]+)</a><span class="second">([\d,]+) calls', text)
    assert len(leaders) > 8
    for href, _, calls in leaders:
        assert f"<b>{calls}</b> requests" in owner.get(href.replace("&amp;", "&")).text


def test_today_is_compared_with_yesterday_until_the_same_moment(
    owner: Visitor, conn: sqlite3.Connection
) -> None:
    day = 86_400_000_000
    start = NOW - NOW % day
    now = reports.summary(conn, window("today", "", NOW), ALL).requests
    before = conn.execute(
        "SELECT count(*) FROM requests WHERE id >= ? AND id < ?", (start - day, NOW - day)
    ).fetchone()[0]
    change = (now - before) / before * 100
    text = owner.get("/").text
    assert f'<p class="figure">{now}</p>' in text
    assert f"{'+' if change > 0 else '−'}{abs(change):,.0f}%" in text


def test_unknown_choices_fall_back(owner: Visitor) -> None:
    answer = owner.get("/?range=1y&by=password")
    assert answer.status_code == 200
    assert "Last 7 days" in answer.text


def test_an_empty_home_says_what_to_do(visit: Any, empty: Home) -> None:
    visitor = visit(empty)
    log_in(visitor, empty)
    text = visitor.get("/").text
    assert "No calls yet" in text
    assert "curl http://127.0.0.1:8080/v1/chat/completions" in text
    for path in ("/-/llm/requests", "/-/llm/live.json", "/usage", "/usage/by-day", "/-/llm/export.csv"):
        assert visitor.get(path).status_code == 200


def test_the_feed_answers_only_what_is_new(visit: Any, empty: Home) -> None:
    visitor = visit(empty)
    log_in(visitor, empty)
    first = visitor.get("/-/llm/live.json?seen=", html=False).json()
    assert first["changed"] is False
    put(empty, RequestRow(NOW - 5_000_000, "0197-b", project="second", outcome="ok"))
    second = visitor.get("/-/llm/live.json?seen=", html=False).json()
    assert second["changed"]
    assert "second" in second["calls"]
    assert visitor.get(f"/-/llm/live.json?seen={second['signature']}", html=False).json() == {
        "signature": second["signature"],
        "changed": False,
    }
    # A call that began earlier and ended only now.
    put(empty, RequestRow(NOW - 60_000_000, "0197-a", project="longest", outcome="ok"))
    third = visitor.get(f"/-/llm/live.json?seen={second['signature']}", html=False).json()
    assert "longest" in third["calls"]
    assert '<p class="figure">2</p>' in third["cards"]


def put(home: Home, row: RequestRow) -> None:
    connection = connect(home.usage_db)
    write_batch(connection, [row])
    connection.close()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "since=2d",
        "since=2026-11-18&until=2026-11-19",
        "since=9d&project=checkout&outcome=error",
        "since=9d&model=gpt-5",
        "since=9d&provider=ollama&token=checkout-laptop",
    ],
)
def test_list_export_and_json_agree(owner: Visitor, conn: sqlite3.Connection, query: str) -> None:
    shown = owner.get(f"/-/llm/requests?{query}").text
    asked = query if "since" in query else f"since=7d&{query}"
    rows = list(csv.DictReader(io.StringIO(owner.get(f"/-/llm/export.csv?{asked}").text)))
    lines = [json.loads(line) for line in owner.get(f"/-/llm/export.ndjson?{asked}").text.splitlines()]
    array = owner.get(f"/-/llm/export.json?{asked}").json()
    summary = owner.get(f"/-/llm/summary.json?{asked}", html=False).json()
    assert [row["id"] for row in rows] == [str(row["id"]) for row in lines]
    assert lines == array
    assert len(rows) == summary["requests"]
    assert f"<b>{len(rows):,}</b> requests" in shown
    assert sum(row["cost_nanos"] or 0 for row in array) == summary["cost_nanos"]
    stored = {row["id"]: row for row in reports.recent(conn, ALL, limit=5000)}
    assert all(row["request_id"] == stored[row["id"]]["request_id"] for row in array)


def test_exports_come_as_downloads(owner: Visitor) -> None:
    headers = owner.get("/-/llm/export.csv").headers
    assert headers["content-disposition"] == 'attachment; filename="llm-intercept-requests.csv"'
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert owner.ask("head", "/-/llm/export.csv").text == ""


@pytest.mark.parametrize(
    "path",
    [
        "/-/llm/export.csv?since=soon",
        "/-/llm/summary.json?since=soon",
        "/-/llm/timeseries.json?measure=password",
        "/-/llm/timeseries.json?by=client_ip",
        "/-/llm/requests?since=soon",
    ],
)
def test_what_cannot_be_read_is_said(owner: Visitor, path: str) -> None:
    assert owner.get(path).status_code == 400


def test_the_list_pages_to_the_end(owner: Visitor, conn: sqlite3.Connection) -> None:
    seen: list[str] = []
    query = "since=9d&project=search"
    while query:
        text = owner.get(f"/-/llm/requests?{query}").text
        seen += re.findall(r'<tr data-id="(\d+)"', text)
        older = re.search(r'href="\?([^"]+)">Older<', text)
        query = older[1].replace("&amp;", "&") if older else ""
    expected = reports.rows(
        conn, window("9d", "", NOW), Filters(EVERYTHING, project="search"), "id DESC", 5000
    )
    assert len(expected) > 50
    assert seen == [str(row["id"]) for row in expected]


def test_timeseries_as_json(owner: Visitor, conn: sqlite3.Connection) -> None:
    found = owner.get("/-/llm/timeseries.json?measure=cost_nanos&by=model&since=9d", html=False).json()
    assert (
        sum(map(sum, found["values"].values()))
        == reports.summary(conn, window("9d", "", NOW), ALL).cost_nanos
    )
    everything = owner.get("/-/llm/timeseries.json", html=False).json()
    assert 9 <= len(everything["buckets"]) <= 11, "begins with the first call, not in 1970"


def test_every_call_has_its_page(owner: Visitor, conn: sqlite3.Connection) -> None:
    for row in reports.recent(conn, ALL, limit=40):
        text = owner.get(f"/-/llm/requests/{row['request_id']}").text
        assert str(row["request_id"]) in text
        assert "Where the time went" in text
    assert owner.get("/-/llm/requests/0197-0").status_code == 404
    for nowhere in ("/-/llm/nowhere", "/-/llm/requests/nowhere"):
        answer = owner.get(nowhere)
        assert (answer.status_code, "There is no such page." in answer.text) == (404, True)


def test_the_page_of_a_call_tells_everything(visit: Any, empty: Home) -> None:
    visitor = visit(empty)
    log_in(visitor, empty)
    tries = [
        AttemptRow(
            NOW,
            1,
            "openai",
            "api.openai.com",
            "first",
            status=503,
            outcome="provider_error",
            error_message="overloaded",
        ),
        AttemptRow(NOW, 2, "openai", "api.openai.com", "second", status=200, outcome="ok"),
    ]
    row = RequestRow(
        NOW, "0197-c", project="demo", model="<script>alert(1)</script>", outcome="ok", status=200,
        input_tokens=1234, output_tokens=56, cache_read_tokens=1000, cost_nanos=1_234_500, priced=1,
        request_sha256="aa" * 32, upstream_sha256="bb" * 32, changes='["stream_options.include_usage"]',
        warnings='["top_k was dropped"]', phases='{"received": 0, "authenticated": 150, "sent": 900}',
        attempts=2, tries=tries,
        violations=[
            ViolationRow(NOW, "provider", "openai_chat", 0, "the stream ended without [DONE]"),
            ViolationRow(NOW, "ours", "anthropic", 7, "a second <message_start>"),
        ],
    )  # fmt: skip
    put(empty, row)
    capture(empty)
    text = visitor.get("/-/llm/requests/0197-c").text
    for part in (
        "1,234", "$0.001234500", "stream_options.include_usage", "top_k was dropped", "Body changed",
        "150 µs", "overloaded", "Be brief.", "get_weather", "22 degrees", "&lt;b&gt;Sunny&lt;/b&gt;",
        "the stream ended without [DONE]", "a second &lt;message_start&gt;",
    ):  # fmt: skip
        assert part in text
    assert "<script>alert" not in text
    assert "<b>Sunny</b>" not in text


def test_violations_are_counted_by_provider_and_sentence(visit: Any, empty: Home) -> None:
    visitor = visit(empty)
    log_in(visitor, empty)
    for number in range(3):
        wrong = [ViolationRow(0, "provider", "openai_chat", 0, "the stream ended without [DONE]")]
        put(empty, RequestRow(NOW + number, f"0197-{number}", provider="perplexity", violations=wrong))
    answer = visitor.get(f"/usage/{REPORTS[-1]}.json?since=2026-11-01&_shape=array", html=False).json()
    assert [(line["provider"], line["side"], line["sentence"], line["streams"]) for line in answer] == [
        ("perplexity", "provider", "the stream ended without [DONE]", 3)
    ]


def capture(home: Home) -> None:
    question = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "tool_calls": [{"type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
            },
            {"role": "tool", "content": "22 degrees"},
        ]
    }
    answer = {"choices": [{"message": {"role": "assistant", "content": "<b>Sunny</b>"}}]}
    bodies = [
        Body("request", "application/json", json.dumps(question).encode()),
        Body("response", "application/json", json.dumps(answer).encode()),
    ]
    connection = connect(home.bodies_db)
    write_bodies(connection, Capture(CaptureSettings()), [(NOW, bodies)])
    connection.close()


@pytest.mark.parametrize("name", REPORTS)
def test_stored_queries_open_as_reports(owner: Visitor, name: str) -> None:
    answer = owner.get(f"/usage/{name}?since=2026-11-01")
    assert answer.status_code == 200
    assert "The SQL of this report" in answer.text
    assert "report-table" in answer.text
    rows = owner.get(f"/usage/{name}.json?since=2026-11-01&_shape=array", html=False).json()
    assert rows
    none = owner.get(f"/usage/{name}?since=2020-01-01&until=2020-01-02")
    assert "No calls in this period" in none.text


@pytest.mark.parametrize("by", ["day", "project", "model", "provider", "token"])
def test_stored_queries_agree_with_the_reports(owner: Visitor, conn: sqlite3.Connection, by: str) -> None:
    path = f"/usage/by-{by}.json?since=2026-11-14&until=2026-11-19&_shape=array&_size=max"
    rows = owner.get(path, html=False).json()
    lines = reports.breakdown(conn, window("2026-11-14", "2026-11-19", NOW), by, ALL)
    for name in ("requests", "errors", "input_tokens", "cost_nanos", "unpriced"):
        assert {row[by]: row[name] for row in rows} == {
            line.key: getattr(line.summary, name) for line in lines
        }


def test_the_report_of_the_cache_agrees_with_the_reports(owner: Visitor, conn: sqlite3.Connection) -> None:
    path = "/usage/by-cache.json?since=2026-11-14&until=2026-11-19&_shape=array&_size=max"
    rows = owner.get(path, html=False).json()
    span = window("2026-11-14", "2026-11-19", NOW)
    for by in ("project", "model"):
        for line in reports.breakdown(conn, span, by, ALL):  # type: ignore[arg-type]
            found = [row for row in rows if row[by] == line.key]
            for name in ("cache_hits", "cache_asked", "saved_nanos"):
                assert sum(row[name] for row in found) == getattr(line.summary, name)
    assert all(row["hit_rate"] == row["cache_hits"] / row["cache_asked"] for row in rows)
    assert sum(row["cache_hits"] for row in rows) > 5


def test_what_the_cache_did_is_shown(owner: Visitor, conn: sqlite3.Connection) -> None:
    span = window("7d", "", NOW)
    found = reports.summary(conn, span, ALL)
    assert found.cache_hit_rate is not None
    rate = f"{found.cache_hit_rate:.1%}"
    text = owner.get("/?range=7d").text
    assert f"<b>{reports.summary(conn, preset('7d', NOW)[0], ALL).cache_hits}</b> of" in text
    assert "answered out of the cache" in text
    assert f"out of the cache ({rate})" in owner.get("/-/llm/requests").text
    for result in ("hit", "stored", "miss", "bypass"):
        text = owner.get(f"/-/llm/requests?cache={result}").text
        number = reports.summary(conn, span, Filters(EVERYTHING, cache=result)).requests
        assert f"<b>{number}</b> requests" in text
        assert f'<option value="{result}" selected>' in text
        assert text.count('title="The provider was not asked"') == (min(50, number) if result == "hit" else 0)
        exported = owner.get(f"/-/llm/export.ndjson?since=7d&cache={result}").text.splitlines()
        assert len(exported) == number


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cache": "stored"}, "This answer is stored"),
        ({"cache": "miss"}, "There was no answer to this yet"),
        ({"cache": "bypass"}, "The cache was not asked"),
        ({"cache": "hit", "saved_nanos": 1_234_500, "saved_tokens": 1290}, "$0.00123</span>, 1,290 tokens"),
        ({"cache": "hit"}, "no price is known"),
    ],
)
def test_the_page_of_a_call_says_what_the_cache_did(
    visit: Any, empty: Home, values: dict[str, Any], words: str
) -> None:
    visitor = visit(empty)
    log_in(visitor, empty)
    put(empty, RequestRow(NOW, "0197-c", outcome="ok", **values))
    text = visitor.get("/-/llm/requests/0197-c").text
    assert words in text
    assert ("out of the cache" in text) == (values["cache"] == "hit")
    put(empty, RequestRow(NOW - 1, "0197-d", outcome="ok"))
    assert "<h2>Cache</h2>" not in visitor.get("/-/llm/requests/0197-d").text


def test_a_hit_leads_to_the_call_that_stored_its_answer(visit: Any, empty: Home) -> None:
    visitor = visit(empty)
    log_in(visitor, empty)
    same: dict[str, Any] = {"outcome": "ok", "provider": "openai", "response_id": "chatcmpl-1"}
    for number, (id_, cache) in enumerate([(NOW - 90_000_000, "stored"), (NOW - 5, "hit"), (NOW, "hit")]):
        put(empty, RequestRow(id_, f"0197-{number}", cache=cache, **same))
    put(empty, RequestRow(NOW - 100, "0197-9", cache="stored", **{**same, "provider": "groq"}))
    text = visitor.get("/-/llm/requests/0197-2").text
    assert 'href="/-/llm/requests/0197-0"' in text
    assert "1 min 30 s before" in text
    put(empty, RequestRow(NOW + 1, "0197-3", cache="hit", outcome="ok", provider="openai"))
    assert "Stored by" not in visitor.get("/-/llm/requests/0197-3").text


@pytest.mark.parametrize(
    ("name", "report"),
    [("errors", reports.errors), ("slowest", reports.slowest), ("most-expensive", reports.most_expensive)],
)
def test_stored_lists_agree_with_the_reports(
    owner: Visitor, conn: sqlite3.Connection, name: str, report: Any
) -> None:
    rows = owner.get(f"/usage/{name}.json?since=2026-11-14&until=2026-11-19&limit=7&_shape=array", html=False)
    expected = report(conn, window("2026-11-14", "2026-11-19", NOW), ALL, limit=7)
    assert [row["request_id"] for row in rows.json()] == [row["request_id"] for row in expected]


def test_the_table_of_requests_is_readable(owner: Visitor, conn: sqlite3.Connection) -> None:
    row = reports.most_expensive(conn, window("9d", "", NOW), ALL, limit=1)[0]
    text = owner.get(f"/usage/requests?request_id={row['request_id']}").text
    assert 'class="badge good">OK<' in text
    assert f'href="/-/llm/requests/{row["request_id"]}"' in text
    assert f"${row['cost_nanos'] / 1e9:.9f}" in text
    page = owner.get(f"/usage/requests/{row['id']}").text
    assert "Open the page of this call" in page


@pytest.mark.parametrize(
    ("cookie", "shown"), [("dark", True), ("light", True), ('"><script>', False), ("", False)]
)
def test_the_theme_is_remembered(owner: Visitor, cookie: str, shown: bool) -> None:
    owner.cookies["llm_theme"] = cookie
    for path in ("/", "/usage"):
        assert (f'data-theme="{cookie}"' in owner.get(path).text) is shown


def test_polling_leaves_no_line_in_the_access_log(owner: Visitor) -> None:
    import logging

    log = logging.getLogger("uvicorn.access")
    for path, kept in (("/-/llm/live.json?seen=1", False), ("/usage", True)):
        record = log.makeRecord("uvicorn.access", 20, "", 0, '%s "%s %s" %d', ("::1", "GET", path, 200), None)
        assert bool(log.filter(record)) is kept
