"""Step 2: the principal. The credential itself leaves the request in step 7, before anything is sent."""

import hashlib

from mitmproxy import http

from addons.exchanges import Exchanges
from addons.guard import fail_closed, refuse
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange


def identified(exchanges: Exchanges, flow: http.HTTPFlow, exchange: Exchange) -> Refusal | None:
    """Who is calling, as everything stands at this moment; inside a tunnel also by its CONNECT."""
    headers = exchange.request_headers
    if (tunnel := exchanges.tunnels.get(flow.client_conn)) is not None:
        headers = {**headers, "proxy-authorization": tunnel.authorization.get_secret_value()}
    door = exchanges.door(flow.client_conn) if exchange.listener else None
    return exchanges.gateway.access.authenticate(exchange, headers, door)


class Authenticate:
    """Refuses in `requestheaders`, so that no body is waited for; AWS signatures need the body."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response:
            return
        refusal = identified(self.exchanges, flow, exchange)
        if refusal is not None:
            refuse(self.exchanges, flow, refusal)
        exchange.phases.authenticated = self.exchanges.gateway.clock()

    @fail_closed
    def request(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response or exchange.aws_secret is None:
            return
        digest = hashlib.sha256(flow.request.raw_content or b"").hexdigest()
        refusal = self.exchanges.gateway.access.verify_signature(exchange, exchange.request_headers, digest)
        if refusal is not None:
            refuse(self.exchanges, flow, refusal)
