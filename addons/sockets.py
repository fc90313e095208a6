"""WebSockets on provider hosts (OpenAI Realtime, Responses): relayed, and metered by their frames."""

import dataclasses
import logging

from mitmproxy import ctx, http
from mitmproxy.websocket import WebSocketMessage

from addons import upstream
from addons.authenticate import identified
from addons.exchanges import Exchanges
from addons.guard import fail_open
from llm_intercept.allowing import refused_call
from llm_intercept.exchange import Exchange, Phases
from llm_intercept.unkeyed import unsaid
from llm_intercept.wire.tap import Reading
from llm_intercept.wire.websocket import FrameMeter

logger = logging.getLogger("llm_intercept")


class Sockets:
    """One row for each response inside a connection; one for the connection itself if it carried none."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def websocket_start(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is not None and exchange.recorded:
            self.exchanges.meters[flow] = FrameMeter(exchange.dialect)

    @fail_open
    def websocket_message(self, flow: http.HTTPFlow) -> None:
        exchange, meter = self.exchanges.get(flow), self.exchanges.meters.get(flow)
        assert flow.websocket is not None
        message = flow.websocket.messages[-1]
        flow.websocket.messages.clear()  # mitmproxy would keep each frame for ever
        if exchange is None or meter is None:
            return
        if message.from_client and self._is_over(flow, exchange, message):
            return
        now = self.exchanges.gateway.clock()
        if not message.from_client and b'"error"' in message.content:
            _take_keys_out(exchange, message)
        if message.from_client:
            exchange.request_bytes += len(message.content)
        else:
            exchange.response_bytes += len(message.content)
        for reading in meter.feed(message.from_client, message.content, now):
            self._record(exchange, reading, now)

    def _is_over(self, flow: http.HTTPFlow, exchange: Exchange, message: WebSocketMessage) -> bool:
        """Whether its token was revoked, say, since it was opened: then this is not passed on any more."""
        message.dropped = True  # should the question fail
        refusal = identified(self.exchanges, flow, exchange) or refused_call(exchange)
        message.dropped = refusal is not None
        if refusal is not None:
            logger.info("a WebSocket was closed: %s", refusal.message)
            self.exchanges.gateway.watch.call_refused(exchange, refusal)
            upstream.cut(ctx.master.addons.get("proxyserver"), flow.client_conn, flow.server_conn)
        return refusal is not None

    def _record(self, exchange: Exchange, reading: Reading, now: float, ended_by: str = "") -> None:
        number, request_id = self.exchanges.gateway.new_id()
        response = dataclasses.replace(
            exchange,
            id=number,
            request_id=request_id,
            reading=reading,
            stream=True,
            model=reading.model_requested or reading.model or exchange.model,
            status=200,
            ended_by=ended_by,
            phases=Phases(
                received=reading.started or now, sent=reading.started, last_byte=reading.ended or now
            ),
            tries=[dataclasses.replace(t, request_id=number, status=101) for t in exchange.tries],
            busy=0.0,
        )
        self.exchanges.gateway.finish(response)
        exchange.request_bytes = exchange.response_bytes = 0
        exchange.responses += 1

    @fail_open
    def websocket_end(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is None:
            return
        exchange.phases.last_byte = now = self.exchanges.gateway.clock()
        meter = self.exchanges.meters.pop(flow, None)
        closed_by = "client" if flow.websocket and flow.websocket.closed_by_client else "upstream"
        ended_by = flow.metadata.get("ended_by", closed_by)
        for reading in meter.close() if meter else ():
            self._record(exchange, reading, now, ended_by)
        if exchange.responses:
            self.exchanges.gateway.discard(exchange)
        else:
            self.exchanges.gateway.finish(exchange)


def _take_keys_out(exchange: Exchange, message: WebSocketMessage) -> None:
    """As `unsaid.py` does it with other errors."""
    clean = unsaid(exchange, message.content)
    if clean != message.content:
        message.content = clean
