"""Step 3: the target. Uploads that stream through are decided on their head, others with their body.

Two questions can end here: lists of models that no provider could give, and token counts in a dialect that
the model's provider does not answer in.
"""

from collections.abc import Awaitable

from mitmproxy import http

from addons.exchanges import Exchanges, to_response
from addons.guard import fail_closed, refuse
from llm_intercept.allowing import refused_call
from llm_intercept.errors import Refusal, Reply
from llm_intercept.exchange import Exchange


class Route:
    """Reads what the body says of the call, then resolves target and credential."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response or not exchange.upload:
            return None
        if (refusal := refused_call(exchange)) is not None:
            refuse(self.exchanges, flow, refusal)
            return None
        return self._resolve(flow, exchange)

    @fail_closed
    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response or exchange.upload:
            return None
        if (listed := self.exchanges.gateway.model_list(exchange)) is not None:
            flow.response = to_response(listed)
            return None
        if exchange.recorded:
            self.exchanges.gateway.dispatch.read_body(exchange, flow.request.raw_content or b"")
            self.exchanges.gateway.entry.reassign(exchange)
            refusal = self.exchanges.gateway.plan(exchange)
            if refusal is not None:
                refuse(self.exchanges, flow, refusal)
                return None
            if (counted := self.exchanges.gateway.token_count(exchange)) is not None:
                return self._answer(flow, exchange, counted)
        return self._resolve(flow, exchange)

    async def _answer(self, flow: http.HTTPFlow, exchange: Exchange, pending: Awaitable[Reply]) -> None:
        flow.response = to_response(await pending)
        exchange.phases.admitted = self.exchanges.gateway.clock()

    def _resolve(self, flow: http.HTTPFlow, exchange: Exchange) -> Awaitable[None] | None:
        starting = self.exchanges.gateway.start_local(exchange.provider.name)
        if starting is not None:
            return self._resolve_later(flow, exchange, starting)
        return self._decide(flow, exchange)

    async def _resolve_later(
        self, flow: http.HTTPFlow, exchange: Exchange, starting: Awaitable[None]
    ) -> None:
        await starting
        if (pending := self._decide(flow, exchange)) is not None:
            await pending

    def _decide(self, flow: http.HTTPFlow, exchange: Exchange) -> Awaitable[None] | None:
        refusal = self.exchanges.gateway.dispatch.resolve(exchange, exchange.request_headers)
        exchange.phases.admitted = self.exchanges.gateway.clock()
        return None if refusal is None else self._pass_by(flow, exchange, refusal)

    async def _pass_by(self, flow: http.HTTPFlow, exchange: Exchange, refusal: Refusal) -> None:
        """This target cannot be called from here; another one may."""
        if not await self.exchanges.gateway.tries.pass_by(exchange, refusal):
            refuse(self.exchanges, flow, refusal)
        elif (counted := self.exchanges.gateway.token_count(exchange)) is not None:
            await self._answer(flow, exchange, counted)
