"""What people type as a time, and how a window is cut into days, hours and the rest."""

import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.store.report_time import (
    DAY,
    HOUR,
    PRESETS,
    Window,
    bucket,
    bucket_start,
    buckets,
    floor,
    parse_when,
    preset,
    segments,
    window,
)

NOW = 1_795_160_678_786_495  # 2026-11-20T07:44:38.786495Z
TODAY = floor(NOW, DAY)


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        ("now", False, NOW),
        ("90s", False, NOW - 90_000_000),
        ("15min", False, NOW - 900_000_000),
        ("15m", False, NOW - 900_000_000),
        ("24h", False, NOW - DAY),
        ("7d", False, NOW - 7 * DAY),
        ("7d ago", False, NOW - 7 * DAY),
        ("2w", False, NOW - 14 * DAY),
        ("today", False, TODAY),
        ("Today", True, TODAY + DAY),
        ("yesterday", False, TODAY - DAY),
        ("yesterday", True, TODAY),
        ("2026-11-19", False, TODAY - DAY),
        ("2026-11-19", True, TODAY),
        ("2026-11-20T01:00", False, TODAY + HOUR),
        ("2026-11-20T01:00", True, TODAY + HOUR),
        ("2026-11-20T01:00:00Z", False, TODAY + HOUR),
        ("2026-11-20T02:00:00+01:00", False, TODAY + HOUR),
        ("2026-11-20 01:00:00.000001", False, TODAY + HOUR + 1),
    ],
)
def test_times_that_people_type(text: str, end: bool, expected: int) -> None:
    assert parse_when(text, NOW, end=end) == expected


@pytest.mark.parametrize("text", ["soon", "7x", "2026-13-01", "-7d", "1/2/2026"])
def test_what_is_no_time_is_said_with_examples(text: str) -> None:
    with pytest.raises(ConfigError, match="write 7d, 24h"):
        parse_when(text, NOW)


def test_a_window_without_bounds_is_everything_until_the_end_of_today() -> None:
    assert window("", "", NOW) == Window(0, TODAY + DAY)


def test_a_day_given_twice_is_that_whole_day() -> None:
    assert window("2026-11-19", "2026-11-19", NOW) == Window(TODAY - DAY, TODAY)


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ConfigError, match="lies before"):
        window("today", "2026-11-01", NOW)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_whole_buckets_up_to_the_current_one(name: str) -> None:
    span, interval = preset(name, NOW)
    assert len(buckets(span, interval)) == PRESETS[name][0]
    assert buckets(span, interval)[-1] == bucket(NOW, interval)
    assert {part.source for part in segments(span)} <= {"usage_hour", "usage_day"}


@pytest.mark.parametrize(
    ("since", "until", "sources"),
    [
        (TODAY, TODAY + DAY, ["usage_hour"]),
        (TODAY - 6 * DAY, TODAY + DAY, ["usage_day"]),
        (TODAY - 6 * DAY, NOW, ["usage_day", "usage_hour", "requests"]),
        (NOW - 7 * DAY, TODAY + DAY, ["requests", "usage_hour", "usage_day"]),
        (NOW - 7 * DAY, NOW, ["requests", "usage_hour", "usage_day", "usage_hour", "requests"]),
        (NOW - DAY, NOW, ["requests", "usage_hour", "requests"]),
        (NOW - 1000, NOW, ["requests"]),
        (TODAY + HOUR - 5, TODAY + HOUR + 5, ["requests"]),
        (NOW, NOW, []),
    ],
)
def test_a_window_is_cut_without_gap_or_overlap(since: int, until: int, sources: list[str]) -> None:
    parts = segments(Window(since, until))
    assert [part.source for part in parts] == sources
    edges = [since, *(part.until for part in parts)]
    assert [part.since for part in parts] == edges[:-1]
    assert edges[-1] == until


def test_a_chart_by_the_hour_never_reads_days() -> None:
    assert {part.source for part in segments(Window(TODAY - 9 * DAY, TODAY), finest="hour")} == {"usage_hour"}


def test_buckets_and_their_beginnings() -> None:
    assert buckets(Window(TODAY - DAY, NOW), "day") == ["2026-11-19", "2026-11-20"]
    assert buckets(Window(TODAY, TODAY + 2 * HOUR), "hour") == ["2026-11-20T00", "2026-11-20T01"]
    assert bucket_start("2026-11-20") * 1_000_000 == TODAY
    assert bucket_start("2026-11-20T01") * 1_000_000 == TODAY + HOUR
