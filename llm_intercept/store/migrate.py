"""Opens databases and brings them to the schema of this version. What the schema is lies in `schema.py`."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llm_intercept.errors import Damaged, StoreError

BUSY_TIMEOUT_MS = 5000

type Migrations = Sequence[tuple[str, str]]
type State = Literal["missing", "new", "current", "behind", "newer"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a database has and lacks. `unknown` are migrations of a newer version of this program."""

    path: Path
    applied: tuple[str, ...]
    pending: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    exists: bool = True

    @property
    def state(self) -> State:
        if self.unknown:
            return "newer"
        if not self.exists:
            return "missing"
        if not self.pending:
            return "current"
        return "behind" if self.applied else "new"

    def newer(self) -> StoreError:
        return StoreError(
            f"{self.path} was written by a newer llm-intercept (it has the migration {self.unknown[0]}); "
            "upgrade this one, or use another home folder"
        )


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
        raise _unusable(path, error) from error
    return connection


def _unusable(path: Path, error: sqlite3.Error) -> StoreError:
    """A full disk or a missing right is no damage: nothing has to be restored then."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Damaged(f"{path} is damaged or not a database: {error}")
    return StoreError(
        f"{path} cannot be used: {error}; see whether its disk is full, and whether you may write there"
    )


def standing(path: Path, migrations: Migrations) -> Standing:
    """Looks without changing anything, not even the log that a killed process has left beside the file."""
    known = tuple(name for name, _ in migrations)
    if not path.exists():
        return Standing(path, (), known, exists=False)
    applied = _applied(path)
    unknown = tuple(name for name in applied if name not in known)
    return Standing(path, applied, tuple(name for name in known if name not in applied), unknown)


def migrate(
    path: Path, migrations: Migrations, keep: Callable[[Standing], object] | None = None
) -> tuple[str, ...]:
    """Creates the file (mode 0600) or applies what is new; refuses a database of a newer version.

    `keep` is called before an existing database is changed. Returns what was applied.
    """
    found = standing(path, migrations)
    if found.unknown:
        raise found.newer()
    if found.state == "current":
        return ()
    with _folder_lock(path.parent):
        _create(path)
        found = standing(path, migrations)
        if keep is not None and found.state == "behind":
            keep(found)
        with closing(connect(path)) as connection:
            try:
                _apply(connection, path, migrations)
            except sqlite3.Error as error:
                raise StoreError(f"{path} cannot be migrated: {error}") from error
    return found.pending


def _create(path: Path) -> None:
    if path.exists():
        return
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has no effect once there is a table
        connection.execute("PRAGMA journal_mode = WAL")


def _apply(connection: sqlite3.Connection, path: Path, migrations: Migrations) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations ("
            "name TEXT PRIMARY KEY, applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))"
        )
        done = set(_names(connection))
        for name, script in migrations:
            if name in done:
                continue
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute("INSERT INTO migrations (name) VALUES (?)", (name,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise


def _applied(path: Path) -> tuple[str, ...]:
    left = has_log(path)
    with closing(connect(path)) as connection:
        # The last one to close a database moves such a log into it.
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, left)
        try:
            return _names(connection)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR:
                return ()  # no such table: a file that was only just created
            raise _unusable(path, error) from error


def has_log(path: Path) -> bool:
    """Whether something is committed that is not in the database's own file yet."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _names(connection: sqlite3.Connection) -> tuple[str, ...]:
    return tuple(name for (name,) in connection.execute("SELECT name FROM migrations ORDER BY name"))


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
