"""Failures on purpose: decided right behind authentication, once for each call, whatever becomes of it later.

Calls end here, or their answers come late. Streams are spoilt by `simulated.py`.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

from mitmproxy import http

from addons import hangup
from addons.exchanges import Exchanges
from addons.guard import answer, fail_closed, fail_open, refuse
from addons.simulated import CUT, note
from addons.uploads import due
from llm_intercept.exchange import Exchange
from llm_intercept.failing import refusal
from llm_intercept.policy.failures import Decision

LOOK_SECONDS = 0.05


class Failures:
    """Gate: ends calls by their addresses, limits, chance; and holds answers back."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        exchange = due(self.exchanges, flow, on_head=True)
        return None if exchange is None else self._meet(flow, exchange)

    @fail_closed
    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        exchange = due(self.exchanges, flow, on_head=False)
        return None if exchange is None else self._meet(flow, exchange)

    def _meet(self, flow: http.HTTPFlow, exchange: Exchange) -> Awaitable[None] | None:
        """What the call is in for; most are in for nothing."""
        if not exchange.recorded or exchange.fate is not None:
            return None
        fate = exchange.fate = self.exchanges.gateway.failing.fate(exchange)
        if fate is None:
            return None
        if fate.kind is not None:
            return self._end(flow, exchange, fate)
        if fate.stream.by_events and "accept-encoding" in flow.request.headers:
            flow.request.headers["accept-encoding"] = "identity"  # events are not to be seen otherwise
            exchange.changes.append("header: accept-encoding")
        return None

    def _end(self, flow: http.HTTPFlow, exchange: Exchange, fate: Decision) -> Awaitable[None] | None:
        exchange.failure = str(fate.kind)
        if not exchange.upload:
            self.exchanges.gateway.dispatch.read_body(exchange, flow.request.raw_content or b"")
            self.exchanges.gateway.entry.reassign(exchange)
        if fate.kind == "timeout":
            return self._hang(flow, exchange, fate)
        # Not a refusal of ours: it is recorded as if the provider had answered.
        answer(flow, self.exchanges.gateway.refusal_reply(exchange, refusal(fate)))
        return None

    async def _hang(self, flow: http.HTTPFlow, exchange: Exchange, fate: Decision) -> None:
        """Nothing happens, until the time is over, the client goes away or the proxy ends."""
        self.exchanges.gateway.begin(exchange)
        await _pause(self.exchanges, flow, fate.hold)
        if hangup.has_hung_up(flow):
            answer(flow, self.exchanges.gateway.refusal_reply(exchange, refusal(fate)))
        else:
            refuse(self.exchanges, flow, refusal(fate))

    @fail_closed
    def responseheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        exchange = self.exchanges.get(flow)
        if exchange is None or exchange.fate is None or exchange.refusal:
            return None
        fate = exchange.fate
        if not fate.delay or (fate.cache_only and flow.metadata.get("cache") != "hit"):
            return None
        exchange.fate = replace(fate, delay=0.0)
        exchange.waiting_since = 0.0  # the provider has answered
        note(exchange, "response_delay")
        return _pause(self.exchanges, flow, fate.delay)

    @fail_open
    def error(self, flow: http.HTTPFlow) -> None:
        """Before the row is written: whose fault it was."""
        exchange = self.exchanges.get(flow)
        if exchange is not None and flow.error is not None and "stream_cut" in exchange.failure:
            flow.error.msg = CUT


async def _pause(exchanges: Exchanges, flow: http.HTTPFlow, seconds: float | None) -> None:
    loop = asyncio.get_running_loop()
    until = None if seconds is None else loop.time() + seconds
    while not (hangup.has_hung_up(flow) or exchanges.draining):
        left = LOOK_SECONDS if until is None else until - loop.time()
        if left <= 0:
            break
        await asyncio.sleep(min(left, LOOK_SECONDS))
