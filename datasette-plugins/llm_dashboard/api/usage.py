"""Usage: the numbers of store/reports.py over any filter, of the calls that whoever asks may see."""

import sqlite3
from typing import Any, Literal

from datasette.utils.asgi import Request
from pydantic import Field, model_validator

from llm_dashboard.api.exporting import FILES, Send, send_all
from llm_dashboard.api.fields import Text, span, time_zone
from llm_dashboard.api.operation import Call, Model, Nothing, Table
from llm_dashboard.api.paging import page, place_of
from llm_dashboard.api.problem import Problem
from llm_dashboard.api.usage_views import (
    Breakdown,
    CallDetail,
    Calls,
    Costs,
    Errors,
    Export,
    Totals,
    call_view,
    line_view,
    totals,
)
from llm_intercept.errors import Forbidden
from llm_intercept.store import report_days, reports
from llm_intercept.store.report_terms import Dimension, RowDimension, Scope
from llm_intercept.store.report_time import Window
from llm_intercept.store.reports import Filters

table = Table("usage", "Calls, tokens, money and time: admins see all, others their projects and tokens.")
_RECENT = "usage.recent"


class UsageFilters(Model):
    """Which calls. All of them hold at once; what is left out is any."""

    since: str = Field("", max_length=40, description="7d, 24h, today, 2026-11-01, 2026-11-01T10:30+01:00")
    until: str = Field("", max_length=40, description="in the same words; a day counts whole")
    start_date: str = Field(
        "", pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", description="instead of since: a day"
    )
    end_date: str = Field("", pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", description="the last day, whole")
    timezone: str = Field("UTC", max_length=60, description="whose days these are: Europe/Berlin")
    project: Text = ""
    token: Text = ""
    user: Text = ""
    provider: Text = ""
    model: Text = ""
    outcome: Text = Field("", description="ok, provider_error, ...; error stands for all that count as one")
    status: str = Field("", pattern=r"^([1-5][0-9]{2}|[1-5]xx)?$", description="429, or 4xx")
    listener: Text = ""
    credential: Text = Field("", description="the name of a provider's key; admins only")
    failure: Text = Field("", description="what was simulated on purpose; any stands for all")
    stream: bool | None = None
    cache: Literal["", "hit", "stored", "miss", "bypass"] = Field(
        "", description="what the cache of answers did; bypass: the client said not to ask it"
    )

    @model_validator(mode="after")
    def _check_once(self) -> "UsageFilters":
        if (self.since and self.start_date) or (self.until and self.end_date):
            raise ValueError("give either since and until, or start_date and end_date")
        return self


class RecentFilters(UsageFilters):
    """Which calls, in pages."""

    limit: int = Field(50, ge=1, le=200)
    cursor: str = Field("", max_length=1000)


class SeriesFilters(UsageFilters):
    """Which calls, and how finely."""

    interval: Literal["hour", "day"] = "day"


class ExportFilters(UsageFilters):
    """Which calls, and in which form."""

    format: Literal["csv", "json", "ndjson"] = "csv"


def window(call: Call[Any, Any]) -> Window:
    asked: UsageFilters = call.query
    since = ("start_date", asked.start_date) if asked.start_date else ("since", asked.since)
    until = ("end_date", asked.end_date) if asked.end_date else ("until", asked.until)
    return span(since, until, time_zone(asked.timezone), call.now_us)


def filters_of(call: Call[Any, Any], scope: Scope) -> Filters:
    asked: UsageFilters = call.query
    if asked.credential and not scope.everything:
        raise Forbidden("only admins see which of a provider's keys was used")
    stream = "" if asked.stream is None else "yes" if asked.stream else "no"
    names = ("project", "token", "user", "provider", "model", "outcome", "status", "listener", "credential")
    given = {name: getattr(asked, name) for name in names}
    return Filters(scope, failure=asked.failure, stream=stream, cache=asked.cache, **given)


def _declared(path: str, summary: str, answer: type[Any], command: str, **more: Any) -> Any:
    values = {"where": "usage", "scope": "usage", "query": UsageFilters, "command": command, **more}
    return table.get(path, summary, answer, **values)


@_declared("/usage/summary", "Totals", Totals, "usage summary")
def summary(conn: sqlite3.Connection, call: Call[UsageFilters, Nothing], scope: Scope) -> object:
    """Calls that could not be priced are counted and not in the cost."""
    return totals(reports.summary(conn, window(call), filters_of(call, scope)))


@_declared("/usage/daily", "By day", Breakdown, "usage daily")
def daily(conn: sqlite3.Connection, call: Call[UsageFilters, Nothing], scope: Scope) -> object:
    """One line for each day of the time zone, from the first call on, without gaps."""
    return _over_time(conn, call, scope, "day")


@_declared("/usage/hourly", "By hour", Breakdown, "usage hourly")
def hourly(conn: sqlite3.Connection, call: Call[UsageFilters, Nothing], scope: Scope) -> object:
    """One line for each hour, from the first call on, without gaps."""
    return _over_time(conn, call, scope, "hour")


@_declared("/usage/timeseries", "Over time", Breakdown, "usage daily", query=SeriesFilters)
def timeseries(conn: sqlite3.Connection, call: Call[SeriesFilters, Nothing], scope: Scope) -> object:
    """The same by days or hours, for charts."""
    return _over_time(conn, call, scope, call.query.interval)


def _over_time(
    conn: sqlite3.Connection, call: Call[Any, Any], scope: Scope, interval: Literal["hour", "day"]
) -> object:
    zone, filters = time_zone(call.query.timezone), filters_of(call, scope)
    lines = report_days.over_time(conn, window(call), interval, filters, zone)
    return {"by": interval, "items": [line_view(line) for line in lines]}


def _by(dimension: Dimension | RowDimension, path: str, summary_: str, command: str, about: str) -> None:
    def breakdown(conn: sqlite3.Connection, call: Call[UsageFilters, Nothing], scope: Scope) -> object:
        if dimension == "credential" and not scope.everything:
            raise Forbidden("only admins see which of a provider's keys was used")
        lines = reports.breakdown(conn, window(call), dimension, filters_of(call, scope))
        return {"by": dimension, "items": [line_view(line) for line in lines]}

    breakdown.__name__ = f"by_{path}"
    breakdown.__doc__ = about
    _declared(f"/usage/by-{path}", summary_, Breakdown, command)(breakdown)


_by("credential", "key", "By provider's key", "usage by-key", "By the name of the stored key. Admins only.")
_by("provider", "provider", "By provider", "usage by-provider", "The most expensive first.")
_by("model", "model", "By model", "usage by-model", "The most expensive first.")
_by("project", "project", "By project", "usage by-project", "The most expensive first.")
_by("token", "token", "By token", "usage by-token", "By name; `own:...` stands for a client's own key.")
_by("user", "user", "By user", "usage by-user", "By the name or label on the token.")


@_declared("/usage/cost-breakdown", "What costs how much", Costs, "usage by-model")
def cost_breakdown(conn: sqlite3.Connection, call: Call[UsageFilters, Nothing], scope: Scope) -> object:
    """By model, by provider and by project, the most expensive first."""
    span, filters = window(call), filters_of(call, scope)
    found = reports.leaders(conn, span, filters)
    named = {
        f"by_{name}": [line_view(line) for line in found[name]] for name in ("model", "provider", "project")
    }
    return {"total": totals(reports.total(found["provider"])), **named}


@_declared("/usage/errors", "Errors", Errors, "usage recent --errors")
def errors(conn: sqlite3.Connection, call: Call[UsageFilters, Nothing], scope: Scope) -> object:
    """How many, of which kind, and the last of them."""
    span, filters = window(call), filters_of(call, scope)
    found = reports.summary(conn, span, filters)
    return {
        "summary": {"total": found.requests, "errors": found.errors, "error_rate": found.error_rate},
        "groups": reports.error_groups(conn, span, filters, 50),
        "items": [call_view(row, scope) for row in reports.errors(conn, span, filters, 50)],
    }


@_declared(
    "/usage/recent",
    "The last calls",
    Calls,
    "usage recent",
    query=RecentFilters,
    gives={"request": "/items/0/request_id"},
)
def recent(conn: sqlite3.Connection, call: Call[RecentFilters, Nothing], scope: Scope) -> object:
    """Newest first, page by page."""
    asked, span = call.query, window(call)
    place = place_of(asked.cursor, _RECENT, int)
    before = min(span.until, int(place[0])) if place else span.until
    filters = filters_of(call, scope)
    found = reports.recent(conn, filters, span.since - 1, asked.limit + 1, before)
    shown: Any = page(found, asked.limit, _RECENT, lambda row: [row["id"]])  # type: ignore[list-item]
    return {**shown, "items": [call_view(row, scope) for row in shown["items"]]}


@_declared("/usage/requests/{request}", "One call", CallDetail, "usage recent", query=Nothing, scope="read")
def request_(conn: sqlite3.Connection, call: Call[Nothing, Nothing], scope: Scope) -> object:
    """By its request id, with every try."""
    wanted = call.path["request"]
    if wanted.isdigit() and len(wanted) > 18:
        raise Problem("not_found", "There is no such call.")
    found = reports.request(conn, wanted, scope)
    tries: Any = found["tries"]
    hidden = {} if scope.everything else {"credential": ""}
    return {**call_view(found, scope), "tries": [{**one, **hidden} for one in tries]}


@table.get(
    "/usage/export",
    "All calls",
    Export,
    where="stream",
    scope="usage",
    query=ExportFilters,
    command="export",
    files=FILES,
)
async def export(
    call: Call[ExportFilters, Nothing], scope: Scope, request: Request, send: Send, id_: str
) -> None:
    """As CSV, JSON or NDJSON, without a limit on rows."""
    span, filters = window(call), filters_of(call, scope)
    await send_all(call.stage, request, send, id_, call.query.format, span, filters)
