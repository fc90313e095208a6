"""Tells clients what their limits have left, in the headers that SDKs know."""

from mitmproxy import http

from addons.exchanges import Exchanges
from addons.guard import fail_open


class Allowance:
    """Behind those who make answers: the headers in which SDKs look for rate limits."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or exchange.held is None or exchange.refusal is not None:
            return
        for name, value in self.exchanges.gateway.allowance(exchange):
            response.headers[name] = value

    response = responseheaders
