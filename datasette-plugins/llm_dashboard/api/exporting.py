"""Exports of calls: every row of a filter, page by page, while the client receives."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
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

_PIECE = 1 << 18

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
    return _beginning(f"{name}.{kind}", export.CONTENT_TYPES[kind], id_)


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


async def send_file(request: Request, send: Send, path: Path, name: str, media: str, id_: str) -> None:
    """A file as it is, piece by piece. It may be deleted meanwhile: what is open can be read to its end."""
    with await asyncio.to_thread(path.open, "rb") as source:
        size = os.fstat(source.fileno()).st_size
        await send(_beginning(name, media, id_, size))
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            while request.method != "HEAD" and not gone.done():
                piece = await asyncio.to_thread(source.read, _PIECE)
                if not piece:
                    break
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            gone.cancel()
    await send({"type": "http.response.body", "body": b""})


def _beginning(name: str, media: str, id_: str, size: int | None = None) -> dict[str, Any]:
    headers = [
        (b"content-type", media.encode()),
        (b"content-disposition", f'attachment; filename="{name}"'.encode()),
        (b"cache-control", b"private, no-store"),
        (b"x-request-id", id_.encode()),
    ]
    if size is not None:
        headers.append((b"content-length", str(size).encode()))
    return {"type": "http.response.start", "status": 200, "headers": headers}


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
