import sqlite3

import pytest

from llm_intercept.errors import StoreError
from llm_intercept.home import Home
from llm_intercept.store import speeds
from llm_intercept.store.rows import AttemptRow, RequestRow
from llm_intercept.store.usage import write_batch
from tests.store.example import START_US, row


def measured(
    number: int, *tries: tuple[str, float | None, str], ttft: float | None = None, failure: str = ""
) -> RequestRow:
    """A call with tries of (provider, time to the first byte, outcome)."""
    found = row(number, ttft_ms=ttft, attempts=len(tries), failure=failure)
    found.tries = [
        AttemptRow(found.id, n, provider, "h", "main", "m", outcome=outcome, ttfb_ms=ttfb)
        for n, (provider, ttfb, outcome) in enumerate(tries, 1)
    ]
    return found


def test_the_speeds_of_the_last_hour(usage_db: sqlite3.Connection, home: Home) -> None:
    hour = speeds.LATELY_US // 1000
    calls = [
        measured(0, ("old", 9.0, "ok")),
        measured(hour + 1, ("openai", 5.0, "ok"), ttft=50.0),
        measured(hour + 2, ("openai", 6.0, "ok")),
        measured(hour + 3, ("openai", None, "connect_failed"), ("groq", 7.0, "ok"), ttft=900.0),
        measured(hour + 4, ("openai", 8.0, "provider_error")),
        measured(hour + 5, ("openai", 900.0, "ok"), failure="response_delay"),
    ]
    write_batch(usage_db, calls)
    found = speeds.read(home.usage_db, START_US + speeds.LATELY_US + 10_000)
    assert found == [("openai", "m", 50.0), ("openai", "m", 6.0), ("groq", "m", 7.0)]


def test_only_so_many(usage_db: sqlite3.Connection, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "MOST", 2)
    write_batch(usage_db, [measured(n, ("openai", float(n), "ok")) for n in range(5)])
    assert [speed for _, _, speed in speeds.read(home.usage_db, START_US)] == [3.0, 4.0]


def test_a_database_that_cannot_be_read(home: Home) -> None:
    home.usage_db.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"usage\.db"):
        speeds.read(home.usage_db, START_US)
