"""What the operations on usage answer."""

from dataclasses import asdict
from typing import Any

from pydantic import Field

from llm_dashboard.api.operation import View
from llm_intercept.store.export import usd
from llm_intercept.store.report_terms import Row, Scope
from llm_intercept.store.reports import Line, Summary


class Totals(View):
    """Sums over calls. Money is in nano-dollars and, exactly, as a text."""

    requests: int
    successful: int
    errors: int
    error_rate: float
    streams: int
    unpriced: int = Field(description="calls with tokens and without a known price; not in the cost")
    input_tokens: int = Field(description="those read from and written to a provider's cache included")
    output_tokens: int = Field(description="reasoning included")
    total_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_nanos: int
    cost_usd: str
    cache_hits: int = Field(description="answered out of the cache; they cost nothing and use no limit up")
    cache_asked: int = Field(description="calls for which the cache was asked: hits are a share of these")
    cache_hit_rate: float | None = Field(description="null where it never was asked")
    saved_nanos: int = Field(description="what the hits would have cost")
    saved_usd: str
    duration_ms_avg: float | None
    duration_ms_p50: float | None
    duration_ms_p95: float | None
    ttft_ms_avg: float | None = Field(description="until the first token")
    ttft_ms_p50: float | None
    ttft_ms_p95: float | None


class UsageLine(Totals):
    """One line of a breakdown."""

    key: str = Field(description="the day, model, project, ... ; empty for none")


class Breakdown(View):
    """Totals by something."""

    by: str
    items: list[UsageLine]


class Costs(View):
    """What costs how much."""

    total: Totals
    by_model: list[UsageLine]
    by_provider: list[UsageLine]
    by_project: list[UsageLine]


class CallView(View):
    """One call."""

    id: int
    request_id: str
    ts: str
    project: str
    token: str
    user: str
    provider: str
    model_requested: str
    model: str
    dialect: str
    operation: str
    stream: bool
    status: int | None
    outcome: str
    error_type: str
    error_message: str
    finish_reason: str
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost_nanos: int | None
    cost_usd: str | None
    priced: bool
    duration_ms: float | None
    ttft_ms: float | None
    attempts: int
    credential: str = Field(description="the name of the provider's key; empty for who is no admin")
    client: str
    client_ip: str
    session_id: str
    listener: str
    route: str
    failure: str
    simulated: bool
    cache: str = Field(description="hit, stored, miss or bypass; empty where it was not asked")
    saved_tokens: int | None = Field(description="of a hit: what the provider would have counted")
    saved_nanos: int | None = Field(description="of a hit: what it would have cost; null: no price is known")
    saved_usd: str | None


class Try(View):
    """One upstream try of a call."""

    number: int
    provider: str
    model: str
    credential: str
    reason: str
    status: int | None
    outcome: str
    error_message: str
    started_us: int
    duration_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_nanos: int | None


class CallDetail(CallView):
    """One call with its tries."""

    tries: list[Try]


class Calls(View):
    """A page of calls."""

    items: list[CallView]
    next_cursor: str | None


class ErrorSummary(View):
    """How many errors."""

    total: int
    errors: int
    error_rate: float


class ErrorGroup(View):
    """Errors of one kind."""

    provider: str
    outcome: str
    status: int | None
    error_type: str
    requests: int
    last_id: int


class Errors(View):
    """Errors, counted and listed."""

    summary: ErrorSummary
    groups: list[ErrorGroup]
    items: list[CallView]


class Export(View):
    """A file; see the content type."""


def totals(found: Summary) -> dict[str, Any]:
    return {
        **asdict(found),
        "successful": found.requests - found.errors,
        "error_rate": found.error_rate,
        "total_tokens": found.total_tokens,
        "cost_usd": usd(found.cost_nanos),
        "cache_hit_rate": found.cache_hit_rate,
        "saved_usd": usd(found.saved_nanos),
    }


def line_view(line: Line) -> dict[str, Any]:
    return {"key": line.key, **totals(line.summary)}


def call_view(row: Row, scope: Scope) -> dict[str, Any]:
    cost: Any = row["cost_nanos"]
    saved: Any = row["saved_nanos"]
    hidden = {} if scope.everything else {"credential": ""}
    return {**row, "cost_usd": usd(cost), "saved_usd": usd(saved), **hidden}
