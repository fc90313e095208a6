"""Days and hours of time zones: what people type, how long days are, and that nothing is counted twice."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bench.seed import fill
from llm_intercept.errors import ConfigError
from llm_intercept.home import Home
from llm_intercept.store import report_spread, reports
from llm_intercept.store.report_days import MOST_BUCKETS, checked_zone, local_window, over_time
from llm_intercept.store.report_time import HOUR, Window
from llm_intercept.store.reports import EVERYTHING, Filters

NOW = 1_795_160_678_786_495  # 2026-11-20T07:44:38Z
ALL = Filters(EVERYTHING)


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000_000)


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    home = Home(tmp_path_factory.mktemp("days"))
    fill(home, 800, 9, NOW)
    found = reports.connect(home.usage_db)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("since", "until", "zone", "expected"),
    [
        ("2026-11-20", "2026-11-20", "UTC", ("2026-11-20T00:00Z", "2026-11-21T00:00Z")),
        ("2026-11-20", "2026-11-20", "Europe/Berlin", ("2026-11-19T23:00Z", "2026-11-20T23:00Z")),
        ("today", "", "Pacific/Auckland", ("2026-11-19T11:00Z", "2026-11-20T11:00Z")),
        ("yesterday", "yesterday", "America/New_York", ("2026-11-19T05:00Z", "2026-11-20T05:00Z")),
        ("2026-11-01T10:30", "now", "Asia/Kolkata", ("2026-11-01T05:00Z", "")),
        ("2026-11-01T10:30+01:00", "now", "Asia/Kolkata", ("2026-11-01T09:30Z", "")),
        # In Berlin the clocks go back on the 25th: that day has 25 hours.
        ("2026-10-25", "2026-10-25", "Europe/Berlin", ("2026-10-24T22:00Z", "2026-10-25T23:00Z")),
        ("0001-01-01", "9999-12-31", "Asia/Tokyo", ("1970-01-01T00:00Z", "2100-01-01T00:00Z")),
    ],
)
def test_windows(since: str, until: str, zone: str, expected: tuple[str, str]) -> None:
    found = local_window(since, until, checked_zone(zone), NOW)
    assert found == Window(micros(expected[0]), micros(expected[1]) if expected[1] else NOW)


@pytest.mark.parametrize("words", [("whenever", ""), ("2026-11-03", "2026-11-01"), ("2026-13-01", "")])
def test_what_is_no_window(words: tuple[str, str]) -> None:
    with pytest.raises(ConfigError):
        local_window(*words, checked_zone("Europe/Berlin"), NOW)


@pytest.mark.parametrize("name", ["Mars/Base", "", "../etc/passwd", "a\0b", "Europe"])
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(ConfigError, match="not a time zone"):
        checked_zone(name)


@pytest.mark.parametrize("interval", ["day", "hour"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Chatham"])
@pytest.mark.parametrize("filters", [ALL, Filters(EVERYTHING, outcome="error")])
def test_everything_is_counted_once(
    conn: sqlite3.Connection, interval: reports.Interval, zone: str, filters: Filters
) -> None:
    span = Window(NOW - 7 * 24 * HOUR, NOW)
    lines = over_time(conn, span, interval, filters, checked_zone(zone))
    whole = reports.summary(conn, span, filters)
    for measure in ("requests", "errors", "cost_nanos", "input_tokens", "output_tokens"):
        assert sum(getattr(line.summary, measure) for line in lines) == getattr(whole, measure)
    keys = [line.key for line in lines]
    assert keys == sorted(set(keys))
    if interval == "day":
        assert 7 <= len(lines) <= 9
        assert all(len(key) == 10 for key in keys)


def test_a_day_holds_what_was_called_on_it_there(conn: sqlite3.Connection) -> None:
    zone = checked_zone("Pacific/Auckland")
    lines = over_time(conn, Window(0, NOW), "day", ALL, zone)
    counted: dict[str, int] = {}
    for (id_,) in conn.execute("SELECT id FROM requests WHERE id < ?", (NOW,)):
        day = datetime.fromtimestamp(id_ / 1e6, UTC).astimezone(zone).date().isoformat()
        counted[day] = counted.get(day, 0) + 1
    assert {line.key: line.summary.requests for line in lines if line.summary.requests} == counted


@pytest.mark.parametrize("few", [10, 2000])
def test_percentiles_are_those_of_a_breakdown_of_the_same_window(
    conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Whether calls are read one by one depends on the window, and not on how it is cut."""
    monkeypatch.setattr(report_spread, "FEW", few)
    span = Window(NOW - 9 * 24 * HOUR, NOW)
    found = [
        [(line.key, line.summary.requests, line.summary.duration_ms_p95) for line in lines]
        for lines in (over_time(conn, span, "day", ALL, checked_zone(name)) for name in ("UTC", "Etc/GMT0"))
    ]
    assert found[0] == found[1]
    assert len(found[0]) > 5


def test_too_many_hours_are_refused(conn: sqlite3.Connection) -> None:
    first = reports.bounded(conn, Window(0, NOW), ALL).since
    far = Window(0, first + (MOST_BUCKETS + 1) * HOUR)
    with pytest.raises(ConfigError, match="ask for less"):
        over_time(conn, far, "hour", ALL, checked_zone("Asia/Tokyo"))
