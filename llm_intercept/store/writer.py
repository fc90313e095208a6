"""The thread that writes `usage.db` and `bodies.db`, so that nothing of it happens on the event loop.

Jobs are collected for a moment and written in one transaction. Rows are never dropped: while a database is
locked or the disk is full they wait, and the journal holds them should the process die. Bodies are dropped
first when too many of them wait.
"""

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from llm_intercept.errors import StoreError
from llm_intercept.home import Home
from llm_intercept.secrecy import Clean, traced
from llm_intercept.settings import CaptureSettings
from llm_intercept.store.bodies import Body, Capture, expire_bodies, write_bodies
from llm_intercept.store.journal import Journal
from llm_intercept.store.migrate import connect
from llm_intercept.store.pools import Changes
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.sideline import EVERY_S, Sideline
from llm_intercept.store.usage import ROW_FAULTS, write_batch

log = logging.getLogger(__name__)

WINDOW_S = 0.25
BATCH_ROWS = 500
BODY_BUDGET = 64_000_000
_BREATH_EVERY = 8  # rows made here; then the event loop gets the interpreter lock without waiting for it
_BREATH_S = 0.00002
_BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_HOUSEKEEPING_S = 3600.0
_END = object()

type RowJob = RequestRow | Callable[[], RequestRow]
type BodiesOf = Callable[[RequestRow], Sequence[Body]]


@dataclass(slots=True)
class _Item:
    job: RowJob
    fallback: RequestRow | None
    bodies: BodiesOf | None
    size: int
    since: float
    clean: Clean


@dataclass(slots=True)
class _Batch:
    """Rows with their bodies, on their way into the databases."""

    rows: list[RequestRow] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)  # as the journal knows them: a collision changes row.id
    bodies: list[tuple[RequestRow, Sequence[Body]]] = field(default_factory=list)

    def add(self, row: RequestRow, bodies: Sequence[Body]) -> None:
        self.rows.append(row)
        self.ids.append(row.id)
        if bodies:
            self.bodies.append((row, bodies))


