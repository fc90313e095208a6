"""What is simulated is said on the answer; streams are cut off, garbled and slowed down.

Behind those who make answers: what is spoilt is what the client would have got.
"""

import asyncio

from mitmproxy import ctx, http

from addons import upstream
from addons.exchanges import Exchanges
from addons.guard import fail_open
from llm_intercept.exchange import Exchange
from llm_intercept.wire.sabotage import Sabotage, Splitter, StreamPlan

HEADER = "x-llm-intercept-simulated"
CUT = "the stream was cut off on purpose (simulated)"


class Simulated:
    """Says on the answer what is simulated; cuts streams, garbles them, slows them down."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges
        self._cutting: set[asyncio.Task[None]] = set()

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or exchange.fate is None:
            return
        plan = exchange.fate.stream
        is_stream = exchange.stream and exchange.pipe is not None and response.stream is exchange.pipe
        if is_stream and response.status_code < 400 and plan.kinds:
            _mark(response, exchange, *plan.kinds)
            self._spoil(flow, response, exchange, plan)
        else:
            _mark(response, exchange)

    @fail_open
    def response(self, flow: http.HTTPFlow) -> None:
        """Of what was written anew since its head was seen."""
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response is None or not exchange.failure:
            return
        if HEADER not in flow.response.headers:
            _mark(flow.response, exchange)

    error = response

    def _spoil(
        self, flow: http.HTTPFlow, response: http.Response, exchange: Exchange, plan: StreamPlan
    ) -> None:
        assert exchange.pipe is not None
        encoding = "" if exchange.translation else exchange.response_encoding
        splitter = Splitter(
            response.headers.get("content-type", ""),
            whole_events=plan.by_events and encoding in ("", "identity"),
        )
        response.stream = Sabotage(
            exchange.pipe, plan, splitter, lambda kind: self._strike(flow, exchange, kind)
        )
        if response.is_http11 and "content-length" not in response.headers:
            response.headers["transfer-encoding"] = "chunked"  # so that a cut is told from the end
        if plan.events_per_second:
            note(exchange, "slow_tokens")
            flow.metadata["pace"] = str(1 / plan.events_per_second)

    def _strike(self, flow: http.HTTPFlow, exchange: Exchange, kind: str) -> None:
        note(exchange, kind)
        if kind == "stream_cut":
            exchange.ended_by, exchange.error_message = "upstream", CUT
            flow.kill()  # should the provider's own end be in what has been read already
            if "pace" in flow.metadata:
                return  # it ends when the client has been given what was before
            task = asyncio.get_running_loop().create_task(_cut(flow))
            self._cutting.add(task)
            task.add_done_callback(self._cutting.discard)


def note(exchange: Exchange, kind: str) -> None:
    """For the row: what has befallen this call."""
    if kind not in exchange.failure.split(","):
        exchange.failure = f"{exchange.failure},{kind}" if exchange.failure else kind


async def _cut(flow: http.HTTPFlow) -> None:
    await upstream.expire(ctx.master.addons.get("proxyserver"), flow)


def _mark(response: http.Response, exchange: Exchange, *more: str) -> None:
    kinds = [*exchange.failure.split(","), *more] if exchange.failure else more
    if kinds:
        response.headers[HEADER] = ",".join(dict.fromkeys(kinds))
