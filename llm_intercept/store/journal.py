"""What survives `kill -9`: a line for each call that goes upstream, and for each finished row.

One `os.write` to an O_APPEND file puts a line into the page cache, where it outlives the process (not a
power failure: there is no fsync). Lines lie in segments; a segment is deleted when everything in it is
committed. Each is locked by its owner, so that only segments of the dead are recovered.

    H {...}   the first line: names of the fields of rows and attempts, in the order of their values
    B [...]   begun: the row as far as it is known before the call goes out (or {...}: some fields by name)
    D [...]   done: the whole row, its attempts, and its violations if there are any
    X id      begun, but there will be no row
"""

import contextlib
import fcntl
import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson

from llm_intercept.errors import StoreError
from llm_intercept.store.rows import AttemptRow, RequestRow, ViolationRow
from llm_intercept.store.usage import ATTEMPT_COLUMNS, REQUEST_COLUMNS, VIOLATION_COLUMNS, make_storable

SEGMENT_BYTES = 1_000_000
_HEADER = b"H " + orjson.dumps({"row": REQUEST_COLUMNS, "attempt": ATTEMPT_COLUMNS}) + b"\n"
_row_values = attrgetter(*REQUEST_COLUMNS)
_attempt_values = attrgetter(*ATTEMPT_COLUMNS)
_violation_values = attrgetter(*VIOLATION_COLUMNS)


@dataclass(slots=True, eq=False)
class _Segment:
    path: Path
    descriptor: int
    size: int = 0
    pending: set[int] = field(default_factory=set)


class Journal:
    """The event loop calls `begin`, the writer thread `done` and `committed`. Appending may raise OSError."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._limit = segment_bytes
        self._lock = threading.Lock()
        self._number = 0
        self._holders: dict[int, list[_Segment]] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._current = self._open_next()
        except OSError as error:
            raise StoreError(f"the journal {folder} cannot be written: {error.strerror}") from error

    def begin(self, exchange_id: int, record: RequestRow | Mapping[str, object]) -> None:
        """Before a call goes upstream: its row so far, or some fields, at least `request_id`."""
        if isinstance(record, RequestRow):
            self._append([exchange_id], b"B " + _dumps_row(record))
        else:
            self._append([exchange_id], b"B " + _dumps({**record, "id": exchange_id}))

    def done(self, *rows: RequestRow) -> None:
        """Finished rows, in one write, before SQLite has them."""
        if rows:
            lines = b"\n".join(b"D " + _dumps_row(row) for row in rows)
            self._append([row.id for row in rows], lines)

    def cancel(self, exchange_id: int) -> None:
        """A call that was begun turns out to have no row."""
        self._append([exchange_id], b"X %d" % exchange_id)
        self.committed((exchange_id,))

    def committed(self, ids: Iterable[int]) -> None:
        """These are in the database (or cancelled); segments that nobody needs any more are deleted."""
        with self._lock:
            for exchange_id in ids:
                for segment in self._holders.pop(exchange_id, ()):
                    segment.pending.discard(exchange_id)
                    if not segment.pending:
                        self._release(segment)

    def recover(self) -> list[RequestRow]:
        """Rows of processes that are no more: finished ones whole, begun ones as `interrupted`.

        Their segments stay until `committed` has named them, so a crash while recovering loses nothing.
        """
        rows: list[RequestRow] = []
        for path in sorted(self._folder.glob("*.jsonl")):
            segment = self._adopt(path)
            if segment is not None:
                rows.extend(self._read(segment))
        return rows

    def close(self) -> None:
        """Gives the segments up: empty ones are deleted, others are left to be recovered. Idempotent."""
        with self._lock:
            segments = {id(s): s for holders in self._holders.values() for s in holders}
            for segment in segments.values():
                _shut(segment)
            if id(self._current) not in segments:
                self._delete(self._current)
            self._holders.clear()

    def _append(self, ids: Iterable[int], lines: bytes) -> None:
        with self._lock:
            segment = self._current
            if segment.size > self._limit:
                segment = self._rotate()
            # First the note of who needs it: a line that is only half written still keeps its segment.
            for exchange_id in ids:
                segment.pending.add(exchange_id)
                holders = self._holders.setdefault(exchange_id, [])
                if segment not in holders:
                    holders.append(segment)
            segment.size += os.write(segment.descriptor, lines + b"\n")

    def _rotate(self) -> _Segment:
        full, self._current = self._current, self._open_next()
        if not full.pending:
            self._delete(full)
        return self._current

    def _release(self, segment: _Segment) -> None:
        """The current segment is emptied once it is large; others go."""
        if segment is not self._current:
            self._delete(segment)
        elif segment.size > self._limit // 4:
            os.ftruncate(segment.descriptor, 0)
            segment.size = os.write(segment.descriptor, _HEADER)

    def _delete(self, segment: _Segment) -> None:
        if segment.descriptor >= 0:
            segment.path.unlink(missing_ok=True)
            _shut(segment)

    def _open_next(self) -> _Segment:
        while True:
            self._number += 1
            path = self._folder / f"{os.getpid()}-{self._number}.jsonl"
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            except FileExistsError:  # left by a dead process that had our pid
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return _Segment(path, descriptor, os.write(descriptor, _HEADER))

    def _adopt(self, path: Path) -> _Segment | None:
        """Locks a segment of a dead process; None if its owner lives, or somebody else was first."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if os.fstat(descriptor).st_nlink == 0:
            os.close(descriptor)
            return None
        return _Segment(path, descriptor)

    def _read(self, segment: _Segment) -> list[RequestRow]:
        with os.fdopen(os.dup(segment.descriptor), "rb") as file:
            rows = read_lines(file.read())
        with self._lock:
            for row in rows:
                segment.pending.add(row.id)
                self._holders.setdefault(row.id, []).append(segment)
            if not rows:
                self._delete(segment)
        return rows


