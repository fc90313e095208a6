"""Calls for commands to report on."""

from contextlib import closing
from pathlib import Path

from llm_intercept.home import Home
from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.usage import write_batch

DAY = 86_400_000_000
START = 1_795_000_000_000_000  # 2026-11-18


def call(number: int, **values: object) -> RequestRow:
    """The n-th of one call a day."""
    given = {
        "project": "demo",
        "token": "laptop",
        "provider": "openai",
        "model": "gpt-4o",
        "outcome": "ok",
        "status": 200,
        "input_tokens": 100,
        "output_tokens": 20,
        "cost_nanos": 450_000,
        "priced": 1,
        "duration_ms": 250.0,
        "ttft_ms": 80.0,
    }
    return RequestRow(id=START + number * DAY, request_id=f"id-{number}", **(given | values))  # type: ignore[arg-type]


def write(home: Path, *rows: RequestRow) -> None:
    place = Home(home)
    place.ensure()
    with closing(connect(place.usage_db)) as connection:
        write_batch(connection, rows)
