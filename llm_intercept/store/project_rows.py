"""Everything that one project has in `usage.db` and `bodies.db`: read out, made anonymous, or deleted.

Changes are made a few hundred rows at a time, bodies first: broken off, they can be taken up again.
"""

import base64
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from llm_intercept.store.database import Database
from llm_intercept.store.rollup import HISTOGRAMS, KEYS, SUMS

# No project can have this name.
NOBODY = "(deleted)"
AT_ONCE = 500
ROLLUPS = ("usage_hour", "usage_day")
_DETAILS = ("attempts", "violations")
# What could still say whose call it was, or what was in it.
_CLEARED = (
    *("token", "user", "session_id", "client", "client_ip", "request_sha256", "upstream_sha256"),
    *("response_id", "error_message"),
)

type Table = Literal["requests", "attempts", "violations", "usage_hour", "usage_day"]
type Values = dict[str, Any]


def count(usage: sqlite3.Connection, project: str) -> int:
    return int(usage.execute("SELECT count(*) FROM requests WHERE project = ?", (project,)).fetchone()[0])


def rows(usage: sqlite3.Connection, table: Table, project: str) -> Iterator[Values]:
    """All rows of a table that belong to it, as they are."""
    where = "project = ?"
    if table in _DETAILS:
        where = "request_id IN (SELECT id FROM requests WHERE project = ?)"
    cursor = usage.execute(f"SELECT * FROM {table} WHERE {where} ORDER BY 1, 2", (project,))  # noqa: S608
    names = [column[0] for column in cursor.description]
    for values in cursor:
        yield dict(zip(names, values, strict=True))


def bodies(usage: sqlite3.Connection, stored: sqlite3.Connection, project: str) -> Iterator[Values]:
    """What was captured of its calls; `base64` instead of `text` for what is no text."""
    ids = usage.execute("SELECT id FROM requests WHERE project = ? ORDER BY id", (project,))
    for (row_id,) in ids:
        found = stored.execute(
            "SELECT side, content_type, size, truncated, content FROM bodies WHERE request_id = ?"
            " ORDER BY side",
            (row_id,),
        )
        for side, kind, size, truncated, content in found:
            about = {"request_id": row_id, "side": side, "content_type": kind}
            yield {**about, "size": size, "truncated": bool(truncated), **_readable(zlib.decompress(content))}


def forget(
    usage: sqlite3.Connection, stored: sqlite3.Connection, project: str, *, delete: bool
) -> Iterator[int]:
    """Calls are deleted or made nobody's, captured bodies deleted; yields how many calls each batch had."""
    while ids := _some(usage, project):
        with _transaction(stored):
            stored.executemany("DELETE FROM bodies WHERE request_id = ?", ids)
        with _transaction(usage):
            _delete(usage, ids) if delete else _anonymise(usage, ids)
        yield len(ids)
    for table in ROLLUPS:
        with _transaction(usage):
            if not delete:
                usage.execute(_move(table), (NOBODY, project))
            usage.execute(f"DELETE FROM {table} WHERE project = ?", (project,))  # noqa: S608


def _some(usage: sqlite3.Connection, project: str) -> list[tuple[int]]:
    return usage.execute("SELECT id FROM requests WHERE project = ? LIMIT ?", (project, AT_ONCE)).fetchall()


def _delete(usage: sqlite3.Connection, ids: list[tuple[int]]) -> None:
    for table in _DETAILS:
        usage.executemany(f"DELETE FROM {table} WHERE request_id = ?", ids)  # noqa: S608
    usage.executemany("DELETE FROM requests WHERE id = ?", ids)


def _anonymise(usage: sqlite3.Connection, ids: list[tuple[int]]) -> None:
    cleared = ", ".join(f"{name} = ''" for name in _CLEARED)
    usage.executemany(f"UPDATE requests SET project = '{NOBODY}', {cleared} WHERE id = ?", ids)  # noqa: S608
    usage.executemany("UPDATE attempts SET error_message = '' WHERE request_id = ?", ids)


def _move(table: str) -> str:
    """Adds a project's sums to those of nobody."""
    values = (*SUMS, *HISTOGRAMS)
    sums = ", ".join(f"sum({name})" for name in values)
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in values)
    return (
        f"INSERT INTO {table} ({', '.join((*KEYS, *values))})"  # noqa: S608
        f" SELECT bucket, ?, '', provider, model, '', credential, {sums} FROM {table} WHERE project = ?"
        f" GROUP BY bucket, provider, model, credential ON CONFLICT ({', '.join(KEYS)}) DO UPDATE SET {added}"
    )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _readable(content: bytes) -> Values:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def remove_project(database: Database, id_: str, name: str) -> None:
    """The project itself with its tokens and members, out of `control.db`."""
    with database.write() as control:
        control.execute("DELETE FROM tokens WHERE project_id = ?", (id_,))
        control.execute("DELETE FROM failures WHERE scope = 'project' AND name = ?", (name,))
        control.execute("DELETE FROM projects WHERE id = ?", (id_,))
