"""`usage.db`: who gave an answer that a conversation goes on from, and how long that is by now.

Read by the proxy, on its event loop.
"""

import logging
import sqlite3
from pathlib import Path

from llm_intercept.errors import StoreError
from llm_intercept.store.migrate import connect

log = logging.getLogger(__name__)

# As the index requests_response has it: without the dialect it would not be used.
_ISSUER = (
    "SELECT provider, credential, coalesce(input_tokens, 0) + coalesce(output_tokens, 0) FROM requests"
    " WHERE response_id = ? AND response_id <> '' AND dialect = 'openai_responses' AND project = ?"
    " ORDER BY id DESC LIMIT 1"
)


class Issuers:
    """One read-only connection, opened with the first question."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def of(self, project: str, response_id: str) -> tuple[str, str] | None:
        """(provider, credential); None when there is no such row, or it cannot be read: it is but a hint."""
        row = self._row(project, response_id)
        return (row[0], row[1]) if row else None

    def tokens(self, project: str, response_id: str) -> int:
        """Of the conversation up to the end of this answer; 0 where that is not known."""
        row = self._row(project, response_id)
        return row[2] if row else 0

    def _row(self, project: str, response_id: str) -> tuple[str, str, int] | None:
        try:
            if self._connection is None:
                self._connection = connect(self._path, readonly=True)
            row: tuple[str, str, int] | None
            row = self._connection.execute(_ISSUER, (response_id, project)).fetchone()
        except (sqlite3.Error, StoreError, UnicodeEncodeError) as error:
            log.warning("the issuer of an answer cannot be looked up: %s", error)
            return None
        return row

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
