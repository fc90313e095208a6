"""`usage.db`: how fast targets have been lately, so that a restart and `route explain` know it as well."""

import sqlite3
from contextlib import closing
from pathlib import Path

from llm_intercept.errors import StoreError
from llm_intercept.store.migrate import connect

LATELY_US = 3_600 * 1_000_000
MOST = 2_000

type Speed = tuple[str, str, float]
"""(provider, model, milliseconds to the first token)"""

# A call's own time to the first token is that of its target where there was no other try.
_SQL = """
SELECT a.provider, a.model, CASE WHEN r.attempts = 1 THEN coalesce(r.ttft_ms, a.ttfb_ms) ELSE a.ttfb_ms END
FROM attempts a JOIN requests r ON r.id = a.request_id
WHERE a.request_id > ? AND a.outcome = 'ok' AND a.ttfb_ms IS NOT NULL AND r.failure = ''
ORDER BY a.request_id DESC LIMIT ?
"""


def read(path: Path, now_us: int) -> list[Speed]:
    """Of the last hour, the newest last."""
    try:
        with closing(connect(path, readonly=True)) as connection:
            return connection.execute(_SQL, (now_us - LATELY_US, MOST)).fetchall()[::-1]
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