def _shut(segment: _Segment) -> None:
    """Forgets the number too: the next file that is opened gets the same one, and must not be written to."""
    os.close(segment.descriptor)
    segment.descriptor = -1


class _Reader:
    """Gathers what the lines of one segment amount to."""

    def __init__(self) -> None:
        self.begun: dict[int, RequestRow] = {}
        self.done: dict[str, RequestRow] = {}
        self._names: Sequence[str] = REQUEST_COLUMNS
        self._attempt_names: Sequence[str] = ATTEMPT_COLUMNS

    def line(self, kind: bytes, record: Any) -> None:
        if kind == b"H":
            self._names, self._attempt_names = record["row"], record["attempt"]
        elif kind == b"X":
            self.begun.pop(record, None)
        elif kind == b"B":
            row = self._row(record)
            self.begun[row.id] = row
        elif kind == b"D":
            row = self._row(record)
            self.done[row.request_id] = row

    def rows(self) -> list[RequestRow]:
        interrupted = [_interrupted(row) for row in self.unfinished()]
        return sorted([*self.done.values(), *interrupted], key=lambda row: row.id)

    def unfinished(self) -> list[RequestRow]:
        return [row for row in self.begun.values() if row.request_id not in self.done]

    def _row(self, record: Any) -> RequestRow:
        """Tolerant of fields that another version knew."""
        if isinstance(record, dict):
            return RequestRow(**_known(record, REQUEST_COLUMNS))
        count = len(self._names)
        values, tries, violations = record[:count], record[count], record[count + 1 :]
        row = RequestRow(**_known(dict(zip(self._names, values, strict=True)), REQUEST_COLUMNS))
        for attempt in tries:
            named = dict(zip(self._attempt_names, attempt, strict=True))
            row.tries.append(AttemptRow(**_known(named, ATTEMPT_COLUMNS)))
        row.violations = [ViolationRow(*violation) for found in violations for violation in found]
        return row


def read_lines(content: bytes) -> list[RequestRow]:
    """The rows that a segment amounts to; a line that was cut off is ignored."""
    return _read_all(content).rows()


def _read_all(content: bytes) -> _Reader:
    reader = _Reader()
    for line in content.split(b"\n"):
        kind, _, payload = line.partition(b" ")
        try:
            reader.line(kind, orjson.loads(payload))
        except (ValueError, TypeError, LookupError):
            continue
    return reader


def under_way(folder: Path) -> Counter[tuple[str, str]]:
    """Calls that have begun and not ended, by provider and model, as the lines say at this moment.

    For who is not the proxy; a segment may be deleted while it is read.
    """
    found: Counter[tuple[str, str]] = Counter()
    for path in folder.glob("*.jsonl"):
        with contextlib.suppress(OSError):
            found.update((row.provider, row.model) for row in _read_all(path.read_bytes()).unfinished())
    return found


def _known(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _interrupted(row: RequestRow) -> RequestRow:
    row.outcome = "interrupted"
    row.error_message = row.error_message or "the proxy was killed while the call was under way"
    row.status = row.duration_ms = None
    return row


def _dumps_row(row: RequestRow) -> bytes:
    """Values without names: half the size of the whole, and half the time."""
    try:
        return _row_line(row)
    except TypeError:
        make_storable(row)
        return _row_line(row)


def _row_line(row: RequestRow) -> bytes:
    attempts = [_attempt_values(attempt) for attempt in row.tries]
    violations = [[_violation_values(v) for v in row.violations]] if row.violations else []
    return orjson.dumps((*_row_values(row), attempts, *violations))


def _dumps(record: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(record)
    except TypeError:
        clean = {
            k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in record.items()
        }
        return orjson.dumps(clean)
