"""Every number that pages, commands and exports show, as functions of a read-only connection.

One source of truth: whole hours and days come from the rollups, the edges of a window from the raw
rows, with the same definitions (`report_terms.MEASURES`), so any two reports over the same window
agree to the token and the nano-dollar. Texts for people are made by the callers.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from llm_intercept.store import report_spread
from llm_intercept.store.report_rows import (
    error_groups,
    errors,
    is_empty,
    known,
    most_expensive,
    recent,
    request,
    rows,
    slowest,
    stored_by,
)
from llm_intercept.store.report_scope import extent
from llm_intercept.store.report_spread import Spread, quantile, spreads
from llm_intercept.store.report_terms import (
    DIMENSIONS,
    EVERYTHING,
    HISTOGRAMS,
    KINDS,
    MEASURES,
    ROLLED,
    Dimension,
    Filters,
    Row,
    RowDimension,
    Scope,
    bucket_number,
    connect,
)
from llm_intercept.store.report_time import Interval, Segment, Window, bucket, buckets, segments
from llm_intercept.store.rollup import BUCKETS, percentile

__all__ = [
    "DIMENSIONS",
    "EVERYTHING",
    "MEASURES",
    "Dimension",
    "Filters",
    "Interval",
    "Line",
    "Row",
    "RowDimension",
    "Scope",
    "Series",
    "Summary",
    "Window",
    "bounded",
    "breakdown",
    "by_day",
    "by_model",
    "by_project",
    "by_provider",
    "by_token",
    "collect",
    "connect",
    "error_groups",
    "errors",
    "is_empty",
    "known",
    "leaders",
    "most_expensive",
    "recent",
    "request",
    "rows",
    "slowest",
    "stored_by",
    "summaries",
    "summary",
    "timelines",
    "timeseries",
    "total",
]

type Sums = dict[tuple[str, ...], dict[str, float]]

_RAW_KEYS = {
    "hour": "strftime('%Y-%m-%dT%H', id / 1000000, 'unixepoch')",
    "day": "strftime('%Y-%m-%d', id / 1000000, 'unixepoch')",
}
_NO_SPREADS: Mapping[tuple[str, ...], Spread] = {}
_ROLLUP_KEYS = {"hour": "bucket", "day": "substr(bucket, 1, 10)"}


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals over a window. `cost_nanos` leaves out the `unpriced` calls, which is why they are counted.

    `saved_nanos` is what the hits would have cost; they are a share of the calls that asked the cache.
    """

    requests: int = 0
    errors: int = 0
    streams: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nanos: int = 0
    cache_hits: int = 0
    cache_asked: int = 0
    saved_nanos: int = 0
    duration_ms_avg: float | None = None
    duration_ms_p50: float | None = None
    duration_ms_p95: float | None = None
    ttft_ms_avg: float | None = None
    ttft_ms_p50: float | None = None
    ttft_ms_p95: float | None = None

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def cache_hit_rate(self) -> float | None:
        """Of the calls for which the cache was asked; None where it never was."""
        return self.cache_hits / self.cache_asked if self.cache_asked else None


