"""The recorded answers on a loopback port of this process: calls are led here instead of to their provider.

A call names its recording by the path `/NUMBER`. So an answer is a real one for everything on its way to
the client, and streams are streams.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from llm_intercept.cassette.format import Answer, Recorded

type Pace = Literal["fast", "original"]

_GRACE = 0.5  # seconds that open answers get when it stops
_CALLS = web.AppKey("calls", Mapping[int, Recorded])
_PACE = web.AppKey("pace", str)


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    _runner: web.AppRunner

    async def stop(self) -> None:
        await self._runner.cleanup()


async def start(calls: Mapping[int, Recorded], pace: Pace) -> Running:
    app = web.Application()
    app[_CALLS], app[_PACE] = calls, pace
    app.router.add_route("*", "/{number:[0-9]+}", _serve)
    runner = web.AppRunner(
        app, handler_cancellation=True, shutdown_timeout=_GRACE, auto_decompress=False, access_log=None
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return Running(runner.addresses[0][1], runner)


async def _serve(request: web.Request) -> web.StreamResponse:
    loop = asyncio.get_running_loop()
    came = loop.time()
    answer = request.app[_CALLS][int(request.match_info["number"])].answer
    if answer is None:
        raise web.HTTPNotFound
    response = web.StreamResponse(status=answer.status, headers=list(answer.headers))
    if answer.sized and answer.ended == "whole":
        response.content_length = sum(len(chunk.data) for chunk in answer.chunks)
    await response.prepare(request)
    for chunk in answer.chunks:
        wait = came + chunk.at - loop.time() if request.app[_PACE] == "original" else 0
        await asyncio.sleep(max(0, wait))
        await response.write(chunk.data)
    return await _end(request, response, answer)


async def _end(request: web.Request, response: web.StreamResponse, answer: Answer) -> web.StreamResponse:
    if answer.ended == "whole":
        await response.write_eof()
    elif request.transport is not None:
        request.transport.close()
    return response
