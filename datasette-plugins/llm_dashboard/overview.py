"""The first page: today against yesterday, cost and requests over time, who spends, what happens now."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast

from datasette import Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import access, charts, clock, config, query
from llm_intercept.errors import ConfigError
from llm_intercept.policy.failure_texts import described
from llm_intercept.store import report_time, reports
from llm_intercept.store.report_time import DAY, HOUR, Window
from llm_intercept.store.reports import Dimension, Filters, Scope, Summary

GROUPS: tuple[Dimension, ...] = ("project", "model", "provider")
DEFAULT_RANGE = "7d"
FEED = 12
TOP = 6
SPARKS = ("requests", "errors", "input_tokens", "output_tokens", "cost_nanos")


@dataclass(frozen=True, slots=True)
class Today:
    """Today so far, yesterday until the same time of day, and the last 24 hours for the small lines."""

    today: Summary
    yesterday: Summary
    sparks: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Period:
    """What the range picker decides about. `since` is its beginning as the list of requests reads it."""

    since: str
    total: Summary
    charts: list[charts.Chart]
    leaders: dict[Dimension, list[reports.Line]]


def today(conn: sqlite3.Connection, scope: Scope, now: int) -> Today:
    mine = Filters(scope)
    start = report_time.floor(now, DAY)
    # Whole hours only: the current one would end every line with a dip.
    hour = report_time.floor(now, HOUR)
    lines = reports.timelines(conn, Window(hour - 24 * HOUR, hour), mine, "hour", SPARKS)
    return Today(
        reports.summary(conn, Window(start, start + DAY), mine),
        reports.summary(conn, Window(start - DAY, now - DAY), mine),
        {name: series.values[""] for name, series in lines.items()},
    )


def period(conn: sqlite3.Connection, scope: Scope, now: int, range_name: str, group: Dimension) -> Period:
    mine = Filters(scope)
    span, interval = report_time.preset(range_name, now)
    leaders = reports.leaders(conn, span, mine)
    lines = reports.timelines(conn, span, mine, interval, ("cost_nanos", "requests"), group)
    order = [line.key for line in leaders[group]]
    return Period(
        report_time.bucket(span.since, interval) + (":00" if interval == "hour" else ""),
        reports.total(leaders["provider"]),
        [
            charts.chart("cost", "Cost", "usd", lines["cost_nanos"], order),
            charts.chart("requests", "Requests", "count", lines["requests"], order),
        ],
        leaders,
    )


async def page(datasette: Datasette, request: Request) -> Response:
    scope = await access.scope(datasette, request)
    now, run = clock.now(), config.usage(datasette).execute_fn
    range_name, group = _choices(request)
    if await run(lambda conn: reports.is_empty(conn, scope)):
        return await _empty(datasette, request)
    day, span, feed, simulating = await asyncio.gather(
        run(lambda conn: today(conn, scope, now)),
        run(lambda conn: period(conn, scope, now, range_name, group)),
        run(lambda conn: reports.recent(conn, Filters(scope), limit=FEED)),
        _simulating(datasette, scope),
    )
    context = {
        "simulating": simulating,
        **_cards(day),
        "period": span,
        "ranges": list(report_time.PRESETS),
        "range": range_name,
        "groups": GROUPS,
        "group": group,
        "calls": feed,
        "signature": _signature(feed),
        "now": now,
        "top": TOP,
    }
    html = await datasette.render_template("llm/overview.html", context, request=request)
    return Response.html(html)


def _choices(request: Request) -> tuple[str, Dimension]:
    range_name, group = request.args.get("range", ""), request.args.get("by", "")
    return (
        range_name if range_name in report_time.PRESETS else DEFAULT_RANGE,
        cast(Dimension, group) if group in GROUPS else "project",
    )


async def _simulating(datasette: Datasette, scope: Scope) -> list[dict[str, str]]:
    """The listeners and projects whose calls fail on purpose at this moment."""
    opened = access.doors(datasette)
    entries = await opened.ask(lambda control: control.failures.list()) if opened else []
    return [
        {"scope": entry.scope, "name": entry.name, "what": "; ".join(described(entry.failures).values())}
        for entry in entries
        if entry.failures.enabled
        and (scope.everything or (entry.scope == "project" and entry.name in scope.projects))
    ]


async def _empty(datasette: Datasette, request: Request) -> Response:
    settings = config.read(datasette)
    context = {"proxy": settings.proxy if settings else ""}
    return Response.html(await datasette.render_template("llm/empty.html", context, request=request))


def _cards(day: Today) -> dict[str, object]:
    return {
        "today": day.today,
        "yesterday": day.yesterday,
        "sparks": {name: charts.sparkline(values) for name, values in _spark_values(day.sparks).items()},
    }


def _spark_values(sparks: dict[str, list[int]]) -> dict[str, list[int]]:
    tokens = [sent + got for sent, got in zip(sparks["input_tokens"], sparks["output_tokens"], strict=True)]
    return {
        "requests": sparks["requests"],
        "errors": sparks["errors"],
        "tokens": tokens,
        "cost": sparks["cost_nanos"],
    }


def _signature(calls: list[reports.Row]) -> str:
    """Changes when a call is added, also one that began earlier than those already shown."""
    return "-".join(str(cast(int, call["id"]) % 1_000_000_000) for call in calls)


async def live(datasette: Datasette, request: Request) -> Response:
    """What changed since `seen`: rows and cards as HTML, so there is one template for both."""
    scope = await access.scope(datasette, request)
    now, run = clock.now(), config.usage(datasette).execute_fn
    calls = await run(lambda conn: reports.recent(conn, Filters(scope), limit=FEED))
    signature = _signature(calls)
    if request.args.get("seen") == signature:
        return Response.json({"signature": signature, "changed": False})
    day = await run(lambda conn: today(conn, scope, now))
    rendered = {
        name: await datasette.render_template(
            f"llm/_{name}.html", {**_cards(day), "calls": calls, "now": now}, request
        )
        for name in ("calls", "cards")
    }
    return Response.json({"signature": signature, "changed": True, **rendered})


async def summary_json(datasette: Datasette, request: Request) -> Response:
    return await _json(
        datasette, request, lambda conn, span, filters: asdict(reports.summary(conn, span, filters))
    )


async def timeseries_json(datasette: Datasette, request: Request) -> Response:
    access.require(request)
    measure, by = request.args.get("measure", "requests"), request.args.get("by", "none")
    interval = request.args.get("interval", "day")
    if (
        measure not in reports.MEASURES
        or by not in (*reports.DIMENSIONS, "none")
        or interval not in ("hour", "day")
    ):
        return Response.json({"ok": False, "error": "unknown measure, by or interval"}, status=400)

    def ask(conn: sqlite3.Connection, span: Window, filters: Filters) -> dict[str, Any]:
        bounded = reports.bounded(conn, span, filters)
        return asdict(reports.timeseries(conn, bounded, filters, interval, measure, by))  # type: ignore[arg-type]

    return await _json(datasette, request, ask)


async def _json(
    datasette: Datasette,
    request: Request,
    ask: Callable[[sqlite3.Connection, Window, Filters], dict[str, Any]],
) -> Response:
    scope = await access.scope(datasette, request)
    try:
        span, filters = query.read(request.args, scope, clock.now())
    except ConfigError as error:
        return Response.json({"ok": False, "error": str(error)}, status=400)
    found = await config.usage(datasette).execute_fn(lambda conn: ask(conn, span, filters))
    return Response.json({"ok": True, **found})
