"""Structured JSONL logs: events of the program, and one line for each exchange (rows carry no secrets)."""

import contextlib
import copy
import logging
import logging.handlers
import os
import queue
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

import orjson
from pythonjsonlogger.orjson import OrjsonFormatter

from llm_intercept.secrecy import said, traced
from llm_intercept.settings import LogSettings
from llm_intercept.store.rows import RequestRow

_OURS = "llm_intercept"
EVENTS = "events.jsonl"
REQUESTS = "requests.jsonl"
_SILENCE_S = 60.0
_FIELDS = (
    *(
        "request_id",
        "project",
        "token",
        "client",
        "provider",
        "operation",
        "model",
        "stream",
        "status",
        "outcome",
    ),
    *("error_type", "error_message", "input_tokens", "output_tokens", "cost_nanos", "duration_ms", "ttft_ms"),
    *("cache", "saved_tokens", "saved_nanos"),
)


class Clean(logging.Filter):
    """Nothing that looks like a key goes into a log: exceptions repeat what they choked on.

    Of others only warnings are looked at: mitmproxy has a line for each connection.
    """

    def filter(self, record: logging.LogRecord) -> logging.LogRecord:
        if record.levelno < logging.WARNING and not record.name.startswith(_OURS):
            return record
        text = record.getMessage()
        if record.exc_info and (error := record.exc_info[1]) is not None:
            text = f"{text}\n{traced(error)}"
        elif (clean := said(text)) != text:
            text = clean
        else:
            return record
        record = copy.copy(record)
        record.msg, record.args, record.exc_info, record.exc_text = said(text), None, None, None
        return record


class Logs:
    """Both files. Events go through a queue, so that the event loop never waits for the disk."""

    def __init__(self, folder: Path, settings: LogSettings) -> None:
        self._logger = logging.getLogger(_OURS)
        self._logger.setLevel(settings.level.upper())
        events = _rotating(folder / EVENTS, settings)
        events.setFormatter(
            OrjsonFormatter(
                "{levelname}{name}{message}", style="{", timestamp=True, rename_fields={"levelname": "level"}
            )
        )
        pending: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        self._entry = logging.handlers.QueueHandler(pending)
        self._listener = logging.handlers.QueueListener(pending, events)
        self._listener.start()
        self._clean = Clean()
        self._entry.addFilter(self._clean)
        self._logger.addHandler(self._entry)
        for handler in logging.getLogger().handlers:  # of the terminal
            handler.addFilter(self._clean)
        self._events = events
        self._requests = _rotating(folder / REQUESTS, settings) if settings.requests else None

    def write(self, rows: Iterable[RequestRow]) -> None:
        """One JSON line for each row; called in batches by the writer's thread."""
        if self._requests is None:
            return
        lines = [orjson.dumps(_line(row)).decode() for row in rows]
        if lines:
            self._requests.emit(logging.makeLogRecord({"msg": "\n".join(lines), "levelno": logging.INFO}))

    def close(self) -> None:
        self._logger.removeHandler(self._entry)
        for handler in logging.getLogger().handlers:
            handler.removeFilter(self._clean)
        self._listener.stop()
        self._events.close()
        if self._requests is not None:
            self._requests.close()


class _Rotating(logging.handlers.RotatingFileHandler):
    """Files that only their owner can read, wherever they are copied to."""

    _silent_until = 0.0

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk is said in a sentence, once in a while, not with a stack for each line."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + _SILENCE_S
            print(f"{self.baseFilename} cannot be written: {error.strerror}", file=sys.stderr)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what it could not write is lost
            super().close()


def _rotating(path: Path, settings: LogSettings) -> _Rotating:
    return _Rotating(
        path, maxBytes=settings.max_mb * 1_000_000, backupCount=settings.backups, encoding="utf-8", delay=True
    )


def _line(row: RequestRow) -> dict[str, object]:
    line: dict[str, object] = {
        "ts": datetime.fromtimestamp(row.id / 1e6, UTC).isoformat(timespec="milliseconds")
    }
    for name in _FIELDS:
        value = getattr(row, name)
        if value not in ("", None):
            line[name] = value
    return line
