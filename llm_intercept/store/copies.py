"""Copies of databases that are in use, and what can be said about a copy.

A copy is made out of one read transaction: it holds every row that was committed when that began and none
that came after, however long copying takes, and nobody waits for it.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from llm_intercept.errors import StoreError
from llm_intercept.store.migrate import connect, has_log
from llm_intercept.store.project_rows import NOBODY

_PAGES = 2_000
_MOST = 1_000_000  # of what is wrong: the first hundred may all be mistaken
_NULL = re.compile(r"NULL value in (?P<table>\w+)\.(?P<column>\w+)")

type Progress = Callable[[int, int], None]
"""(pages copied, pages in all)"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds: its newest migration, and the number of rows of each table."""

    schema: str
    rows: dict[str, int]


class Held:
    """A database as it is at this moment, until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = connect(path)  # one that may only read leaves files behind
        try:
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(f"{path} cannot be read: {error}") from error

    def copy(self, target: Path, progress: Progress | None = None) -> None:
        """Into a new file (mode 0600), durable when this returns."""
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

        def tell(_: int, remaining: int, total: int) -> None:
            if progress is not None:
                progress(total - remaining, total)

        try:
            with closing(connect(target)) as copy:
                copy.execute("PRAGMA synchronous = FULL")
                self._connection.backup(copy, pages=_PAGES, progress=tell, sleep=0)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path} cannot be copied to {target}: {error}") from error

    def close(self) -> None:
        self._connection.close()


def copy(path: Path, target: Path) -> None:
    """One database, by itself."""
    held = Held(path)
    try:
        held.copy(target)
    finally:
        held.close()


def examine(path: Path) -> Contents:
    """Reads a whole database that nobody else uses; raises StoreError if anything in it is damaged."""
    try:
        with closing(connect(path)) as connection:
            damage = next(_damages(connection), "")
            if damage:
                raise StoreError(f"{path} is damaged: {damage}")
            return _contents(connection)
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is damaged or not a database: {error}") from error


def _damages(connection: sqlite3.Connection) -> Iterator[str]:
    """What is wrong. Of tables without row ids some versions of SQLite (3.40.1 is one) take the columns
    between those of the key for NULL, so that is looked at once more."""
    found = dict.fromkeys(text for (text,) in connection.execute(f"PRAGMA integrity_check({_MOST})"))
    for text in found:
        null = _NULL.fullmatch(text)
        if text != "ok" and not (null and _is_full(connection, null["table"], null["column"])):
            yield text


def _is_full(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """IS NULL is not asked of a column that is declared NOT NULL: the answer would be no without a look."""
    sql = f'SELECT 1 FROM "{table}" WHERE typeof("{column}") = \'null\' LIMIT 1'  # noqa: S608 - names of the schema
    return connection.execute(sql).fetchone() is None


_CHECKS = {
    "attempts_without_call": "SELECT count(*) FROM attempts"
    " WHERE request_id NOT IN (SELECT id FROM requests)",
    "bodies_without_call": "SELECT count(*) FROM bodies.bodies"
    " WHERE request_id NOT IN (SELECT id FROM requests)",
    "hours_and_days_apart": "SELECT abs((SELECT coalesce(sum(requests), 0) FROM usage_hour)"
    " - (SELECT coalesce(sum(requests), 0) FROM usage_day))",
    "calls_of_unknown_projects": f"SELECT count(*) FROM requests WHERE project NOT IN ('', '{NOBODY}')"  # noqa: S608
    " AND project NOT IN (SELECT name FROM control.projects)",
}


def crosscheck(usage: Path, bodies: Path, control: Path) -> dict[str, int]:
    """How many rows of one database miss theirs in another: none, unless some were deleted on purpose."""
    with closing(connect(usage)) as connection:
        connection.execute("ATTACH ? AS bodies", (str(bodies),))
        connection.execute("ATTACH ? AS control", (str(control),))
        return {name: int(connection.execute(sql).fetchone()[0]) for name, sql in _CHECKS.items()}


def has_digest(path: Path, digest: bytes) -> bool:
    """Whether a control.db was made with these keys; yes, where it has not been opened yet."""
    with closing(connect(path)) as connection:
        try:
            found = connection.execute("SELECT digest FROM key_check").fetchone()
        except sqlite3.OperationalError:  # older than that table
            return True
    return found is None or bytes(found[0]) == digest


def in_use(path: Path) -> bool:
    """Whether another program has this database open; nothing in it is changed."""
    address = f"{path.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=0)) as connection:
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log(path))
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
        except sqlite3.DatabaseError:  # damaged: a reason to replace it
            return False
    return False


def _contents(connection: sqlite3.Connection) -> Contents:
    tables = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
    ]
    rows = {
        name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608
        for name in tables
    }
    newest = (
        connection.execute("SELECT max(name) FROM migrations").fetchone()[0] if "migrations" in rows else ""
    )
    return Contents(newest or "", rows)
