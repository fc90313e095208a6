"""Step 4: limits refuse what they have no room for. The end of a call is `Gateway.finish`'s."""

from collections.abc import Awaitable

from mitmproxy import http

from addons.exchanges import Exchanges
from addons.guard import fail_closed, refuse
from addons.uploads import due
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange


class Admit:
    """Reserves before anything is sent; uploads that stream through are decided on their head."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        exchange = due(self.exchanges, flow, on_head=True)
        return None if exchange is None else self._admit(flow, exchange)

    @fail_closed
    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        exchange = due(self.exchanges, flow, on_head=False)
        return None if exchange is None else self._admit(flow, exchange)

    def _admit(self, flow: http.HTTPFlow, exchange: Exchange) -> Awaitable[None] | None:
        found = self.exchanges.gateway.admit(exchange)
        if isinstance(found, Refusal):
            refuse(self.exchanges, flow, found)
        elif found is not None:
            return self._admit_later(flow, found)
        return None

    async def _admit_later(self, flow: http.HTTPFlow, pending: Awaitable[Refusal | None]) -> None:
        if (refusal := await pending) is not None:
            refuse(self.exchanges, flow, refusal)
