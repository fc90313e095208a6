"""`logs/audit.jsonl`: the audit log once more, as lines that other programs can collect.

Written after the commit, by whoever made it. A line that could not be written then is written with the next
row: what the file does not have yet is found by its last line. Several processes take turns by a lock.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from llm_intercept.settings import LogSettings
from llm_intercept.store.audit import Audit
from llm_intercept.store.audit_rows import AuditRow

logger = logging.getLogger(__name__)

NAME = "audit.jsonl"
AT_FIRST = 1000
"""A file that is not there begins with so many rows."""

_PAGE = 100
_TAIL = 1 << 18  # bytes that the last line is looked for in; a row is smaller


class AuditFile:
    """Called with an `Audit` after its commits. A disk that is full is a warning, not an error."""

    def __init__(self, folder: Path, settings: LogSettings) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._most = settings.max_mb * 1_000_000
        self._backups = settings.backups

    def __call__(self, audit: Audit) -> None:
        try:
            with self._turn():
                self._catch_up(audit)
        except OSError as error:
            logger.warning("%s lacks the last rows of the audit log: %s", self._path.name, error)

    def unknown(self, audit: Audit) -> list[int]:
        """Ids of lines that the database does not have as they are here: it was cut off, or set back.

        What was removed under a checkpoint is not missed.
        """
        written = {line["id"]: line["chain"] for path in self._files() for line in _lines(path)}
        known = {row.id: row.chain.hex() for row in audit_rows(audit)}
        removed = audit.removed_to()
        return [id_ for id_, chain in written.items() if id_ > removed and known.get(id_) != chain]

    def _catch_up(self, audit: Audit) -> None:
        last = self._last_id()
        if last is None:
            last = audit.id_before_last(AT_FIRST)
        while rows := audit.after(last, _PAGE):
            self._append(rows)
            last = rows[-1].id

    def _append(self, rows: list[AuditRow]) -> None:
        if self._path.exists() and self._path.stat().st_size >= self._most:
            self._rotate()
        text = b"".join(orjson.dumps(row.document()) + b"\n" for row in rows)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with open(descriptor, "r+b", buffering=0) as file:
            place = file.seek(0, os.SEEK_END)
            if place:
                file.seek(place - 1)
                text = text if file.read(1) == b"\n" else b"\n" + text  # a line broke off
            try:
                if file.write(text) != len(text):
                    raise OSError("no space left")
            except OSError:
                file.truncate(place)  # half a line would hide the next one
                raise

    def _rotate(self) -> None:
        kept = [self._path, *(Path(f"{self._path}.{n}") for n in range(1, self._backups + 1))]
        for older, newer in zip(reversed(kept), list(reversed(kept))[1:], strict=False):
            if newer.exists():
                newer.replace(older)
        self._path.unlink(missing_ok=True)  # only there when no backups are kept

    def _files(self) -> list[Path]:
        """Oldest first."""
        found = [Path(f"{self._path}.{number}") for number in range(self._backups, 0, -1)]
        return [path for path in (*found, self._path) if path.exists()]

    def _last_id(self) -> int | None:
        for path in reversed(self._files()):
            with path.open("rb") as file:
                file.seek(-min(_TAIL, path.stat().st_size), os.SEEK_END)
                lines = file.read().splitlines()
            for line in reversed(lines):
                found = _parsed(line)
                if found is not None:
                    return int(found["id"])
        return None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def audit_rows(audit: Audit) -> Iterator[AuditRow]:
    """All rows, in pages."""
    last = 0
    while rows := audit.after(last, _PAGE):
        yield from rows
        last = rows[-1].id


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        yield from (found for line in file if (found := _parsed(line)) is not None)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """None for what is no line of ours."""
    try:
        found = orjson.loads(line)
    except ValueError:
        return None
    is_ours = isinstance(found, dict) and type(found.get("id")) is int and type(found.get("chain")) is str
    return found if is_ours else None
