"""Tells clients what their limits have left, in the headers that SDKs know."""

from mitmproxy import http

from addons.exchanges import Exchanges
from addons.guard import fail_open


class Allowance:
    """On answers that are none of ours: a refusal brings its own, and a provider's error the provider's."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or exchange.held is None or response is None or response.status_code >= 400:
            return
        for name, value in self.exchanges.gateway.allowance(exchange):
            response.headers[name] = value

    response = responseheaders
