"""`bodies.db`: captured bodies, redacted, capped, compressed. The writer thread writes, the dashboard reads.

Which calls are captured is decided before (`capture.bodies`, the project's own mode).
"""

import re
import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from llm_intercept.exchange import Exchange
from llm_intercept.settings import CaptureSettings
from llm_intercept.store.migrate import connect
from llm_intercept.store.redaction import Redaction
from llm_intercept.wire import spread

# What is read beyond the cap: a secret that begins before it is seen whole.
MARGIN = 16_384
# What comes in pieces, and has words in several of them.
STREAMS = re.compile(
    r"text/event-stream|application/(x-ndjson|jsonl|vnd\.amazon\.eventstream)", re.IGNORECASE
)
_CHUNK = 500
_DAY_US = 86_400_000_000

type Side = Literal["request", "response"]


@dataclass(frozen=True, slots=True)
class Body:
    """A body to keep, without content-encoding. `size`: what it was, if `content` is only its beginning."""

    side: Side
    content_type: str
    content: bytes = field(repr=False)
    size: int = 0


@dataclass(frozen=True, slots=True)
class StoredBody:
    """A body as it is shown."""

    side: str
    content_type: str
    size: int
    truncated: bool
    text: str


class Capture:
    """Which bodies are kept, and how: the settings, where a project does not say otherwise."""

    def __init__(self, settings: CaptureSettings) -> None:
        self._mode: str = settings.bodies
        self.max_bytes = settings.max_bytes
        self.retention_days = settings.retention_days
        self.redact = Redaction(settings.redact)

    def keeps(self, project_mode: str | None, failed: bool) -> bool:
        """Whether the bodies of a call are to be kept, once it is known how it ended."""
        mode = project_mode or self._mode
        return mode == "all" or (mode == "errors" and failed)

    def wanted(self, exchange: Exchange, status: int) -> int:
        """How many bytes of the answer to retain when its headers have come."""
        mode = exchange.principal.capture if exchange.principal else None
        return self.max_bytes if self.keeps(mode, status >= 400) else 0


def write_bodies(
    connection: sqlite3.Connection, capture: Capture, batch: Iterable[tuple[int, Iterable[Body]]]
) -> None:
    """Stores the bodies of some rows (by `requests.id`) in one transaction."""
    values = [(row_id, *_packed(body, capture)) for row_id, bodies in batch for body in bodies]
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(
            "INSERT OR REPLACE INTO bodies (request_id, side, content_type, size, truncated, codec, content)"
            " VALUES (?, ?, ?, ?, ?, 'zlib', ?)",
            values,
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def expire_bodies(connection: sqlite3.Connection, capture: Capture, now_us: int) -> int:
    """Deletes what is older than the retention, in short transactions; returns how many bodies went."""
    oldest = now_us - capture.retention_days * _DAY_US
    gone = 0
    while True:
        cursor = connection.execute(
            "DELETE FROM bodies WHERE request_id IN"
            " (SELECT request_id FROM bodies WHERE request_id < ? ORDER BY request_id LIMIT ?)",
            (oldest, _CHUNK),
        )
        gone += cursor.rowcount
        if cursor.rowcount == 0:
            break
    if gone:
        # Each step of this pragma frees one page, so it has to be fetched to its end.
        connection.execute("PRAGMA incremental_vacuum").fetchall()
    return gone


def read_bodies(path: Path, request_id: int) -> list[StoredBody]:
    """What was captured of a call (`requests.id`): request first. Empty if nothing was."""
    with closing(connect(path, readonly=True)) as connection:
        rows = connection.execute(
            "SELECT side, content_type, size, truncated, content FROM bodies"
            " WHERE request_id = ? ORDER BY side",
            (request_id,),
        ).fetchall()
    return [
        StoredBody(side, kind, size, bool(truncated), zlib.decompress(content).decode("utf-8", "replace"))
        for side, kind, size, truncated, content in rows
    ]


def _packed(body: Body, capture: Capture) -> tuple[str, str, int, int, bytes]:
    """Redacted before it is cut, so that no half of a secret remains at the end."""
    size = max(body.size, len(body.content))
    clean = capture.redact(body.content[: capture.max_bytes + MARGIN])
    if body.side == "response" and STREAMS.match(body.content_type):
        clean = spread.without(clean, capture.redact.find)
    kept = clean[: capture.max_bytes]
    truncated = size > capture.max_bytes or len(clean) > len(kept) or size > len(body.content)
    return body.side, body.content_type, size, int(truncated), zlib.compress(kept, 6)
