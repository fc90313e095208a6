"""Step 5: the same was asked before, and its answer is still good. Fails open: then the provider is asked.

It stands before limits, which have nothing to say about what costs nothing. What is kept for later is
`Gateway.finish`'s business.
"""

from mitmproxy import http

from addons.exchanges import REQUEST_ID, Exchanges, to_headers
from addons.guard import fail_open, refuse
from addons.uploads import due
from llm_intercept.caching import Hit, is_unchanged
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange


class Cache:
    """Answers with what is stored. `flow.metadata["cache"]` tells others that it was."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def request(self, flow: http.HTTPFlow) -> None:
        exchange = due(self.exchanges, flow, on_head=False)
        if exchange is None:
            return
        door = self.exchanges.door(flow.client_conn) if self.exchanges.doors else None
        found = self.exchanges.gateway.caching.look(exchange, door.cache if door is not None else "")
        if isinstance(found, Refusal):
            refuse(self.exchanges, flow, found)
        elif found is not None:
            self._answer(flow, exchange, found)

    @fail_open
    def try_again(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is not None and exchange.cache == "miss" and not flow.response:
            self.exchanges.gateway.caching.mark(exchange)

    def _answer(self, flow: http.HTTPFlow, exchange: Exchange, hit: Hit) -> None:
        headers = to_headers([("content-type", hit.content.content_type), *hit.headers])
        headers[REQUEST_ID] = exchange.request_id
        status, body = 200, hit.content.body
        if is_unchanged(exchange, hit):
            status, body = 304, b""
        response = http.Response.make(status, body, headers)
        # From here on nothing can fail: a call is a hit as a whole, or a miss.
        exchange.response_headers = dict(headers.items())
        exchange.response_type, exchange.status = hit.content.content_type, 200
        self.exchanges.gateway.caching.given(exchange, hit)
        flow.metadata["cache"] = "hit"
        flow.response = response


class CacheStatus:
    """Says on the answer whether it is a stored one."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or not exchange.cache or response is None:
            return
        if exchange.recalled is not None and not exchange.phases.first_byte:
            exchange.phases.first_byte = self.exchanges.gateway.clock()  # it may have been held back
        for name, value in self.exchanges.gateway.caching.headers(exchange):
            response.headers[name] = value

    response = responseheaders
