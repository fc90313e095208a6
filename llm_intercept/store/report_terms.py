"""The words that reports are made of: measures, dimensions, filters. One definition for rollups and raw rows.

A measure must mean the same here, in a raw row, as in the rollup column of its name (`store/rollup.py`).
"""

import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from llm_intercept.store.rollup import BUCKETS, LATENCY_BOUNDS_MS
from llm_intercept.store.rows import ERROR_OUTCOMES

type Dimension = Literal["project", "token", "provider", "model"]
type Row = dict[str, object]

DIMENSIONS: tuple[Dimension, ...] = ("project", "token", "provider", "model")
ERRORS = ", ".join(f"'{outcome}'" for outcome in sorted(ERROR_OUTCOMES))
# measure -> what it is in terms of a raw row; in the rollups it is a column of that name
MEASURES: dict[str, str] = {
    "requests": "1",
    "errors": f"outcome IN ({ERRORS})",
    "streams": "stream <> 0",
    "unpriced": "NOT priced AND (input_tokens > 0 OR output_tokens > 0)",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "cost_nanos": "cost_nanos",
    "duration_ms_sum": "duration_ms",
    "duration_count": "duration_ms IS NOT NULL",
    "ttft_ms_sum": "ttft_ms",
    "ttft_count": "ttft_ms IS NOT NULL",
}


def _histogram(kind: str) -> dict[str, str]:
    """`duration_3` -> the raw condition of falling into the third bucket."""
    edges = [None, *LATENCY_BOUNDS_MS, None]
    conditions = {}
    for number in range(BUCKETS):
        low, high = edges[number], edges[number + 1]
        parts = [f"{kind}_ms > {low}"] * (low is not None) + [f"{kind}_ms <= {high}"] * (high is not None)
        conditions[f"{kind}_{number}"] = " AND ".join(parts)
    return conditions


HISTOGRAMS = _histogram("duration") | _histogram("ttft")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a report is restricted to; "" means any. The outcome `error` stands for all that count as one.

    `failure` is one kind of what was simulated on purpose, or `any`.
    """

    project: str = ""
    token: str = ""
    provider: str = ""
    model: str = ""
    outcome: str = ""
    listener: str = ""
    failure: str = ""

    def clauses(self) -> tuple[str, list[str]]:
        """Conditions that begin with AND, and their parameters."""
        named = {name: value for name, value in asdict(self).items() if value}
        conditions = {name: f" AND {name} = ?" for name in named}
        if named.get("outcome") == "error":
            del named["outcome"]
            conditions["outcome"] = f" AND outcome IN ({ERRORS})"
        if named.get("failure") == "any":
            del named["failure"]
            conditions["failure"] = " AND failure <> ''"
        elif "failure" in named:  # a call can have several
            conditions["failure"] = " AND instr(',' || failure || ',', ',' || ? || ',')"
        return "".join(conditions.values()), list(named.values())


ANY = Filters()


def connect(path: Path) -> sqlite3.Connection:
    """A read-only connection; the file must exist."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
