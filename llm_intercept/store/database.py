"""One open `control.db`, shared by the modules of its tables: connection, lock, vault, clock, randomness."""

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from llm_intercept.errors import ConfigError, StoreError
from llm_intercept.vault import Vault

type Row = dict[str, Any]
type Rows = list[Row]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True)
class Database:
    """`version` counts our own writes; `PRAGMA data_version` only tells about those of other connections."""

    connection: sqlite3.Connection
    vault: Vault
    clock: Callable[[], float] = time.time
    entropy: Callable[[int], bytes] = os.urandom
    version: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _depth: int = 0
    _committed: list[Callable[[], None]] = field(default_factory=list)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction; what is raised inside undoes it, a locked or full database becomes a StoreError.

        One inside another joins it: it is undone alone when something is raised, and kept with the outer one.
        """
        with self._lock:
            if self._depth:
                yield from self._joined()
                return
            try:
                self._depth = 1
                yield from self._transaction()
            except sqlite3.OperationalError as error:
                raise StoreError(f"control.db cannot be written: {error}") from error
            finally:
                self._depth = 0
                self.version += 1
                done, self._committed = self._committed, []
        for call in done:
            call()

    def on_commit(self, call: Callable[[], None]) -> None:
        """Inside a transaction: to be called once when it is committed, and never if it is not."""
        if call not in self._committed:
            self._committed.append(call)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Several queries that see the same state; inside a transaction, that one's."""
        with self._lock:
            if self._depth:
                yield self.connection
                return
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                self.connection.execute("COMMIT")

    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:  # a full disk has ended it already
                self.connection.execute("ROLLBACK")
            self._committed.clear()
            raise

    def _joined(self) -> Iterator[sqlite3.Connection]:
        kept = len(self._committed)
        self.connection.execute("SAVEPOINT inner")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK TO inner")
            del self._committed[kept:]
            raise
        finally:
            self.connection.execute("RELEASE inner")

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Rows:
        """All rows of a query, as dicts."""
        with self._lock:
            cursor = self.connection.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """The first row of a query, if any."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def now_text(self) -> str:
        return as_text(self.clock())

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{self.entropy(8).hex()}"


def as_text(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC with microseconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_seconds(text: str) -> float:
    """The reverse of `as_text`."""
    return datetime.fromisoformat(text).timestamp()


def checked_name(kind: str, name: str) -> str:
    """The name, if it may be one."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be the name of a {kind}; use 1 to 64 of A-Z a-z 0-9 . _ -")
    return name
