"""`cache.db`: stored answers. The proxy writes in a thread of its own; commands and pages look and purge."""

import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from llm_intercept.errors import StoreError
from llm_intercept.store.migrate import connect, migrate
from llm_intercept.store.schema import CACHE

if TYPE_CHECKING:
    from llm_intercept.store.report_terms import Scope

HARMLESS = "it holds nothing but stored answers and can be deleted while no proxy runs"
_CHUNK = 200
_PAGES = 1_000
_COLUMNS = (
    *("id", "key", "project", "token", "request_id", "provider", "host", "model", "dialect", "operation"),
    *("stream", "content_type", "headers", "body", "size", "stored", "tokens", "cost_nanos", "expires_us"),
    "used_us",
)
_SHOWN = tuple(name for name in _COLUMNS if name not in ("body", "headers"))
_SELECT = f"SELECT {', '.join(_SHOWN)}, hits FROM answers "  # noqa: S608 - names of this file
_REPLACE = (
    f"INSERT OR REPLACE INTO answers ({', '.join(_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(_COLUMNS))})"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a provider has said to one call. `body` is as it came, without content-encoding.

    `tokens` and `cost_nanos` are what the call had taken, so what each hit saves; None: no price is known.
    """

    id: int  # epoch microseconds
    key: bytes
    project: str
    token: str
    request_id: str
    provider: str
    host: str
    model: str
    dialect: str
    operation: str
    stream: bool
    content_type: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    tokens: int
    cost_nanos: int | None
    expires_us: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored answer as lists have it: without what was said. Times are epoch microseconds."""

    id: int
    key: str  # hexadecimal
    project: str
    token: str
    request_id: str
    provider: str
    host: str
    model: str
    dialect: str
    operation: str
    stream: bool
    content_type: str
    size: int
    stored: int
    tokens: int
    cost_nanos: int | None
    expires_us: int
    used_us: int
    hits: int


@dataclass(frozen=True, slots=True)
class Which:
    """Answers by what they are of; what is not given does not matter. `key` is the beginning of one."""

    project: str | None = None
    provider: str | None = None
    model: str | None = None  # a glob
    key: str | None = None
    expired_at: int | None = None  # those out of date at this moment (epoch microseconds)
    before: int | None = None  # stored before this moment
    among: "Scope | None" = None  # those that somebody may see


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over stored answers. `saved_nanos` counts the hits of those that are still there."""

    entries: int = 0
    size: int = 0
    stored: int = 0
    hits: int = 0
    saved_nanos: int = 0
    oldest: int | None = None
    newest: int | None = None
    expired: int = 0


class AnswerStore:
    """One open `cache.db`; used by one thread at a time (`lock`). What it holds can be lost without harm.

    Look-ups have a connection of their own: they wait neither for what is being written nor for its locks.
    """

    def __init__(self, path: Path) -> None:
        migrate(path, CACHE)
        self._connection = connect(path)
        self._lock = threading.Lock()
        self._reader = connect(path, readonly=True)
        self._reader.execute("PRAGMA busy_timeout = 50")  # a call is waiting
        self._reading = threading.Lock()

    def close(self) -> None:
        with self._reading:
            self._reader.close()
        with self._lock:
            self._connection.close()

    def get(self, key: bytes, now_us: int) -> Stored | None:
        """The answer that has this key, if it is not out of date."""
        with self._reading:
            row = self._reader.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM answers WHERE key = ? AND expires_us > ?",  # noqa: S608
                (key, now_us),
            ).fetchone()
        return None if row is None else _answer(dict(zip(_COLUMNS, row, strict=True)))

    def put(self, answers: Sequence[Stored]) -> None:
        """In one transaction; an answer takes the place of the one that had its key."""
        values = [_values(answer) for answer in answers]
        with self._lock, _transaction(self._connection):
            for row in values:
                taken = self._connection.execute(
                    "SELECT max(id) FROM answers WHERE id >= ? AND key <> ?", (row["id"], row["key"])
                ).fetchone()[0]
                row["id"] = row["id"] if taken is None else taken + 1
                self._connection.execute(_REPLACE, tuple(row.values()))

    def used(self, hits: Iterable[tuple[bytes, int, int]]) -> None:
        """(key, hits, epoch microseconds of the last)."""
        with self._lock, _transaction(self._connection):
            self._connection.executemany(
                "UPDATE answers SET hits = hits + ?, used_us = max(used_us, ?) WHERE key = ?",
                [(count, last, key) for key, count, last in hits],
            )

    def evict(self, now_us: int, max_bytes: int) -> int:
        """What is out of date goes, then what was not asked for longest; returns how many answers went."""
        with self._lock:
            gone = self._delete("expires_us <= ?", (now_us,))
            while self._size() > max_bytes:
                with _transaction(self._connection):
                    gone += self._connection.execute(
                        "DELETE FROM answers WHERE id IN"
                        " (SELECT id FROM answers ORDER BY used_us"
                        " LIMIT max(1, (SELECT count(*) / 20 FROM answers)))"
                    ).rowcount
            if gone:
                self._shrink()
        return gone

    def _shrink(self) -> None:
        """Gives free pages back, so many at a time that nobody has to wait long for the database."""
        left = self._free()
        while left:
            # Each step of this pragma frees one page, so it has to be fetched to its end.
            self._connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
            before, left = left, self._free()
            if left >= before:
                break

    def _free(self) -> int:
        return int(self._connection.execute("PRAGMA freelist_count").fetchone()[0])

    def _size(self) -> int:
        return int(self._connection.execute("SELECT coalesce(sum(stored), 0) FROM answers").fetchone()[0])

    def _delete(self, where: str, values: tuple[Any, ...]) -> int:
        """In short transactions; `where` is of this module's own making."""
        gone = 0
        while True:
            with _transaction(self._connection):
                count = self._connection.execute(
                    f"DELETE FROM answers WHERE id IN (SELECT id FROM answers WHERE {where} LIMIT {_CHUNK})",  # noqa: S608
                    values,
                ).rowcount
            gone += count
            if count < _CHUNK:
                return gone

    def purge(self, which: Which) -> int:
        """Deletes them; returns how many there were."""
        where, values = _where(which)
        with self._lock:
            gone = self._delete(where, values)
            if gone:
                self._shrink()
        return gone

    def check(self) -> None:
        """DatabaseError if something in the file is not as it should be."""
        with self._lock:
            found = str(self._connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if found != "ok":
            raise sqlite3.DatabaseError(found.splitlines()[-1])

    def totals(self, now_us: int, which: Which = Which()) -> Totals:
        where, values = _where(which)
        with self._lock:
            row = self._connection.execute(
                "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(stored), 0), coalesce(sum(hits), 0),"  # noqa: S608
                " coalesce(sum(hits * cost_nanos), 0), min(id), max(id), coalesce(sum(expires_us <= ?), 0)"
                f" FROM answers WHERE {where}",
                (now_us, *values),
            ).fetchone()
        return Totals(*row)

    def entries(self, which: Which, limit: int, before: int | None = None) -> list[Entry]:
        """The newest first; `before` is the id of the last one that was shown already."""
        where, values = _where(which)
        if before is not None:
            where, values = f"{where} AND id < ?", (*values, before)
        with self._lock:
            rows = self._connection.execute(
                f"{_SELECT} WHERE {where} ORDER BY id DESC LIMIT ?", (*values, limit)
            ).fetchall()
        return [_entry(dict(zip((*_SHOWN, "hits"), row, strict=True))) for row in rows]

    def answer(self, key: str) -> Stored | None:
        """One by its key, out of date or not."""
        with self._lock:
            row = self._connection.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM answers WHERE key = ?",  # noqa: S608
                (bytes.fromhex(key),),
            ).fetchone()
        return None if row is None else _answer(dict(zip(_COLUMNS, row, strict=True)))


@contextmanager
def opened(path: Path) -> Iterator[AnswerStore]:
    """For commands and pages, which look once; whatever is wrong with the database is a StoreError."""
    try:
        with closing(_open(path)) as store:
            yield store
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path} cannot be used: {error}") from error
    except (sqlite3.DatabaseError, zlib.error) as error:
        raise StoreError(f"{path} is damaged: {error}; {HARMLESS}") from error


