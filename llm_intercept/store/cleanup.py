"""Deletes what is past its time, in transactions so short that nobody has to wait for one.

What is past its time is said by `Cutoffs`; when it is done, and what lies outside of databases, by
`housekeeping.py`. Rollups are never touched: sums stay when the calls are gone.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

AT_ONCE = 500
_PAGES = 1_000

type Place = Literal["usage", "control", "bodies", "cache"]


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What is older goes; None: nothing does. Texts are times of control.db, numbers Unix seconds or us."""

    now: int
    now_text: str
    ended: str | None  # tokens that ended before
    requests_us: int | None
    bodies_us: int | None
    now_us: int


@dataclass(frozen=True, slots=True)
class Task:
    """Rows of one table. `key` are columns that tell its rows apart, `condition` has one parameter."""

    what: str
    place: Place
    table: str
    key: str
    condition: str
    limit: int | str
    children: tuple[str, ...] = ()


def tasks(cut: Cutoffs) -> list[Task]:
    """In the order in which they are done."""
    found = [
        Task("sessions", "control", "sessions", "digest", "expires_at <= ?", cut.now),
        Task("login links", "control", "login_links", "digest", "expires_at <= ?", cut.now),
        Task("invites", "control", "invites", "digest", "expires_at <= ?", cut.now),
        Task(
            "login failures",
            "control",
            "login_failures",
            "scope, name",
            "max(until, last_at) <= ?",
            cut.now - 86_400,
        ),
        Task("kept answers", "control", "idempotency", "digest", "created_at <= ?", cut.now - 86_400),
        Task("stored answers", "cache", "answers", "id", "expires_us <= ?", cut.now_us),
        Task("former secrets", "control", "former_secrets", "digest", "expires_at <= ?", cut.now_text),
    ]
    if cut.ended is not None:
        ended = "min(coalesce(revoked_at, '9'), coalesce(expires_at, '9')) <= ?"
        found.append(Task("tokens", "control", "tokens", "id", ended, cut.ended))
        found.append(Task("API tokens", "control", "api_tokens", "id", ended, cut.ended))
    if cut.bodies_us is not None:
        found.append(Task("bodies", "bodies", "bodies", "request_id, side", "request_id < ?", cut.bodies_us))
    if cut.requests_us is not None:
        children = ("attempts", "violations")
        found.append(Task("calls", "usage", "requests", "id", "id < ?", cut.requests_us, children))
    return found


def old_audit(before_us: int) -> Task:
    """For counting only: the audit log removes its rows itself, and can still be verified."""
    return Task("audit rows", "control", "audit", "id", "id < ?", before_us)


def count(connection: sqlite3.Connection, task: Task) -> int:
    """How many rows would go."""
    found = connection.execute(
        f"SELECT count(*) FROM {task.table} WHERE {task.condition}",  # noqa: S608 - our own words
        (task.limit,),
    ).fetchone()
    return int(found[0])


def delete(connection: sqlite3.Connection, task: Task) -> Iterator[int]:
    """One batch after the other; yields how many rows each had."""
    while gone := _batch(connection, task):
        yield gone


def _batch(connection: sqlite3.Connection, task: Task) -> int:
    connection.execute("BEGIN IMMEDIATE")
    try:
        some = f"SELECT {task.key} FROM {task.table} WHERE {task.condition} LIMIT {AT_ONCE}"  # noqa: S608
        for child in task.children:
            connection.execute(f"DELETE FROM {child} WHERE request_id IN ({some})", (task.limit,))  # noqa: S608
        cursor = connection.execute(
            f"DELETE FROM {task.table} WHERE ({task.key}) IN ({some})",  # noqa: S608
            (task.limit,),
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return cursor.rowcount


def free_bytes(connection: sqlite3.Connection) -> int:
    """What lies unused in the file, to be filled again."""
    return _number(connection, "freelist_count") * _number(connection, "page_size")


def file_bytes(connection: sqlite3.Connection) -> int:
    return _number(connection, "page_count") * _number(connection, "page_size")


def vacuum(connection: sqlite3.Connection) -> Iterator[None]:
    """Gives unused pages back to the file system, some at a time."""
    if _number(connection, "auto_vacuum") != 2:
        connection.execute("VACUUM")
        yield
    while before := _number(connection, "freelist_count"):
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
        yield
        if _number(connection, "freelist_count") >= before:
            break
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


_PRAGMAS: Mapping[str, str] = {
    name: f"PRAGMA {name}" for name in ("freelist_count", "page_size", "page_count", "auto_vacuum")
}


def _number(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(_PRAGMAS[name]).fetchone()[0])
