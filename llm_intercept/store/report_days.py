"""Reports by the days and hours of a time zone: the rollups know only those of UTC."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

from llm_intercept.errors import ConfigError
from llm_intercept.policy.windows import zone
from llm_intercept.store.report_terms import Filters
from llm_intercept.store.report_time import HOUR, Interval, Window, floor, parse_when
from llm_intercept.store.reports import Line, bounded, breakdown, summaries, summary

MOST_BUCKETS = 1000
_LAST = 4_102_444_800_000_000  # 2100-01-01
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def checked_zone(name: str) -> tzinfo:
    """A time zone by its IANA name."""
    try:
        return zone(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"{name!r} is not a time zone; write it like Europe/Berlin or UTC") from None


def local_window(since: str, until: str, where: tzinfo, now: int) -> Window:
    """What is asked for, where days and times without an offset are those of a time zone; "" for no end."""
    today = _local(now, where).date()
    end = _moment(until, where, now, end=True) if until else _midnight(today + timedelta(days=1), where)
    start = _moment(since, where, now) if since else 0
    found = Window(*(min(max(0, moment), _LAST) for moment in (start, end)))
    if found.until < found.since:
        raise ConfigError(f"until {until or 'today'} lies before since {since}")
    return found


def over_time(
    conn: sqlite3.Connection, span: Window, interval: Interval, filters: Filters, where: tzinfo
) -> list[Line]:
    """One line for each day or hour from the first call on, without gaps."""
    within = bounded(conn, span, filters)
    parts = list(_parts(within, interval, where))
    if where is UTC:  # one reading of the rollups
        found = {line.key: line.summary for line in breakdown(conn, within, interval, filters)}
        empty = summary(conn, Window(0, 0), filters)
        return [Line(key, found.get(key[:13], empty)) for key, _ in parts]
    found_in = summaries(conn, within, [part for _, part in parts], filters)
    return [Line(key, found) for (key, _), found in zip(parts, found_in, strict=True)]


def _parts(span: Window, interval: Interval, where: tzinfo) -> Iterator[tuple[str, Window]]:
    count, moment = 0, span.since
    while moment < span.until:
        count += 1
        if count > MOST_BUCKETS:
            raise ConfigError(f"these are more than {MOST_BUCKETS} {interval}s; ask for less at once")
        key, after = _bucket(moment, interval, where)
        yield key, Window(moment, min(after, span.until))
        moment = after


def _bucket(moment: int, interval: Interval, where: tzinfo) -> tuple[str, int]:
    """Its name, and where the next one begins."""
    local = _local(moment, where)
    if interval == "day":
        return local.date().isoformat(), _midnight(local.date() + timedelta(days=1), where)
    offset = int((local.utcoffset() or timedelta()) / timedelta(microseconds=1))
    start = floor(moment + offset, HOUR) - offset
    name = _local(start, where).replace(microsecond=0)
    return name.isoformat()[:13] if where is UTC else name.isoformat(timespec="minutes"), start + HOUR


def _moment(text: str, where: tzinfo, now: int, *, end: bool = False) -> int:
    word = text.strip().lower()
    try:
        if (day := _day(word, where, now)) is not None:
            return _midnight(day + timedelta(days=1) if end else day, where)
        moment = datetime.fromisoformat(text.strip())
        return _micros(moment if moment.tzinfo else moment.replace(tzinfo=where))
    except (ValueError, OverflowError):
        return parse_when(text, now, end=end)


def _day(word: str, where: tzinfo, now: int) -> date | None:
    today = _local(now, where).date()
    if word in ("today", "yesterday"):
        return today - timedelta(days=int(word == "yesterday"))
    return date.fromisoformat(word) if len(word) == 10 and word[4] == "-" else None


def _midnight(day: date, where: tzinfo) -> int:
    return _micros(datetime(day.year, day.month, day.day, tzinfo=where))


def _local(moment: int, where: tzinfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=moment)).astimezone(where)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
