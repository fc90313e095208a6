"""What the books say of certain calls: asked when a process died before it could settle them on limits."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import RequestRow

_COLUMNS = (
    *("id", "request_id", "operation", "outcome", "attempts", "phases", "usage_source"),
    *("input_tokens", "output_tokens", "cost_nanos"),
)
_AT_ONCE = 500


def settled(usage_db: Path, calls: Sequence[str]) -> list[RequestRow]:
    """As far as limits need it of their rows; calls that have none are left out."""
    with closing(connect(usage_db, readonly=True)) as connection:
        found: list[RequestRow] = []
        for start in range(0, len(calls), _AT_ONCE):
            found += _rows(connection, calls[start : start + _AT_ONCE])
        return found


def _rows(connection: sqlite3.Connection, calls: Sequence[str]) -> list[RequestRow]:
    rows = connection.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM requests"  # noqa: S608 - our own names, and question marks
        f" WHERE request_id IN ({','.join('?' * len(calls))})",
        tuple(calls),
    )
    return [RequestRow(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]
