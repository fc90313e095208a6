"""Step 6 again: what to do when a try has failed; `upstream.py` asks before the client is told anything.

A try that goes on is planned here and sent by `translate.py`; otherwise the failure goes its usual way.
"""

from mitmproxy import http

from addons.exchanges import Exchanges
from addons.guard import fail_closed
from addons.record import settle_try


class Attempt:
    """`flow.metadata["again"]` are the seconds after which the next try is sent."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    async def try_failed(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is None or exchange.finished:
            return
        gateway = self.exchanges.gateway
        answer = flow.response
        if answer is None:
            exchange.error_message = flow.error.msg if flow.error else ""
        body = None if answer is None else answer.raw_content or b""
        failure = gateway.tries.failure(exchange, body, connected="connected" in flow.metadata)
        settle_try(flow, exchange)
        gateway.tries.note(exchange, failure)
        wait = await gateway.tries.go_on(exchange, failure)
        if wait is not None:
            flow.metadata["again"] = str(wait)
            flow.metadata.pop("connected", None)