class Writer:
    """`put` from any thread; everything else happens in the writer's own thread."""

    def __init__(
        self,
        home: Home,
        journal: Journal | None = None,
        *,
        capture: Capture | None = None,
        on_commit: Callable[[list[RequestRow]], None] | None = None,
        window: float = WINDOW_S,
        body_budget: int = BODY_BUDGET,
        state: Callable[[], Changes] | None = None,
        daily: Callable[[], Iterator[object] | None] | None = None,
    ) -> None:
        """`state` is asked once a second, from the writer's thread, for what else is to be written.

        `daily` is asked once an hour for work that is done in the same thread, step by step between rows.
        """
        self._home = home
        self._journal = journal
        self._capture = capture or Capture(CaptureSettings.model_validate({}))
        self._on_commit = on_commit
        self._window = window
        self._body_budget = body_budget
        self._queue: deque[_Item] = deque()
        self._waiting = threading.Event()
        self._stopping = threading.Event()
        self._body_lock = threading.Lock()
        self._body_bytes = 0
        self._in_work = 0
        self._oldest = 0.0
        self._give_up_at = float("inf")
        self._usage: sqlite3.Connection | None = None
        self._bodies: sqlite3.Connection | None = None
        self._housekeeping_due = 0.0
        self._sideline = Sideline(state) if state else None
        self._daily = daily
        self._cleaning: Iterator[object] | None = None
        self.bodies_dropped = 0
        self.rows_written = 0
        self.last_error = ""
        self._thread = threading.Thread(target=self._run, name="usage-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(
        self,
        job: RowJob,
        *,
        fallback: RequestRow | None = None,
        bodies: BodiesOf | None = None,
        body_bytes: int = 0,
        clean: Clean = bytes,
    ) -> None:
        """Queues a row, or what makes one in the writer's thread; `fallback` is written if that fails.

        `bodies` says, in the same thread, what to capture of the row's call; `body_bytes` is about what
        it holds in memory until then; `clean` takes the call's keys out of what an exception says.
        """
        size = body_bytes if bodies else 0
        if size and not self._reserve(size):
            bodies, size = None, 0
            self.bodies_dropped += 1
        self._queue.append(_Item(job, fallback, bodies, size, time.monotonic(), clean))
        if not self._waiting.is_set():
            self._waiting.set()

    def stop(self, timeout: float) -> bool:
        """Writes what is queued and ends the thread; False if time ran out (the journal has the rest)."""
        self._give_up_at = time.monotonic() + timeout
        self._stopping.set()
        self._waiting.set()
        if self._thread.ident is not None:
            self._thread.join(timeout + 1.0)
        return not self._thread.is_alive() and not self.depth

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def depth(self) -> int:
        """Jobs that are not committed yet."""
        return len(self._queue) + self._in_work

    @property
    def lag_s(self) -> float:
        """How long the oldest of them has been waiting."""
        if self._in_work:
            return time.monotonic() - self._oldest
        try:
            return time.monotonic() - self._queue[0].since
        except IndexError:
            return 0.0

    def _reserve(self, size: int) -> bool:
        with self._body_lock:
            if self._body_bytes + size > self._body_budget:
                return False
            self._body_bytes += size
            return True

    def _run(self) -> None:
        while not (self._stopping.is_set() and not self._queue) and not self._out_of_time():
            self._waiting.wait(EVERY_S if self._sideline else 60.0)
            self._waiting.clear()
            while self._queue and not self._out_of_time():
                self._write(self._collect())
                self._write_aside()
            self._write_aside()
            self._keep_house()
            self._clean()
        self._write_aside(at_once=True)
        self._close()

    def _collect(self) -> _Batch:
        """Makes rows as they come, so that they are in the journal at once, until it is time to commit."""
        batch = _Batch()
        self._in_work, self._oldest = 0, self._queue[0].since
        until = time.monotonic() + self._window
        while True:
            self._take(batch)
            if self._in_work >= BATCH_ROWS or self._stopping.is_set() or time.monotonic() >= until:
                return batch
            self._stopping.wait(self._window / 5)

    def _take(self, batch: _Batch) -> None:
        freed, made = 0, []
        while self._queue and self._in_work < BATCH_ROWS:
            item = self._queue.popleft()
            self._in_work += 1
            freed += item.size
            row = _made(item)
            if row is not None:
                batch.add(row, _bodies(item, row))
                if row is not item.job:  # others are in the journal already, or come from it
                    made.append(row)
                    if len(made) % _BREATH_EVERY == 0:
                        time.sleep(_BREATH_S)
        self._note(made)
        with self._body_lock:
            self._body_bytes -= freed

    def _note(self, rows: Sequence[RequestRow]) -> None:
        try:
            if self._journal is not None:
                self._journal.done(*rows)
        except OSError as error:
            log.error("finished rows could not be journaled: %s", error.strerror)
        except Exception:
            log.exception("finished rows could not be journaled")

    def _write(self, batch: _Batch) -> None:
        """Until it is written, or the time to stop has run out."""
        attempt = 0
        while batch.rows:
            try:
                written = write_batch(self._usage_connection(), batch.rows)
            except (sqlite3.Error, OSError, StoreError) as error:
                if isinstance(error, ROW_FAULTS):
                    return self._write_apart(batch)
                self._failed(error, attempt)
                attempt += 1
                if self._out_of_time():
                    return
                continue
            except Exception:
                log.exception("a batch cannot be written")
                return self._write_apart(batch)
            self.last_error = ""
            self.rows_written += len(written)
            self._write_bodies(batch)
            self._committed(batch.ids, written)
            break
        self._in_work = 0

    def _write_apart(self, batch: _Batch) -> None:
        """One row at a time, so that the faulty one is found; it stays in the journal only."""
        if len(batch.rows) == 1:
            log.error("a row cannot be stored", extra={"request_id": batch.rows[0].request_id})
            self._in_work = 0
            return
        for row, row_id in zip(batch.rows, batch.ids, strict=True):
            bodies = [entry for entry in batch.bodies if entry[0] is row]
            self._write(_Batch([row], [row_id], bodies))

    def _failed(self, error: Exception, attempt: int) -> None:
        self.last_error = f"usage.db cannot be written: {error}"
        log.error("%s; trying again", self.last_error)
        self._disconnect()
        pause = _BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)]
        remaining = self._give_up_at - time.monotonic()
        if self._stopping.is_set():
            time.sleep(max(0.0, min(pause, remaining)))
        else:
            self._stopping.wait(pause)

    def _write_bodies(self, batch: _Batch) -> None:
        if not batch.bodies:
            return
        try:
            connection = self._bodies_connection()
            write_bodies(connection, self._capture, [(row.id, bodies) for row, bodies in batch.bodies])
        except Exception:
            log.exception("captured bodies could not be stored")
            self.bodies_dropped += len(batch.bodies)
            self._disconnect()

    def _committed(self, ids: Sequence[int], written: list[RequestRow]) -> None:
        try:
            if self._journal is not None:
                self._journal.committed(ids)
            if self._on_commit is not None:
                self._on_commit(written)
        except Exception:
            log.exception("rows are written, but telling so failed")

    def _write_aside(self, *, at_once: bool = False) -> None:
        if self._sideline is None:
            return
        try:
            self._sideline.write(self._usage_connection, at_once=at_once)
        except Exception:
            log.exception("the state of keys and breakers could not be written; trying again")
            self._disconnect()

    def _keep_house(self) -> None:
        if time.monotonic() < self._housekeeping_due:
            return
        self._housekeeping_due = time.monotonic() + _HOUSEKEEPING_S
        try:
            expire_bodies(self._bodies_connection(), self._capture, time.time_ns() // 1000)
        except Exception:
            log.exception("old bodies could not be deleted")
            self._disconnect()
        self._clean(begin=True)

    def _clean(self, *, begin: bool = False) -> None:
        """Goes on until there are rows to write; they come first."""
        try:
            if begin and self._cleaning is None and self._daily is not None:
                self._cleaning = self._daily()
            while self._cleaning is not None and not self._queue and not self._stopping.is_set():
                if next(self._cleaning, _END) is _END:
                    self._cleaning = None
        except Exception:
            log.exception("cleaning up stopped; it is tried again in an hour")
            self._cleaning = None

    def _usage_connection(self) -> sqlite3.Connection:
        if self._usage is None:
            self._usage = connect(self._home.usage_db)
        return self._usage

    def _bodies_connection(self) -> sqlite3.Connection:
        if self._bodies is None:
            self._bodies = connect(self._home.bodies_db)
        return self._bodies

    def _out_of_time(self) -> bool:
        return time.monotonic() >= self._give_up_at

    def _close(self) -> None:
        self._cleaning = None  # lets go of its connections and its lock
        for connection in (self._usage, self._bodies):
            if connection is not None:
                try:
                    connection.execute("PRAGMA optimize")
                except sqlite3.Error as error:
                    log.warning("PRAGMA optimize failed: %s", error)
        self._disconnect()

    def _disconnect(self) -> None:
        for connection in (self._usage, self._bodies):
            if connection is not None:
                connection.close()
        self._usage = self._bodies = None


def _made(item: _Item) -> RequestRow | None:
    """The row of a job. One that fails costs its own details, never its row and never another one."""
    if isinstance(item.job, RequestRow):
        return item.job
    try:
        return item.job()
    except Exception as error:
        request_id = item.fallback.request_id if item.fallback else ""
        log.error("a row could not be made: %s", traced(error, item.clean), extra={"request_id": request_id})
        return item.fallback


def _bodies(item: _Item, row: RequestRow) -> Sequence[Body]:
    if item.bodies is None:
        return ()
    try:
        return item.bodies(row)
    except Exception as error:
        said = traced(error, item.clean)
        log.error("bodies could not be captured: %s", said, extra={"request_id": row.request_id})
        return ()
