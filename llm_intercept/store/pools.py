"""`usage.db`: what the proxy knows of its keys and targets, so that a restart does not forget it.

The proxy's writer thread writes these rows; the dashboard, commands and the next start read them.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, fields
from operator import attrgetter
from pathlib import Path

from llm_intercept.errors import StoreError
from llm_intercept.store.migrate import connect

KEPT_US = 7 * 86_400 * 1_000_000
"""How long a closed breaker, and a model that a key was refused for, are remembered."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key; with `model`, only what it is refused for."""

    provider: str
    credential: str
    model: str
    cooling_until_us: int
    reason: str
    headroom: str
    seen_us: int


@dataclass(frozen=True, slots=True)
class BreakerRow:
    """The breaker of a model with a key."""

    provider: str
    credential: str
    model: str
    state: str
    failures: int
    reason: str
    until_us: int
    openings: int
    changed_us: int


type Place = tuple[str, str, str]


@dataclass(slots=True)
class Changes:
    """Rows to write, the newest of each place."""

    keys: dict[Place, KeyRow] = field(default_factory=dict)
    breakers: dict[Place, BreakerRow] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.keys or self.breakers)

    def update(self, newer: "Changes") -> None:
        self.keys.update(newer.keys)
        self.breakers.update(newer.breakers)


def _upsert(table: str, row: type[KeyRow] | type[BreakerRow]) -> str:
    """Column names come from our own dataclasses, never from outside."""
    names = [f.name for f in fields(row)]
    sets = ", ".join(f"{name} = excluded.{name}" for name in names[3:])
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
        f" ON CONFLICT (provider, credential, model) DO UPDATE SET {sets}"
    )


_UPSERT_KEY = _upsert("key_health", KeyRow)
_UPSERT_BREAKER = _upsert("breakers", BreakerRow)
_key_values = attrgetter(*(f.name for f in fields(KeyRow)))
_breaker_values = attrgetter(*(f.name for f in fields(BreakerRow)))


def write_changes(connection: sqlite3.Connection, changes: Changes, now_us: int) -> None:
    """In one transaction; raises sqlite3.Error, and then nothing has been written."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(_UPSERT_KEY, map(_key_values, changes.keys.values()))
        connection.executemany(_UPSERT_BREAKER, map(_breaker_values, changes.breakers.values()))
        old = (now_us - KEPT_US,)
        connection.execute("DELETE FROM breakers WHERE state = 'closed' AND changed_us < ?", old)
        connection.execute("DELETE FROM key_health WHERE model <> '' AND cooling_until_us < ?", old)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def read_keys(connection: sqlite3.Connection) -> list[KeyRow]:
    names = ", ".join(f.name for f in fields(KeyRow))
    sql = f"SELECT {names} FROM key_health ORDER BY provider, credential, model"  # noqa: S608
    return [KeyRow(*row) for row in connection.execute(sql)]


def read_breakers(connection: sqlite3.Connection) -> list[BreakerRow]:
    names = ", ".join(f.name for f in fields(BreakerRow))
    sql = f"SELECT {names} FROM breakers ORDER BY provider, credential, model"  # noqa: S608
    return [BreakerRow(*row) for row in connection.execute(sql)]


def read(path: Path) -> tuple[list[KeyRow], list[BreakerRow]]:
    """Both, from a connection of its own."""
    try:
        with closing(connect(path, readonly=True)) as connection:
            return read_keys(connection), read_breakers(connection)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
