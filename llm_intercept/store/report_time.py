"""Points and spans of time in reports: what people type, and which table answers for which part.

All times are epoch microseconds (the unit of `requests.id`), all days and hours are UTC. A window
is cut into whole days, whole hours and what is left, so that a report over any bounds is exact and
reads as few rows as it can. No SQL here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from llm_intercept.errors import ConfigError

type Interval = Literal["hour", "day"]
type Source = Literal["requests", "usage_hour", "usage_day"]

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
# Up to this length a window is read from the hours: fewer rows than two days and their edges.
HOURLY_LIMIT = 48 * HOUR

_UNITS = {"s": SECOND, "m": 60 * SECOND, "min": 60 * SECOND, "h": HOUR, "d": DAY, "w": 7 * DAY}
_RELATIVE = re.compile(r"(\d+)\s*(s|min|m|h|d|w)(?:\s+ago)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# name of a preset -> (how many buckets, which)
PRESETS: dict[str, tuple[int, Interval]] = {
    "24h": (24, "hour"),
    "7d": (7, "day"),
    "30d": (30, "day"),
    "90d": (90, "day"),
}


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` (inclusive) to `until` (exclusive)."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a window and the table that holds it."""

    source: Source
    since: int
    until: int


def parse_when(text: str, now: int, *, end: bool = False) -> int:
    """`7d`, `24h ago`, `now`, `today`, `yesterday`, `2026-11-01`, `2026-11-01T10:30[Z|+01:00]`.

    A day means its first moment, or with `end` the first moment after it, so that
    `--since 2026-11-01 --until 2026-11-01` is that whole day.
    """
    word = text.strip().lower()
    if word == "now":
        return now
    if found := _RELATIVE.fullmatch(word):
        return now - int(found[1]) * _UNITS[found[2]]
    day = _day(word, now)
    return day + DAY if end and day is not None else day if day is not None else _moment(text.strip())


def _day(word: str, now: int) -> int | None:
    """The first moment of a day, or None when `word` does not name one."""
    if word in ("today", "yesterday"):
        return floor(now, DAY) - (DAY if word == "yesterday" else 0)
    return _moment(word) if _DATE.fullmatch(word) else None


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a time: write 7d, 24h, today, yesterday, 2026-11-01 or 2026-11-01T10:30"
        ) from None
    return _micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def window(since: str, until: str, now: int) -> Window:
    """What `--since` and `--until` ask for; empty texts mean everything up to now."""
    start = parse_when(since, now) if since else 0
    end = parse_when(until, now, end=True) if until else floor(now, DAY) + DAY
    if end < start:
        raise ConfigError(f"--until {until} lies before --since {since}")
    return Window(start, end)


def preset(name: str, now: int) -> tuple[Window, Interval]:
    """The window of a range picker's choice, in whole buckets; the last one is the current one."""
    count, interval = PRESETS[name]
    step = HOUR if interval == "hour" else DAY
    end = floor(now, step) + step
    return Window(end - count * step, end), interval


def floor(moment: int, step: int) -> int:
    return moment - moment % step


def ceil(moment: int, step: int) -> int:
    return floor(moment + step - 1, step)


def bucket(moment: int, interval: Interval) -> str:
    """The rollup key that `moment` falls into."""
    text = datetime.fromtimestamp(moment // SECOND, UTC).isoformat()
    return text[:13] if interval == "hour" else text[:10]


def buckets(span: Window, interval: Interval) -> list[str]:
    """Every key that the window touches, without gaps."""
    step = HOUR if interval == "hour" else DAY
    return [bucket(moment, interval) for moment in range(floor(span.since, step), span.until, step)]


def bucket_start(key: str) -> int:
    """Epoch seconds at which a bucket begins."""
    return _micros(datetime.fromisoformat(key + ":00" if "T" in key else key).replace(tzinfo=UTC)) // SECOND


def segments(span: Window, *, finest: Interval = "day") -> list[Segment]:
    """The parts of a window. `finest="hour"` never uses whole days (a chart by the hour)."""
    if finest == "hour" or span.until - span.since <= HOURLY_LIMIT:
        parts = list(_hours(span.since, span.until))
    else:
        first, last = ceil(span.since, DAY), floor(span.until, DAY)
        parts = [*_hours(span.since, first), Segment("usage_day", first, last), *_hours(last, span.until)]
    return [part for part in parts if part.since < part.until]


def _hours(since: int, until: int) -> Iterator[Segment]:
    first, last = ceil(since, HOUR), floor(until, HOUR)
    if first >= last:
        yield Segment("requests", since, until)
        return
    yield Segment("requests", since, first)
    yield Segment("usage_hour", first, last)
    yield Segment("requests", last, until)
