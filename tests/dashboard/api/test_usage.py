"""Usage by the API: the numbers of the reports under every filter, and only of calls that one may see."""

import csv
import io
import json
from contextlib import closing
from typing import Any

import pytest

from llm_intercept.store import reports
from llm_intercept.store.migrate import connect
from llm_intercept.store.report_time import Window
from llm_intercept.store.reports import EVERYTHING, Filters
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.usage import write_batch
from tests.dashboard.api.conftest import World
from tests.dashboard.conftest import NOW

ALL = Window(0, NOW + 86_400_000_000)
BREAKDOWNS = ("by-provider", "by-model", "by-project", "by-token", "by-user", "by-key", "daily")


@pytest.fixture(scope="module", autouse=True)
def calls(world: World) -> None:
    """One of mia's project, one of a project that is not hers, one with vic's own token there."""
    marks: dict[str, dict[str, Any]] = {
        "alpha": {
            **{"token": "t-show", "user": "mia", "status": 200, "outcome": "ok", "stream": 1},
            **{"cache": "hit", "saved_tokens": 120, "saved_nanos": 7_000_000},
        },
        "beta": {"token": "b-one", "user": "out", "status": 429, "outcome": "client_error", "stream": 0},
        "beta ": {"token": "vics", "user": "vic", "status": 503, "outcome": "provider_error", "stream": 0},
    }
    rows = [
        RequestRow(
            id=NOW - 1_000_000 - number,
            request_id=f"mark-{number}",
            project=name.strip(),
            provider="openai",
            model="marked",
            credential="default",
            input_tokens=100,
            output_tokens=10 * (number + 1),
            cost_nanos=1_000_000 * (number + 1),
            priced=1,
            duration_ms=12.0,
            **values,
        )
        for number, (name, values) in enumerate(marks.items())
    ]
    with closing(connect(world.home.usage_db)) as connection:
        write_batch(connection, rows)


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"model": "marked"},
        {"project": "beta", "status": "4xx"},
        {"status": "503", "user": "vic", "stream": "false"},
        {"stream": "true", "model": "marked"},
        {"outcome": "error", "provider": "openai"},
        {"cache": "hit"},
        {"cache": "miss", "project": "alpha"},
        {"credential": "default", "token": "b-one", "project": "beta", "model": "marked"},
    ],
)
def test_the_numbers_are_those_of_the_reports(world: World, filters: dict[str, str]) -> None:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    named = {name: {"true": "yes", "false": "no"}.get(value, value) for name, value in filters.items()}
    with closing(reports.connect(world.home.usage_db)) as conn:
        expected = reports.summary(conn, ALL, Filters(EVERYTHING, **named))
    found = world.get(f"/usage/summary?{query}").json()
    counted = ("requests", "errors", "cost_nanos", "input_tokens", "output_tokens", "unpriced")
    for measure in (*counted, "cache_hits", "cache_asked", "cache_hit_rate", "saved_nanos"):
        assert found[measure] == getattr(expected, measure)
    for path in BREAKDOWNS:
        lines = world.get(f"/usage/{path}?{query}").json()["items"]
        assert sum(line["requests"] for line in lines) == found["requests"], path
        assert sum(line["cost_nanos"] for line in lines) == found["cost_nanos"], path
    exported = world.get(f"/usage/export?format=ndjson&{query}").text.splitlines()
    assert len(exported) == found["requests"]


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("root", {"mark-0", "mark-1", "mark-2"}),
        ("mia", {"mark-0"}),
        ("vic", {"mark-2"}),
        ("out", {"mark-1", "mark-2"}),
    ],
)
def test_who_sees_which_calls(world: World, who: str, seen: set[str]) -> None:
    recent = world.get("/usage/recent?model=marked", who).json()["items"]
    assert {call["request_id"] for call in recent} == seen
    assert world.get("/usage/summary?model=marked", who).json()["requests"] == len(seen)
    for kind in ("csv", "json", "ndjson"):
        text = world.get(f"/usage/export?format={kind}&model=marked", who).text
        assert {name for name in ("mark-0", "mark-1", "mark-2") if name in text} == seen
    for number in range(3):
        status = world.get(f"/usage/requests/mark-{number}", who).status_code
        assert (status == 200) == (f"mark-{number}" in seen)
    for path in (
        "by-token",
        "by-project",
        "by-user",
        "by-provider",
        "daily",
        "hourly?since=2d",
        "timeseries",
    ):
        mark = "&" if "?" in path else "?"
        lines = world.get(f"/usage/{path}{mark}model=marked", who).json()["items"]
        assert sum(line["requests"] for line in lines) == len(seen), path
    assert world.get("/usage/cost-breakdown?model=marked", who).json()["total"]["requests"] == len(seen)


