"""Rows to test with."""

from typing import Any

from llm_intercept.identifiers import new_request_id
from llm_intercept.store.rows import AttemptRow, RequestRow

START_US = 1_795_166_000_000_000  # 2026-11-20T09:13:20Z


def row(number: int = 0, **values: Any) -> RequestRow:
    """The `number`th of a sequence of unremarkable calls, one millisecond apart."""
    row_id = values.pop("id", START_US + number * 1000)
    known: dict[str, Any] = {
        "request_id": new_request_id(START_US + number * 1000, number.to_bytes(8, "big")),
        "project": f"project-{number % 3}",
        "token": f"token-{number % 7}",
        "provider": "openai",
        "host": "api.openai.com",
        "model": f"gpt-{number % 2}",
        "status": 200,
        "outcome": "ok",
        "input_tokens": 100 + number,
        "output_tokens": 10,
        "cost_nanos": 1_000 + number,
        "priced": 1,
        "duration_ms": 20.0 + number,
        "tries": [AttemptRow(row_id, 1, "openai", "api.openai.com", "default", status=200, outcome="ok")],
    }
    return RequestRow(id=row_id, **{**known, **values})
