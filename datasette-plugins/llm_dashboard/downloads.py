"""Exports of any filter: every row, page by page, while the browser receives."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from datasette import Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import access, clock, config, query
from llm_intercept.errors import ConfigError
from llm_intercept.store import export
from llm_intercept.store.report_time import Window
from llm_intercept.store.reports import Filters

type Send = Callable[[dict[str, Any]], Awaitable[None]]


async def export_view(
    datasette: Datasette, request: Request, send: Send, receive: Callable[[], Awaitable[dict[str, Any]]]
) -> Response | None:
    scope = await access.scope(datasette, request)
    kind = cast(export.Format, request.url_vars["kind"])
    try:
        span, filters = query.read(request.args, scope, clock.now())
    except ConfigError as error:
        return Response.json({"ok": False, "error": str(error)}, status=400)
    await send({"type": "http.response.start", "status": 200, "headers": _headers(kind)})
    if request.method == "HEAD":
        await send({"type": "http.response.body", "body": b""})
        return None
    await _stream(datasette, kind, span, filters, send, receive)
    return None


def _headers(kind: export.Format) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", export.CONTENT_TYPES[kind].encode()),
        (b"content-disposition", f'attachment; filename="llm-intercept-requests.{kind}"'.encode()),
        (b"cache-control", b"private, no-store"),
    ]


async def _stream(
    datasette: Datasette,
    kind: export.Format,
    span: Window,
    filters: Filters,
    send: Send,
    receive: Callable[[], Awaitable[dict[str, Any]]],
) -> None:
    """uvicorn's send() never fails for a client that left, so that is watched for beside it."""
    gone = asyncio.ensure_future(_disconnected(receive))
    run = config.usage(datasette).execute_fn
    try:
        names = await run(export.columns)
        await _send(send, export.head(kind, names))
        last, first = 0, True
        while not gone.done():
            after = last
            rows = await run(lambda conn: export.page(conn, span, filters, after))  # noqa: B023
            if not rows:
                break
            await _send(send, await asyncio.to_thread(export.body, kind, names, rows, first=first))
            last, first = cast(int, rows[-1][0]), False
        await send({"type": "http.response.body", "body": export.tail(kind).encode()})
    finally:
        gone.cancel()


async def _send(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _disconnected(receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
