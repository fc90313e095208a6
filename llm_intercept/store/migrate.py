"""Opens databases and brings them to the schema of this version. What the schema is lies in `schema.py`."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from llm_intercept.errors import StoreError

BUSY_TIMEOUT_MS = 5000


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode (transactions are written out); usable from more than one thread."""
    mode = "ro" if readonly else "rw"
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_TIMEOUT_MS / 1000,
        )
    except sqlite3.Error as error:
        raise StoreError(
            f"{path} cannot be opened: {error}; `llm-intercept init` creates what is missing"
        ) from error
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"{path} is damaged or not a database: {error}") from error
    return connection


def migrate(path: Path, migrations: Sequence[tuple[str, str]]) -> None:
    """Creates the file (mode 0600) or applies what is new; refuses a database of a newer version."""
    names = [name for name, _ in migrations]
    if path.exists() and _applied(path, names) == names:
        return
    with _folder_lock(path.parent):
        _create(path)
        with closing(connect(path)) as connection:
            try:
                _apply(connection, path, migrations)
            except sqlite3.Error as error:
                raise StoreError(f"{path} cannot be migrated: {error}") from error


def _create(path: Path) -> None:
    if path.exists():
        return
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has no effect once there is a table
        connection.execute("PRAGMA journal_mode = WAL")


def _apply(connection: sqlite3.Connection, path: Path, migrations: Sequence[tuple[str, str]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations ("
            "name TEXT PRIMARY KEY, applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))"
        )
        done = _names(connection, path, [name for name, _ in migrations])
        for name, script in migrations[len(done) :]:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute("INSERT INTO migrations (name) VALUES (?)", (name,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _applied(path: Path, known: list[str]) -> list[str]:
    with closing(connect(path)) as connection:
        try:
            return _names(connection, path, known)
        except sqlite3.OperationalError:  # no such table: a file that was only just created
            return []
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path} is damaged or not a database: {error}") from error


def _names(connection: sqlite3.Connection, path: Path, known: list[str]) -> list[str]:
    names = [name for (name,) in connection.execute("SELECT name FROM migrations ORDER BY name")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise StoreError(
            f"{path} was written by a newer llm-intercept (it has the migration {unknown[0]}); "
            "upgrade this one, or use another home folder"
        )
    return names


def _statements(script: str) -> Iterator[str]:
    """One statement at a time: `executescript` would commit the transaction around it."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Two processes starting at once: switching a new file to WAL does not wait for locks, so we do."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