def _open(path: Path) -> AnswerStore:
    try:
        return AnswerStore(path)
    except StoreError as error:
        raise StoreError(f"{error}; {HARMLESS}") from error


def examine(path: Path) -> None:
    """Reads all of it; raises StoreError if it is damaged. What is not there is not damaged."""
    if path.exists():
        with opened(path) as store:
            store.check()


class _transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if self._connection.in_transaction:
            self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _where(which: Which) -> tuple[str, tuple[Any, ...]]:
    """Conditions of this file over values that are bound."""
    found: list[tuple[str, Any]] = []
    if which.project is not None:
        found.append(("project = ?", which.project))
    if which.provider is not None:
        found.append(("provider = ?", which.provider))
    if which.model is not None:
        found.append(("model GLOB ?", which.model))
    if which.key is not None:
        found.append(("hex(key) GLOB ?", f"{which.key.upper()}*"))
    if which.expired_at is not None:
        found.append(("expires_us <= ?", which.expired_at))
    if which.before is not None:
        found.append(("id < ?", which.before))
    among, seen = which.among.clause() if which.among is not None else ("", [])
    terms = " AND ".join(["1", *(term for term, _ in found)])
    return terms + among, (*(value for _, value in found), *seen)


def _values(answer: Stored) -> dict[str, Any]:
    """In the order of the columns."""
    packed = zlib.compress(answer.body, 6)
    given: dict[str, Any] = {
        "headers": orjson.dumps(answer.headers).decode(),
        "body": packed,
        "size": len(answer.body),
        "stored": len(packed),
        "stream": int(answer.stream),
        "used_us": answer.id,
    }
    return {name: given[name] if name in given else getattr(answer, name) for name in _COLUMNS}


def _answer(row: dict[str, Any]) -> Stored:
    for name in ("size", "stored", "used_us"):
        del row[name]
    row["headers"] = tuple((name, value) for name, value in orjson.loads(row["headers"]))
    row["body"] = zlib.decompress(row["body"])
    row["stream"] = bool(row["stream"])
    return Stored(**row)


def _entry(row: dict[str, Any]) -> Entry:
    row["key"] = row["key"].hex()
    row["stream"] = bool(row["stream"])
    return Entry(**row)
