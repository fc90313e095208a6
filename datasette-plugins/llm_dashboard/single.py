"""The page of one call: what was asked, what it cost, where the time went, what was changed."""

import asyncio
import json
import sqlite3
from typing import Any, cast

from datasette import NotFound, Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import access, charts, clock, config, conversation, formats
from llm_intercept import errors
from llm_intercept.store import reports
from llm_intercept.store.bodies import StoredBody, read_bodies


async def page(datasette: Datasette, request: Request) -> Response:
    scope = await access.scope(datasette, request)
    wanted = request.url_vars["request_id"].lower()
    run = config.usage(datasette).execute_fn
    try:
        call = await run(lambda conn: reports.request(conn, wanted, scope))
        source = await run(lambda conn: reports.stored_by(conn, call, scope))
    except errors.NotFound as error:
        raise NotFound(str(error)) from None
    settings = config.read(datasette)
    if settings is None:
        raise NotFound("The dashboard is not configured.")
    bodies = await asyncio.to_thread(_bodies, settings, cast(int, call["id"]))
    phases = _object(call["phases"])
    if not scope.everything:
        call = _without_keys(call)
    context = {
        "call": call,
        "source": source,
        "phases": phases,
        "waterfall": charts.waterfall(charts.phase_bars(phases, recalled=call["cache"] == "hit")),
        "tries": call["tries"],
        "violations": call["violations"],
        "changes": _list(call["changes"]),
        "warnings": _list(call["warnings"]),
        "bodies": bodies,
        "is_bad": formats.tone(str(call["outcome"])) == "bad",
        "now": clock.now(),
    }
    return Response.html(await datasette.render_template("llm/request.html", context, request=request))


def _without_keys(call: reports.Row) -> reports.Row:
    """Which of a provider's keys was used is for admins."""
    tries = [{**attempt, "credential": ""} for attempt in cast(list[reports.Row], call["tries"])]
    return {**call, "credential": "", "tries": tries}


def _bodies(settings: config.Config, row_id: int) -> list[dict[str, object]]:
    """Both sides of the call, as far as they were captured. bodies.db is opened for this page only."""
    try:
        return [_shown(body) for body in read_bodies(settings.bodies_db, row_id)]
    except (sqlite3.Error, errors.StoreError):
        return []


def _shown(body: StoredBody) -> dict[str, object]:
    return {
        "side": body.side,
        "body": body,
        "messages": conversation.read(body.text),
        "raw": conversation.pretty(body.text),
    }


def _object(text: object) -> dict[str, int]:
    found = _parsed(text)
    return {k: v for k, v in found.items() if isinstance(v, int)} if isinstance(found, dict) else {}


def _list(text: object) -> list[str]:
    found = _parsed(text)
    return (
        [item if isinstance(item, str) else json.dumps(item) for item in found]
        if isinstance(found, list)
        else []
    )


def _parsed(text: object) -> Any:
    try:
        return json.loads(str(text)) if text else None
    except ValueError:
        return None