_COUNTED = tuple(field.name for field in fields(Summary) if field.name in MEASURES)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a breakdown: `key` is the day, hour, project, token, provider or model."""

    key: str
    summary: Summary


@dataclass(frozen=True, slots=True)
class Series:
    """Gap-filled values over time: `values[name][n]` belongs to `buckets[n]`."""

    interval: Interval
    buckets: list[str]
    values: dict[str, list[int]]


def summary(conn: sqlite3.Connection, span: Window, filters: Filters) -> Summary:
    found = collect(conn, span, filters, (), (*MEASURES, *HISTOGRAMS))
    return _summary(found.get((), {}), spreads(conn, span, filters, ()).get(()))


def summaries(
    conn: sqlite3.Connection, span: Window, parts: Sequence[Window], filters: Filters
) -> list[Summary]:
    """Of each part of a window; how percentiles are found depends on the whole of it, as in a breakdown."""
    if report_spread.has_few(conn, span):
        return [summary(conn, part, filters) for part in parts]
    names = (*MEASURES, *HISTOGRAMS)
    return [_summary(collect(conn, part, filters, (), names).get((), {}), None) for part in parts]


def breakdown(
    conn: sqlite3.Connection, span: Window, by: Dimension | RowDimension | Interval, filters: Filters
) -> list[Line]:
    """One line for each value of `by`: times in order, the rest by cost, then by requests."""
    finest: Interval = "hour" if by == "hour" else "day"
    found = collect(conn, span, filters, (by,), (*MEASURES, *HISTOGRAMS), finest)
    exact = spreads(conn, span, filters, (_RAW_KEYS.get(by, by),))
    lines = _lines(((key[0], sums) for key, sums in found.items()), exact)
    return sorted(lines, key=lambda line: line.key) if by in ("hour", "day") else lines


def by_day(conn: sqlite3.Connection, span: Window, filters: Filters) -> list[Line]:
    return breakdown(conn, span, "day", filters)


def by_project(conn: sqlite3.Connection, span: Window, filters: Filters) -> list[Line]:
    return breakdown(conn, span, "project", filters)


def by_token(conn: sqlite3.Connection, span: Window, filters: Filters) -> list[Line]:
    return breakdown(conn, span, "token", filters)


def by_provider(conn: sqlite3.Connection, span: Window, filters: Filters) -> list[Line]:
    return breakdown(conn, span, "provider", filters)


def by_model(conn: sqlite3.Connection, span: Window, filters: Filters) -> list[Line]:
    return breakdown(conn, span, "model", filters)


def timeseries(
    conn: sqlite3.Connection,
    span: Window,
    filters: Filters,
    interval: Interval,
    measure: str,
    by: Dimension | Literal["none"] = "none",
) -> Series:
    """One measure over time, gap-filled; series in order of their totals. Without `by` its name is ""."""
    return timelines(conn, span, filters, interval, (measure,), by)[measure]


def timelines(
    conn: sqlite3.Connection,
    span: Window,
    filters: Filters,
    interval: Interval,
    measures: Sequence[str],
    by: Dimension | Literal["none"] = "none",
) -> dict[str, Series]:
    """Several measures over time for one reading of the rows."""
    keys = (interval,) if by == "none" else (interval, by)
    found = collect(conn, span, filters, keys, measures, interval)
    times = buckets(span, interval)
    return {measure: _series(found, measure, times, interval) for measure in measures}


def _series(found: Sums, measure: str, times: list[str], interval: Interval) -> Series:
    place = {key: number for number, key in enumerate(times)}
    values: dict[str, list[int]] = {} if found else {"": [0] * len(times)}
    for key, sums in found.items():
        line = values.setdefault(key[1] if len(key) > 1 else "", [0] * len(times))
        line[place[key[0]]] += int(sums[measure])
    ranked = sorted(values.items(), key=lambda item: (-sum(item[1]), item[0]))
    return Series(interval, times, dict(ranked))


def leaders(conn: sqlite3.Connection, span: Window, filters: Filters) -> dict[Dimension, list[Line]]:
    """The breakdowns by every dimension for one reading of the rows; without percentiles."""
    found = collect(conn, span, filters, DIMENSIONS, MEASURES)
    tables: dict[Dimension, dict[str, dict[str, float]]] = {name: {} for name in DIMENSIONS}
    for key, sums in found.items():
        for name, value in zip(DIMENSIONS, key, strict=True):
            _add(tables[name].setdefault(value, dict.fromkeys(MEASURES, 0)), sums)
    return {name: _lines(table.items()) for name, table in tables.items()}


def _add(total: dict[str, float], sums: dict[str, float]) -> None:
    for name, value in sums.items():
        total[name] += value


def _lines(
    found: Iterable[tuple[str, dict[str, float]]], exact: Mapping[tuple[str, ...], Spread] = _NO_SPREADS
) -> list[Line]:
    lines = [Line(key, _summary(sums, exact.get((key,)))) for key, sums in found]
    return sorted(lines, key=lambda line: (-line.summary.cost_nanos, -line.summary.requests, line.key))


def collect(
    conn: sqlite3.Connection,
    span: Window,
    filters: Filters,
    keys: Sequence[str],
    measures: Iterable[str],
    finest: Interval = "day",
) -> Sums:
    """Sums of `measures` for each combination of `keys` (hour, day or a dimension)."""
    names = tuple(measures)
    raw = filters.needs_rows or any(key not in (*ROLLED, *_ROLLUP_KEYS) for key in keys)
    parts = [Segment("requests", span.since, span.until)] if raw else segments(span, finest=finest)
    found: Sums = {}
    for part in parts:
        reading = _rows if part.source == "requests" else _rollups
        reading(conn, part, keys, names, filters, found)
    return {key: sums for key, sums in found.items() if any(sums.values())}


def _rollups(
    conn: sqlite3.Connection,
    part: Segment,
    keys: Sequence[str],
    names: Sequence[str],
    filters: Filters,
    found: Sums,
) -> None:
    """Adds what a rollup has for one segment."""
    columns = [_ROLLUP_KEYS.get(key, key) for key in keys]
    for key, values in _asked(conn, part, columns, names, filters):
        _add(found.setdefault(key, dict.fromkeys(names, 0)), dict(zip(names, values, strict=True)))


def _rows(
    conn: sqlite3.Connection,
    part: Segment,
    keys: Sequence[str],
    names: Sequence[str],
    filters: Filters,
    found: Sums,
) -> None:
    """Adds what the calls of one segment come to; those of one bucket of a histogram are read as a group."""
    kinds = [kind for kind in KINDS if f"{kind}_0" in names]
    columns = [_RAW_KEYS.get(key, key) for key in keys]
    counted = [name for name in names if name in MEASURES]
    terms = [MEASURES[name] for name in counted]
    groups = [*columns, *(bucket_number(kind) for kind in kinds)]
    for group, values in _asked(conn, part, groups, terms, filters):
        sums = found.setdefault(group[: len(keys)], dict.fromkeys(names, 0))
        more = dict(zip(counted, values, strict=True))
        for kind, number in zip(kinds, group[len(keys) :], strict=True):
            more |= {f"{kind}_{number}": more[f"{kind}_count"]} if int(number) >= 0 else {}
        _add(sums, more)


def _asked(
    conn: sqlite3.Connection, part: Segment, groups: Sequence[str], terms: Sequence[str], filters: Filters
) -> Iterator[tuple[tuple[str, ...], Sequence[float]]]:
    """(group, sums). Names come from this file only, values are parameters."""
    columns = [*groups, *(f"coalesce(sum({term}), 0)" for term in terms)]
    condition, parameters = filters.clauses()
    statement = f"SELECT {', '.join(columns)} FROM {part.source} WHERE {_bounds(part)}{condition}"  # noqa: S608
    if groups:
        statement += f" GROUP BY {', '.join(str(n + 1) for n in range(len(groups)))}"
    for row in conn.execute(statement, [*_limits(part), *parameters]):
        yield tuple(row[: len(groups)]), row[len(groups) :]


def _bounds(part: Segment) -> str:
    column = "id" if part.source == "requests" else "bucket"
    return f"{column} >= ? AND {column} < ?"


def _limits(part: Segment) -> list[object]:
    if part.source == "requests":
        return [part.since, part.until]
    interval: Interval = "hour" if part.source == "usage_hour" else "day"
    return [bucket(part.since, interval), bucket(part.until, interval)]


def _summary(sums: dict[str, float], exact: Spread | None = None) -> Summary:
    """`exact` counts where it is of all these calls: rows may be gone whose sums are kept."""
    if not sums:
        return Summary()
    counted = {name: int(sums[name]) for name in _COUNTED}
    durations = exact.duration if exact and len(exact.duration) == sums["duration_count"] else []
    ttfts = exact.ttft if exact and len(exact.ttft) == sums["ttft_count"] else []
    return Summary(
        **counted,
        duration_ms_avg=_average(sums, "duration"),
        duration_ms_p50=quantile(durations, 0.50) if durations else _percentile(sums, "duration", 0.50),
        duration_ms_p95=quantile(durations, 0.95) if durations else _percentile(sums, "duration", 0.95),
        ttft_ms_avg=_average(sums, "ttft"),
        ttft_ms_p50=quantile(ttfts, 0.50) if ttfts else _percentile(sums, "ttft", 0.50),
        ttft_ms_p95=quantile(ttfts, 0.95) if ttfts else _percentile(sums, "ttft", 0.95),
    )


def _average(sums: dict[str, float], kind: str) -> float | None:
    count = sums[f"{kind}_count"]
    return sums[f"{kind}_ms_sum"] / count if count else None


def _percentile(sums: dict[str, float], kind: str, share: float) -> float | None:
    return percentile([int(sums.get(f"{kind}_{number}", 0)) for number in range(BUCKETS)], share)


def total(lines: Iterable[Line]) -> Summary:
    """A breakdown added up again; without percentiles."""
    counted = dict.fromkeys(MEASURES, 0)
    for line in lines:
        for name in counted:
            counted[name] += getattr(line.summary, name, 0)
    return Summary(**{name: counted[name] for name in _COUNTED})


def bounded(conn: sqlite3.Connection, span: Window, filters: Filters) -> Window:
    """The window without the time before the first call, so that a chart of everything begins with it."""
    found = extent(conn, Window(0, 1 << 62), Filters(filters.scope))
    if found is None:
        return Window(span.until, span.until)
    condition, parameters = filters.scope.clause()
    statement = f"SELECT min(id) FROM requests WHERE id >= ?{condition}"  # noqa: S608
    first: int | None = conn.execute(statement, [found.span.since, *parameters]).fetchone()[0]
    return Window(min(max(span.since, first or span.since), span.until), span.until)
