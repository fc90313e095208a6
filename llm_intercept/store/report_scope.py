"""Where the calls of a scope and of filters lie: rollups tell, so that a few among millions are soon found.

A list of the newest calls is read from the end of the table, which finds the calls of a busy project at once,
and those of somebody with few or none only after everything else has been looked at.
"""

import json
import sqlite3
from dataclasses import dataclass

from llm_intercept.store.report_terms import Filters, Scope
from llm_intercept.store.report_time import DAY, SECOND, Window, bucket, bucket_start

FEW = 20_000
_LAST = 253_402_214_400_000_000  # 9999-12-31


@dataclass(frozen=True, slots=True)
class Extent:
    """The days with such calls, cut to a window; `few`: an index finds them faster than reading on."""

    span: Window
    few: bool


def extent(conn: sqlite3.Connection, span: Window, filters: Filters) -> Extent | None:
    """None when there are none at all."""
    condition, parameters = filters.rolled.clauses()
    if not condition:
        return Extent(span, False)
    statement = (
        f"SELECT sum(requests), min(bucket), max(bucket) FROM usage_day"  # noqa: S608
        f" WHERE bucket >= ? AND bucket <= ?{condition}"
    )
    days = [bucket(max(0, min(moment, _LAST)), "day") for moment in (span.since, span.until)]
    calls, first, last = conn.execute(statement, [*days, *parameters]).fetchone()
    if not calls:
        return None
    since, until = bucket_start(first) * SECOND, bucket_start(last) * SECOND + DAY
    return Extent(
        Window(max(span.since, since), min(span.until, until)), calls <= FEW and not filters.scope.everything
    )


def within(found: Extent, scope: Scope) -> tuple[str, list[object]]:
    """A condition for the rows of the window, which leads to a few of them by their projects and tokens.

    It lets through more than the scope does, which has to be asked for as well.
    """
    bounds = [found.span.since, found.span.until]
    if not found.few:
        return "id >= ? AND id < ?", [*bounds]
    of_projects, of_tokens = (
        f"SELECT id FROM requests INDEXED BY requests_{column}"  # noqa: S608
        f" WHERE {column} IN (SELECT value FROM json_each(?)) AND id >= ? AND id < ?"
        for column in ("project", "token")
    )
    projects = json.dumps(sorted(scope.projects))
    tokens = json.dumps(sorted({name for _, name in scope.tokens}))
    return f"id IN ({of_projects} UNION {of_tokens})", [projects, *bounds, tokens, *bounds]
