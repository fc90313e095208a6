"""The words that reports are made of: measures, dimensions, filters. One definition for rollups and raw rows.

Every report takes a `Scope`, by itself or in its `Filters`, and has no default for it: whose calls may be
counted is decided by the caller, and becomes SQL in `Scope.clause` and nowhere else.
A measure must mean the same here, in a raw row, as in the rollup column of its name (`store/rollup.py`).
"""

import json
import sqlite3
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from llm_intercept.store.rollup import BUCKETS, LATENCY_BOUNDS_MS
from llm_intercept.store.rows import CACHE_ASKED, ERROR_OUTCOMES

type Dimension = Literal["project", "token", "provider", "model"]
type RowDimension = Literal["user", "credential", "listener", "outcome"]
type Row = dict[str, object]

DIMENSIONS: tuple[Dimension, ...] = ("project", "token", "provider", "model")
ROLLED = (*DIMENSIONS, "user", "credential")  # what the rollups know; anything else is asked of the calls
ERRORS = ", ".join(f"'{outcome}'" for outcome in sorted(ERROR_OUTCOMES))
_CACHE_ASKED = ", ".join(f"'{what}'" for what in sorted(CACHE_ASKED))
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
    "cache_hits": "cache = 'hit'",
    "cache_asked": f"cache IN ({_CACHE_ASKED})",
    "saved_nanos": "CASE cache WHEN 'hit' THEN saved_nanos END",
}


def bucket_number(kind: str) -> str:
    """Which bucket of the histogram a raw row falls into; -1 for none. With few comparisons: most of what
    reading rows takes is this."""

    def between(low: int, high: int) -> str:
        if low == high:
            return str(low)
        middle = (low + high) // 2
        bound = LATENCY_BOUNDS_MS[middle]
        below, above = between(low, middle), between(middle + 1, high)
        return f"CASE WHEN {kind}_ms <= {bound} THEN {below} ELSE {above} END"

    return f"CASE WHEN {kind}_ms IS NULL THEN -1 ELSE {between(0, BUCKETS - 1)} END"


KINDS = ("duration", "ttft")
HISTOGRAMS = tuple(f"{kind}_{number}" for kind in KINDS for number in range(BUCKETS))


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose calls somebody may see: all, or those of some projects and of some (project, token)."""

    everything: bool = False
    projects: frozenset[str] = frozenset()
    tokens: frozenset[tuple[str, str]] = frozenset()

    def clause(self) -> tuple[str, list[str]]:
        """A condition that begins with AND, and its parameters; for raw rows and rollups alike."""
        if self.everything:
            return "", []
        by_token = "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
        condition = f" AND (project IN (SELECT value FROM json_each(?)) OR (project, token) IN ({by_token}))"  # noqa: S608
        return condition, [json.dumps(sorted(self.projects)), json.dumps(sorted(self.tokens))]


EVERYTHING = Scope(everything=True)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a report is restricted to; "" means any. The outcome `error` stands for all that count as one.

    `failure` is one kind of what was simulated on purpose, or `any`; `status` 429 or 4xx; `stream` yes or no;
    `cache` hit, stored, miss or bypass.
    """

    scope: Scope
    project: str = ""
    token: str = ""
    provider: str = ""
    model: str = ""
    outcome: str = ""
    listener: str = ""
    failure: str = ""
    user: str = ""
    credential: str = ""
    status: str = ""
    stream: str = ""
    cache: str = ""

    def clauses(self) -> tuple[str, list[str]]:
        """Conditions that begin with AND, and their parameters."""
        conditions, values = "", []
        for name, value in self.chosen().items():
            condition, parameters = _condition(name, value)
            conditions += condition
            values += parameters
        scope, parameters = self.scope.clause()
        return conditions + scope, [*values, *parameters]

    @property
    def rolled(self) -> "Filters":
        """As much of it as the rollups know."""
        return Filters(self.scope, **{n: value for n, value in self.chosen().items() if n in ROLLED})

    @property
    def needs_rows(self) -> bool:
        """Whether it asks for something that the rollups do not know."""
        return any(name not in ROLLED for name in self.chosen())

    def chosen(self) -> dict[str, str]:
        """What was asked for, without the scope."""
        return {name: value for name in FILTER_NAMES if (value := getattr(self, name))}


def _condition(name: str, value: str) -> tuple[str, list[str]]:
    match name, value:
        case "outcome", "error":
            return f" AND outcome IN ({ERRORS})", []
        case "failure", "any":
            return " AND failure <> ''", []
        case "failure", _:  # a call can have several
            return " AND instr(',' || failure || ',', ',' || ? || ',')", [value]
        case "cache", "hit":  # there is an index of these
            return " AND cache = 'hit'", []
        case "stream", _:
            return f" AND stream {'=' if value == 'no' else '<>'} 0", []
        case "status", _:
            same = "status / 100 = CAST(? AS INTEGER)" if value.endswith("xx") else "status = ?"
            # There is an index of those from 400 on, which is only used where that is said.
            return f" AND {same}" + " AND status >= 400" * (value >= "4"), [value.removesuffix("xx")]
    return f" AND {name} = ?", [value]


FILTER_NAMES = tuple(field.name for field in fields(Filters) if field.name != "scope")


def connect(path: Path) -> sqlite3.Connection:
    """A read-only connection; the file must exist."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
