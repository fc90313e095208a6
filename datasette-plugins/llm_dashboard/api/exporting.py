"""Exports of calls: every row of a filter, page by page, while the client receives."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

from datasette.utils.asgi import Request

from llm_dashboard.api.stage import Stage
from llm_intercept.store import export
from llm_intercept.store.report_time import Window
from llm_intercept.store.reports import Filters

# What an export answers, by media type.
FILES: dict[str, dict[str, object]] = {
    "text/csv": {"type": "string"},
    "application/json": {"type": "array", "items": {"type": "object"}},
    "application/x-ndjson": {"type": "string"},
}

type Send = Callable[[dict[str, Any]], Awaitable[None]]


async def send_all(
    stage: Stage, request: Request, send: Send, id_: str, kind: export.Format, span: Window, filters: Filters
) -> None:
    await send(start("llm-intercept-requests", kind, id_))
    if request.method != "HEAD":
        await _pages(stage, request, send, kind, span, filters)
    await send({"type": "http.response.body", "body": b""})


def start(name: str, kind: export.Format, id_: str) -> dict[str, Any]:
    """The beginning of an answer with a file in it."""
    headers = [
        (b"content-type", export.CONTENT_TYPES[kind].encode()),
        (b"content-disposition", f'attachment; filename="{name}.{kind}"'.encode()),
        (b"cache-control", b"private, no-store"),
        (b"x-request-id", id_.encode()),
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}


async def send_pieces(
    stage: Stage, request: Request, send: Send, head: dict[str, Any], pieces: Iterator[str]
) -> None:
    """Pieces that are made in the thread of control.db, between whatever else it is asked."""
    await send(head)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        while request.method != "HEAD" and not gone.done():
            piece = await stage.manage(lambda _: next(pieces, None))
            if piece is None:
                break
            await _send(send, piece)
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _pages(
    stage: Stage, request: Request, send: Send, kind: export.Format, span: Window, filters: Filters
) -> None:
    """uvicorn's send() never fails for a client that left, so that is watched for beside it."""
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        names = await stage.usage(export.columns)
        await _send(send, export.head(kind, names))
        last, first = 0, True
        while not gone.done():
            after = last
            rows = await stage.usage(lambda conn: export.page(conn, span, filters, after))  # noqa: B023
            if not rows:
                break
            await _send(send, await asyncio.to_thread(export.body, kind, names, rows, first=first))
            last, first = cast(int, rows[-1][0]), False
        await _send(send, export.tail(kind))
    finally:
        gone.cancel()


async def _send(send: Send, text: str) -> None:
    if text:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
