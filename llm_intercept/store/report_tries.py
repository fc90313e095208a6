"""Reports over the tries of calls: which calls needed more than one, and what became of them."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from llm_intercept.store.report_terms import Row, Scope
from llm_intercept.store.report_time import Window

_AGAIN = "attempts.request_id >= ? AND attempts.request_id < ? AND attempts.number = 2"


@dataclass(frozen=True, slots=True)
class Again:
    """Calls that went on to another try, and how many of them were answered in the end."""

    calls: int
    answered: int


def again(conn: sqlite3.Connection, span: Window, scope: Scope) -> Again:
    condition, parameters = scope.clause()
    statement = (
        f"SELECT count(*), coalesce(sum(requests.outcome = 'ok'), 0) FROM attempts"  # noqa: S608
        f" JOIN requests ON requests.id = attempts.request_id WHERE {_AGAIN}{condition}"
    )
    calls, answered = conn.execute(statement, (span.since, span.until, *parameters)).fetchone()
    return Again(calls, answered)


def failovers(conn: sqlite3.Connection, span: Window, scope: Scope, limit: int = 20) -> list[Row]:
    """The latest of them, each with its attempts under `tries`."""
    condition, parameters = scope.clause()
    newest = (
        f"SELECT attempts.request_id FROM attempts JOIN requests ON requests.id = attempts.request_id"  # noqa: S608
        f" WHERE {_AGAIN}{condition} ORDER BY attempts.request_id DESC LIMIT ?"
    )
    bounds = (span.since, span.until, *parameters, limit)
    calls = _dicts(conn, f"SELECT * FROM requests WHERE id IN ({newest}) ORDER BY id DESC", bounds)  # noqa: S608
    tries: dict[object, list[Row]] = {call["id"]: [] for call in calls}
    every = f"SELECT * FROM attempts WHERE request_id IN ({newest}) ORDER BY number"  # noqa: S608
    for attempt in _dicts(conn, every, bounds):
        tries[attempt["request_id"]].append(attempt)
    return [{**call, "tries": tries[call["id"]]} for call in calls]


def _dicts(conn: sqlite3.Connection, statement: str, parameters: Sequence[object]) -> list[Row]:
    cursor = conn.execute(statement, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
