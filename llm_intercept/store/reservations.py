"""`limits.db`: the counters of limits and what is reserved on them, shared by every process of a home.

Not in `control.db`, because each write there makes every proxy read its snapshot anew. A transaction takes
the write lock first, so that what it reads is what it changes. Who the processes are is told by locked
files in `leases/`: the kernel unlocks them however a process ends, at once, and nobody can mistake a new
process with an old number for it.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from llm_intercept.errors import StoreError
from llm_intercept.policy.windows import Counter
from llm_intercept.store.migrate import connect

_SPIN_S = 0.0002
_PRUNED_AT_ONCE = 500
_REMEMBERED = 500  # counters, of a few kilobytes each at most

type Hold = tuple[str, int, str, int]
"""(counter's key, start of the cell, measure, amount)"""


class Busy(Exception):
    """Another process held the lock for longer than the caller wanted to wait."""


@dataclass(frozen=True, slots=True)
class OpenReservation:
    id: int
    owner: str
    call: str
    holds: tuple[Hold, ...]
    opened_us: int


class Counters:
    """One connection, used by one thread at a time; see `changing`."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._connection.execute("PRAGMA busy_timeout = 0")  # we wait ourselves, in smaller steps
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")  # see `checkpoint`
        self._lock = threading.Lock()
        self._remembered: dict[str, Counter] = {}  # as this connection has written them
        self._version = -1

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def changing(self, patience: float) -> Iterator["Changes"]:
        """A transaction; what is raised inside undoes it. Raises Busy after `patience` seconds of waiting."""
        if not self._lock.acquire(timeout=patience):
            raise Busy
        try:
            self._begin(patience)
            try:
                changes = Changes(self._connection, self._known())
                yield changes
                changes.save()
                self._connection.execute("COMMIT")
                self._remember(changes.changed_counters)
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(f"limits.db cannot be used: {error}") from error
        finally:
            self._lock.release()

    def _begin(self, patience: float) -> None:
        until = time.monotonic() + patience
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                if time.monotonic() >= until:
                    raise Busy from None
                time.sleep(_SPIN_S)

    def _known(self) -> dict[str, Counter]:
        """What need not be read again; nothing once another connection has written."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self._remembered.clear()
        return self._remembered

    def _remember(self, counters: Mapping[str, Counter]) -> None:
        if len(self._remembered) + len(counters) > _REMEMBERED:
            self._remembered.clear()
        self._remembered.update(counters)

    def read(self, keys: Collection[str] | None = None) -> dict[str, Counter]:
        """Counters by key, as they are now; all of them without `keys`."""
        with self._lock:
            return {key: Counter.read(state) for key, state in _states(self._connection, keys)}

    def open_reservations(self) -> list[OpenReservation]:
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, owner, call, holds, opened_us FROM reservations ORDER BY id"
            ).fetchall()
        return [OpenReservation(id_, who, call, _holds(held), us) for id_, who, call, held, us in rows]

    def owners(self) -> list[str]:
        with self._lock:
            return [owner for (owner,) in self._connection.execute("SELECT id FROM owners")]


