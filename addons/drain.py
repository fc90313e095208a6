"""The end of a proxy's life: what is under way may finish, what is new is told to come again elsewhere.

mitmproxy calls `done` at SIGTERM and at the first Ctrl-C, with everything still running. `finished` is what
`Lifecycle.done` waits for: no more connections, then the calls under way for at most `settings.drain`
seconds, then the ends of those that are left. A second signal makes it stop waiting.

HTTP/2 clients are not sent a GOAWAY: some of their libraries (Python's h2, and so httpx) take it for the end
of the streams under way as well.
"""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable

from mitmproxy import ctx, http

from addons import upstream
from addons.exchanges import Exchanges, to_response
from addons.guard import fail_closed, fail_open, refuse
from llm_intercept.errors import Refusal, Reply
from llm_intercept.exchange import Exchange

logger = logging.getLogger("llm_intercept")

STOPPING = Refusal(
    "unavailable",
    "shutting_down",
    "llm-intercept is being stopped and takes no new calls; nothing was sent to the provider.",
    retry_after=1.0,
)
INTERRUPTED = Refusal(
    "unavailable",
    "interrupted",
    "llm-intercept was stopped before the provider had answered.",
    retry_after=1.0,
)
LOOK_SECONDS = 0.05
# For the last words to those whose calls are ended, and for answers that a slow client has not taken yet.
GRACE_SECONDS = 2.0


class Drain:
    """While the proxy drains, kept connections get no new calls and are closed with their next answer."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def http_connect(self, flow: http.HTTPFlow) -> None:
        if self.exchanges.draining and flow.response is None:
            flow.response = to_response(_plain_text(STOPPING))

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if not self.exchanges.draining or flow.response is not None:
            return
        if self.exchanges.get(flow) is not None:
            refuse(self.exchanges, flow, STOPPING)
        elif flow.metadata.get("entry") != "base_url":
            flow.request.stream = False
            flow.response = to_response(_plain_text(STOPPING))


class Farewell:
    """Behind those who make answers: says that this one is the connection's last."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if self.exchanges.draining and flow.response is not None:
            _close_behind(flow, flow.response)

    response = responseheaders

    @fail_open
    def error(self, flow: http.HTTPFlow) -> None:
        """A call that was ended by us, before its answer began, is answered after all."""
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response is not None or exchange.ended_by != "interrupted":
            return
        flow.response = to_response(self.exchanges.gateway.refusal_reply(exchange, INTERRUPTED))
        _close_behind(flow, flow.response)

    @fail_open
    def websocket_message(self, flow: http.HTTPFlow) -> None:
        if self.exchanges.draining and flow in self.exchanges.idle_sockets():
            _hang_up(flow)


def _close_behind(flow: http.HTTPFlow, response: http.Response) -> None:
    if response.status_code != 101 and not flow.request.is_http2:
        response.headers["connection"] = "close"


def _hang_up(flow: http.HTTPFlow) -> None:
    upstream.cut(ctx.master.addons.get("proxyserver"), flow.client_conn, flow.server_conn)


def _plain_text(refusal: Refusal) -> Reply:
    """For those who speak with no provider."""
    headers = (("content-type", "text/plain; charset=utf-8"), ("retry-after", f"{refusal.retry_after:.0f}"))
    return Reply(refusal.status, headers, f"{refusal.message} [{refusal.code}]\n".encode())


async def finished(exchanges: Exchanges) -> None:
    """Ends what this process serves, within the settings' limit and a moment more."""
    exchanges.draining = True
    hurry = _second_signal()
    await ctx.master.addons.get("proxyserver").servers.update([])
    for flow in exchanges.idle_sockets():
        _hang_up(flow)
    limit = exchanges.gateway.settings.drain
    logger.info("draining: %d calls under way, at most %g s", len(exchanges.under_way()), limit)
    await _wait(exchanges.under_way, limit, hurry)
    left = exchanges.under_way()
    await _interrupt(left)
    proxyserver = ctx.master.addons.get("proxyserver")
    await _wait(
        lambda: exchanges.under_way() or exchanges.idle_sockets() or upstream.unsent(proxyserver),
        GRACE_SECONDS,
    )
    for exchange in exchanges.unfinished():
        exchange.ended_by = "interrupted"
        exchanges.gateway.finish(exchange)
    logger.info("drained: %s", f"{len(left)} calls were ended" if left else "all calls have finished")


def _second_signal() -> asyncio.Event:
    """Set by the next signal; the first one has brought us here."""
    hurry = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not in a thread of somebody else's program, and not on Windows.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, hurry.set)
    return hurry


async def _wait(pending: Callable[[], object], seconds: float, hurry: asyncio.Event | None = None) -> None:
    """Until nothing is pending, or for so many seconds, or until somebody is in a hurry."""
    until = time.monotonic() + seconds
    while pending() and time.monotonic() < until and not (hurry and hurry.is_set()):
        await asyncio.sleep(LOOK_SECONDS)


async def _interrupt(calls: list[tuple[http.HTTPFlow, Exchange]]) -> None:
    """The provider's side ends, and so the client is told in the way of its dialect."""
    for flow, exchange in calls:
        flow.metadata["ended_by"] = exchange.ended_by = "interrupted"
        flow.metadata.pop("may_retry", None)
    for flow, _ in calls:
        if flow.websocket is not None:
            _hang_up(flow)
        else:
            await upstream.expire(ctx.master.addons.get("proxyserver"), flow)
