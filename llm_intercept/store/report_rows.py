"""Reports that are single rows: the latest calls, the worst ones, one call with its attempts."""

import sqlite3
from collections.abc import Sequence

from llm_intercept.errors import NotFound
from llm_intercept.store.report_scope import extent, within
from llm_intercept.store.report_terms import ERRORS, Dimension, Filters, Row, Scope
from llm_intercept.store.report_time import Window


def rows(
    conn: sqlite3.Connection, span: Window, filters: Filters, order: str, limit: int, extra: str = ""
) -> list[Row]:
    found = extent(conn, span, filters)
    if found is None:
        return []
    condition, parameters = filters.clauses()
    where, bounds = within(found, filters.scope)
    statement = f"SELECT * FROM requests WHERE {where}{condition}{extra} ORDER BY {order} LIMIT ?"  # noqa: S608
    return _dicts(conn, statement, [*bounds, *parameters, limit])


def errors(conn: sqlite3.Connection, span: Window, filters: Filters, limit: int = 50) -> list[Row]:
    """The latest calls that count as errors."""
    return rows(conn, span, filters, "id DESC", limit, f" AND outcome IN ({ERRORS})")


def error_groups(conn: sqlite3.Connection, span: Window, filters: Filters, limit: int = 20) -> list[Row]:
    """Errors counted by provider, outcome, status and type."""
    condition, parameters = filters.clauses()
    statement = f"""SELECT provider, outcome, status, error_type, count(*) AS requests, max(id) AS last_id
        FROM requests WHERE id >= ? AND id < ? AND outcome IN ({ERRORS}){condition}
        GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC LIMIT ?"""  # noqa: S608
    return _dicts(conn, statement, [span.since, span.until, *parameters, limit])


def slowest(conn: sqlite3.Connection, span: Window, filters: Filters, limit: int = 50) -> list[Row]:
    return rows(conn, span, filters, "duration_ms DESC, id DESC", limit, " AND duration_ms IS NOT NULL")


def most_expensive(conn: sqlite3.Connection, span: Window, filters: Filters, limit: int = 50) -> list[Row]:
    return rows(conn, span, filters, "cost_nanos DESC, id DESC", limit, " AND cost_nanos > 0")


def recent(
    conn: sqlite3.Connection,
    filters: Filters,
    after_id: int = 0,
    limit: int = 50,
    before_id: int = 1 << 62,
) -> list[Row]:
    """The newest calls first, between two ids. An id is the time a call began: one that took long
    can appear below others that began later."""
    return rows(conn, Window(after_id + 1, before_id), filters, "id DESC", limit)


def by_listener(conn: sqlite3.Connection, span: Window, scope: Scope) -> dict[str, Row]:
    """Calls that came by named listeners: how many, how many failed, what they cost."""
    condition, parameters = scope.clause()
    statement = f"""SELECT listener, count(*) AS requests, sum(outcome IN ({ERRORS})) AS errors,
        sum(cost_nanos) AS cost_nanos, max(id) AS last_id
        FROM requests WHERE id >= ? AND id < ? AND listener <> ''{condition} GROUP BY 1"""  # noqa: S608
    found = _dicts(conn, statement, [span.since, span.until, *parameters])
    return {str(row["listener"]): row for row in found}


def request(conn: sqlite3.Connection, request_id: str, scope: Scope) -> Row:
    """One call by its UUID (or integer id) with its attempts under `tries`, and its `violations`.

    A call outside of the scope is not there.
    """
    condition, parameters = scope.clause()
    column = "id" if request_id.isdigit() else "request_id"
    statement = f"SELECT * FROM requests WHERE {column} = ?{condition}"  # noqa: S608
    found = _dicts(conn, statement, [request_id, *parameters])
    if not found:
        raise NotFound(f"there is no request {request_id}")
    attempts = "SELECT * FROM attempts WHERE request_id = ? ORDER BY number"
    # What only the end showed (0) comes last.
    violations = "SELECT * FROM violations WHERE request_id = ? ORDER BY side, event = 0, event, sentence"
    identity = [found[0]["id"]]
    return {
        **found[0],
        "tries": _dicts(conn, attempts, identity),
        "violations": _dicts(conn, violations, identity),
    }


def stored_by(conn: sqlite3.Connection, call: Row, scope: Scope) -> Row | None:
    """The call whose answer a hit of the cache was given, if it is known and within the scope.

    Both have the provider's id of that answer; some kinds of answers have none.
    """
    if call["cache"] != "hit" or not call["response_id"]:
        return None
    condition, parameters = scope.clause()
    statement = (
        "SELECT * FROM requests WHERE cache = 'stored' AND response_id <> '' AND response_id = ?"  # noqa: S608
        f" AND provider = ? AND id < ?{condition} ORDER BY id DESC LIMIT 1"
    )
    found = _dicts(conn, statement, [call["response_id"], call["provider"], call["id"], *parameters])
    return found[0] if found else None


def known(conn: sqlite3.Connection, dimension: Dimension, scope: Scope) -> list[str]:
    """The values a filter can take."""
    condition, parameters = scope.clause()
    statement = f"SELECT DISTINCT {dimension} FROM usage_day WHERE {dimension} <> ''{condition} ORDER BY 1"  # noqa: S608
    return [row[0] for row in conn.execute(statement, parameters)]


def is_empty(conn: sqlite3.Connection, scope: Scope) -> bool:
    if not scope.everything:
        return extent(conn, Window(0, 1 << 62), Filters(scope)) is None
    return conn.execute("SELECT 1 FROM requests LIMIT 1").fetchone() is None


def _dicts(conn: sqlite3.Connection, statement: str, parameters: Sequence[object]) -> list[Row]:
    cursor = conn.execute(statement, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
