"""`bodies.db`: captured bodies, redacted, capped, compressed. The writer thread writes, the dashboard reads.

Which calls are captured is decided before (`capture.bodies`, the project's own mode).
"""

import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from llm_intercept.store.migrate import connect
from llm_intercept.store.redaction import Redaction

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


@dataclass(frozen=True, slots=True)
class CapturePolicy:
    """How bodies are kept; see `CaptureSettings`."""

    max_bytes: int = 1_000_000
    retention_days: int = 30
    redact: Redaction = field(default_factory=Redaction)


def write_bodies(
    connection: sqlite3.Connection, policy: CapturePolicy, batch: Iterable[tuple[int, Iterable[Body]]]
) -> None:
    """Stores the bodies of some rows (by `requests.id`) in one transaction."""
    values = [(row_id, *_packed(body, policy)) for row_id, bodies in batch for body in bodies]
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


def expire_bodies(connection: sqlite3.Connection, policy: CapturePolicy, now_us: int) -> int:
    """Deletes what is older than the retention, in short transactions; returns how many bodies went."""
    oldest = now_us - policy.retention_days * _DAY_US
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


def _packed(body: Body, policy: CapturePolicy) -> tuple[str, str, int, int, bytes]:
    """Redacted before it is cut, so that no half of a secret remains at the end."""
    size = max(body.size, len(body.content))
    # A margin beyond the cap keeps the work bounded for a body that is far too large.
    clean = policy.redact(body.content[: policy.max_bytes + 16_384])
    kept = clean[: policy.max_bytes]
    truncated = size > policy.max_bytes or len(clean) > len(kept) or size > len(body.content)
    return body.side, body.content_type, size, int(truncated), zlib.compress(kept, 6)
