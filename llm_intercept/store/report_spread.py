"""Percentiles of few calls, out of the calls themselves; those of many come out of the sums' histograms.

A bucket of a histogram ends at about twice of what it begins with: near enough for thousands of calls, and
wrong for the first ones that somebody looks at.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from llm_intercept.store.report_terms import Filters
from llm_intercept.store.report_time import Window

FEW = 2_000


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds, in order, of the calls that have them."""

    duration: list[float] = field(default_factory=list)
    ttft: list[float] = field(default_factory=list)


def spreads(
    conn: sqlite3.Connection, span: Window, filters: Filters, columns: Sequence[str]
) -> dict[tuple[str, ...], Spread]:
    """By the values of `columns` (terms over `requests`); nothing if the window has more than `FEW` calls."""
    if not has_few(conn, span):
        return {}
    bounds = [span.since, span.until]
    condition, parameters = filters.clauses()
    asked = ", ".join([*columns, "duration_ms", "ttft_ms"])
    statement = f"SELECT {asked} FROM requests WHERE id >= ? AND id < ?{condition}"  # noqa: S608
    found: dict[tuple[str, ...], Spread] = {}
    for *key, duration, ttft in conn.execute(statement, [*bounds, *parameters]):
        spread = found.setdefault(tuple(key), Spread())
        if duration is not None:
            spread.duration.append(duration)
        if ttft is not None:
            spread.ttft.append(ttft)
    for spread in found.values():
        spread.duration.sort()
        spread.ttft.sort()
    return found


def has_few(conn: sqlite3.Connection, span: Window) -> bool:
    """Whether the calls of a window are read one by one."""
    counting = "SELECT count(*) FROM (SELECT 1 FROM requests WHERE id >= ? AND id < ? LIMIT ?)"
    return int(conn.execute(counting, [span.since, span.until, FEW + 1]).fetchone()[0]) <= FEW


def quantile(values: Sequence[float], share: float) -> float | None:
    """Of values in order, between the two nearest; `share` is 0..1."""
    if not values:
        return None
    place = (len(values) - 1) * share
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)
