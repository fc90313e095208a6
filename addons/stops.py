"""Step 9, streams under hard limits: where their reservation ends they do, with an end of their dialect."""

from mitmproxy import http

from addons.exchanges import Exchanges
from addons.guard import fail_closed
from llm_intercept.exchange import Exchange
from llm_intercept.wire import endings
from llm_intercept.wire.metered import Metered
from llm_intercept.wire.sabotage import Splitter


class Stops:
    """Behind those who make a stream's pipe. One that is spoilt on purpose is left alone."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def request(self, flow: http.HTTPFlow) -> None:
        self._uncompressed(flow)

    @fail_closed
    def try_again(self, flow: http.HTTPFlow) -> None:
        self._uncompressed(flow)

    def _uncompressed(self, flow: http.HTTPFlow) -> None:
        """Nothing can be written behind what is compressed."""
        exchange, headers = self.exchanges.get(flow), flow.request.headers
        if exchange is None or flow.response or exchange.held is None or not exchange.held.can_stop:
            return
        if headers.get("accept-encoding", "identity") != "identity":
            headers["accept-encoding"] = "identity"
            exchange.changes.append("header: accept-encoding")

    @fail_closed
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or exchange.pipe is None or exchange.refusal:
            return
        if response.stream is exchange.pipe and exchange.stream and response.status_code < 300:
            self._meter(flow, exchange, response)

    def _meter(self, flow: http.HTTPFlow, exchange: Exchange, response: http.Response) -> None:
        held, pipe, tap = exchange.held, exchange.pipe, exchange.tap
        if held is None or not held.can_stop or pipe is None or tap is None:
            return
        tap.together = 1
        if exchange.translation is None:
            tap.ending = endings.finish(
                exchange.dialect, exchange.response_type, asks_usage=exchange.asks_usage
            )
        is_plain = exchange.response_encoding in ("", "identity")
        splitter = Splitter(exchange.response_type, whole_events=is_plain)
        response.stream = Metered(pipe, splitter, held.meter(exchange, tap.reading))
        flow.metadata["metered"] = "yes"
