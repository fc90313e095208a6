"""The list of calls with its filters, newest first, in pages that stay fast at any depth."""

import asyncio
from typing import cast

from datasette import Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import access, clock, config, query
from llm_intercept.errors import ConfigError
from llm_intercept.store import reports
from llm_intercept.store.report_time import Window

PAGE = 50
DEFAULT_SINCE = "7d"
SINCE = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "a year"}
OUTCOMES = (
    "error",
    "ok",
    "client_error",
    "provider_error",
    "refused",
    "connect_failed",
    "timeout",
    "client_gone",
    "upstream_cut",
    "internal_error",
    "interrupted",
)

FAILURES = (
    "any",
    "ip_blocked",
    "rate_limited",
    "timeout",
    "error_injection",
    "response_delay",
    "stream_cut",
    "garbled",
    "slow_tokens",
)
# What the filter of the cache calls them.
CACHE = {"hit": "answered by it", "stored": "stored", "miss": "not there", "bypass": "not asked"}


async def page(datasette: Datasette, request: Request) -> Response:
    scope = await access.scope(datasette, request)
    now, problem = clock.now(), ""
    since = request.args.get("since", DEFAULT_SINCE).strip()
    try:
        span, filters = query.read(request.args, scope, now, since)
    except ConfigError as error:
        problem, since = str(error), DEFAULT_SINCE
        span, filters = query.read({}, scope, now, since)
    before = request.args.get("before", "")
    shown = Window(span.since, min(span.until, int(before))) if before.isdigit() else span
    run = config.usage(datasette).execute_fn
    calls, total, *choices = await asyncio.gather(
        run(lambda conn: reports.rows(conn, shown, filters, "id DESC", PAGE + 1)),
        run(lambda conn: reports.summary(conn, span, filters)),
        *(run(lambda conn, name=name: reports.known(conn, name, scope)) for name in reports.DIMENSIONS),
    )
    until = request.args.get("until", "").strip() if not problem else ""
    older = cast(int, calls[PAGE - 1]["id"]) if len(calls) > PAGE else 0
    context = {
        "calls": calls[:PAGE],
        "total": total,
        "filters": filters,
        "since": since,
        "until": until,
        "presets": SINCE,
        "outcomes": OUTCOMES,
        "failures": FAILURES,
        "cache": CACHE,
        "choices": dict(zip(reports.DIMENSIONS, choices, strict=True)),
        "filter_query": query.text(since, until, filters),
        "older_query": query.text(since, until, filters, before=older) if older else "",
        "paging": before.isdigit(),
        "problem": problem,
        "now": now,
    }
    html = await datasette.render_template("llm/requests.html", context, request=request)
    return Response.html(html, status=400 if problem else 200)