class Changes:
    """What one transaction reads and changes. Counters are read once and written at its end.

    It takes what it uses out of `known`: what it does to a counter and does not write is forgotten.
    """

    def __init__(self, connection: sqlite3.Connection, known: dict[str, Counter]) -> None:
        self._connection = connection
        self._known = known
        self._counters: dict[str, Counter] = {}
        self.changed_counters: dict[str, Counter] = {}

    def counters(self, keys: Sequence[str]) -> Mapping[str, Counter]:
        """Those with these keys; new ones are empty."""
        missing = []
        for key in keys:
            if key not in self._counters:
                counter = self._known.pop(key, None)
                if counter is None:
                    missing.append(key)
                else:
                    self._counters[key] = counter
        if missing:
            stored = dict(_states(self._connection, missing))
            for key in missing:
                self._counters[key] = Counter.read(stored.get(key))
        return self._counters

    def changed(self, key: str) -> None:
        self.changed_counters[key] = self._counters[key]

    def open(self, owner: str, call: str, holds: Sequence[Hold], now_us: int) -> int:
        cursor = self._connection.execute(
            "INSERT INTO reservations (owner, call, holds, opened_us) VALUES (?, ?, ?, ?)",
            (owner, call, orjson.dumps(holds).decode(), now_us),
        )
        return int(cursor.lastrowid or 0)

    def holds(self, reservation: int) -> tuple[Hold, ...]:
        """What it holds; nothing if it has ended."""
        row = self._connection.execute(
            "SELECT holds FROM reservations WHERE id = ?", (reservation,)
        ).fetchone()
        return () if row is None else _holds(row[0])

    def keep(self, reservation: int, holds: Sequence[Hold]) -> None:
        """From now on it holds only these."""
        self._connection.execute(
            "UPDATE reservations SET holds = ? WHERE id = ?", (orjson.dumps(holds).decode(), reservation)
        )

    def take(self, reservation: int) -> tuple[Hold, ...] | None:
        """Removes it and gives what it held; None if somebody has taken it already."""
        row = self._connection.execute(
            "DELETE FROM reservations WHERE id = ? RETURNING holds", (reservation,)
        ).fetchone()
        return None if row is None else _holds(row[0])

    def add_owner(self, owner: str, now_us: int) -> None:
        self._connection.execute("INSERT INTO owners (id, since_us) VALUES (?, ?)", (owner, now_us))

    def drop_owner(self, owner: str) -> None:
        self._connection.execute("DELETE FROM owners WHERE id = ?", (owner,))

    def prune(self, limits: Collection[str], now: float, after: str) -> str:
        """Deletes some counters of limits that are no more, or that count nothing; "" once all were seen."""
        rows = self._connection.execute(
            "SELECT key, state FROM counters WHERE key > ? ORDER BY key LIMIT ?", (after, _PRUNED_AT_ONCE)
        ).fetchall()
        for key, state in rows:
            counter = Counter.read(state)
            counter.expire(now)
            if not counter.cells or key.partition(":")[0] not in limits:
                self._connection.execute("DELETE FROM counters WHERE key = ?", (key,))
                self._known.pop(key, None)
        return str(rows[-1][0]) if len(rows) == _PRUNED_AT_ONCE else ""

    def save(self) -> None:
        if self.changed_counters:
            self._connection.executemany(
                "INSERT INTO counters (key, state) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET state = excluded.state",
                [(key, counter.text()) for key, counter in self.changed_counters.items()],
            )


def _states(connection: sqlite3.Connection, keys: Collection[str] | None) -> list[tuple[str, str]]:
    if keys is None:
        return connection.execute("SELECT key, state FROM counters ORDER BY key").fetchall()
    marks = ",".join("?" * len(keys))
    return connection.execute(
        f"SELECT key, state FROM counters WHERE key IN ({marks})",  # noqa: S608 - nothing but question marks
        tuple(keys),
    ).fetchall()


def _holds(text: str) -> tuple[Hold, ...]:
    return tuple([(key, start, measure, amount) for key, start, measure, amount in orjson.loads(text)])


def uncount(path: Path, whose: Callable[[str, str], bool]) -> None:
    """Deletes the counters for whose limit (its id) and member it is true."""
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        keys = [key for (key,) in connection.execute("SELECT key FROM counters")]
        ours = [(key,) for key in keys if whose(key.partition(":")[0], key.partition(":")[2])]
        connection.executemany("DELETE FROM counters WHERE key = ?", ours)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(f"limits.db cannot be used: {error}") from error
    finally:
        connection.close()


def checkpoint(path: Path) -> None:
    """Moves the log into the database, with its fsync: for a thread of its own, never the event loop."""
    connection = connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"limits.db cannot be used: {error}") from error
    finally:
        connection.close()


class Lease:
    """A locked file that says that this process lives."""

    def __init__(self, folder: Path, owner: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.owner = owner
        self._path = folder / f"{owner}.lock"
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def end(self) -> None:
        """Idempotent."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def only_one(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Keeps all other processes from sweeping; False if one is at it and we do not `wait`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def is_dead(folder: Path, owner: str) -> bool:
    """Whether nobody holds this lease any more."""
    try:
        descriptor = os.open(folder / f"{owner}.lock", os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def forget(folder: Path, owner: str) -> None:
    """Removes the file of a lease that nobody holds."""
    (folder / f"{owner}.lock").unlink(missing_ok=True)