@pytest.mark.parametrize("who", ["mia", "vic"])
def test_which_of_a_providers_keys_was_used_is_for_admins(world: World, who: str) -> None:
    assert world.get("/usage/recent?model=marked").json()["items"][0]["credential"] == "default"
    assert world.get("/usage/recent?model=marked", who).json()["items"][0]["credential"] == ""
    assert world.get("/usage/summary?credential=default", who).status_code == 403
    assert world.get("/usage/by-key", who).status_code == 403


def test_what_the_cache_saved_is_told(world: World) -> None:
    (hit,) = world.get("/usage/recent?cache=hit&model=marked").json()["items"]
    assert (hit["cache"], hit["saved_tokens"], hit["saved_usd"]) == ("hit", 120, "0.007000000")
    found = world.get("/usage/summary?model=marked", "mia").json()
    assert (found["cache_hits"], found["cache_hit_rate"], found["saved_usd"]) == (1, 1.0, "0.007000000")
    assert world.get("/usage/summary?model=marked", "vic").json()["cache_hit_rate"] is None
    assert world.get("/usage/summary?cache=often").status_code == 422


def test_ones_own_usage_is_that_of_ones_own_tokens(world: World) -> None:
    assert world.get("/users/me/usage?model=marked", "mia").json()["requests"] == 1
    assert world.get("/users/me/usage?model=marked", "vic").json()["requests"] == 1
    assert world.get("/users/me/usage?model=marked", "root").json()["requests"] == 0


def test_ones_own_quota(world: World) -> None:
    texts = [line["text"] for line in world.get("/users/me/quota", "mia").json()["items"]]
    assert "project alpha may make 1,000 requests a day" in texts
    assert world.get("/users/me/quota", "vic").json()["items"] == []


def test_exports_are_whole_and_readable(world: World) -> None:
    total = world.get("/usage/summary").json()["requests"]
    rows = list(csv.DictReader(io.StringIO(world.get("/usage/export").text)))
    assert len(rows) == total == len(world.get("/usage/export?format=json").json())
    answer = world.get("/usage/export?format=ndjson")
    assert len([json.loads(line) for line in answer.text.splitlines()]) == total
    assert 'filename="llm-intercept-requests.ndjson"' in answer.headers["content-disposition"]
    assert world.ask("HEAD", "/usage/export").text == ""


def test_a_day_is_that_of_the_time_zone(world: World) -> None:
    """NOW is 07:44 UTC on the 20th: in Honolulu it is still the 19th."""
    path = "/usage/daily?model=marked&start_date={0}&end_date={0}&timezone={1}"
    for day, zone, number in [("2026-11-20", "UTC", 3), ("2026-11-19", "UTC", 0)]:
        lines = world.get(path.format(day, zone)).json()["items"]
        assert sum(line["requests"] for line in lines) == number
    there = world.get(path.format("2026-11-19", "Pacific/Honolulu")).json()["items"]
    assert [(line["key"], line["requests"]) for line in there] == [("2026-11-19", 3)]


def test_the_audit_export(world: World) -> None:
    world.post("/users", {"name": "exported"})
    rows = [json.loads(line) for line in world.get("/audit/export?format=ndjson").text.splitlines()]
    assert [row["object_name"] for row in rows if row["action"] == "user.create"] == ["exported"]
    assert world.get("/audit/export", "mia").status_code == 403
