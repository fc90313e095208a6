"""Step 10: a durable intent before the upstream call, exactly one row after it. Fails open."""

import time

from mitmproxy import http

from addons.exchanges import REQUEST_ID, Exchanges, to_response
from addons.guard import fail_open
from llm_intercept.errors import UPSTREAM_CUT, Refusal
from llm_intercept.exchange import Exchange, Target
from llm_intercept.store.redaction import shown_name
from llm_intercept.store.rows import AttemptRow


class Record:
    """Watches an exchange end; `Gateway.finish` is idempotent."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is not None and exchange.upload and not flow.response:
            self._begin(exchange)

    @fail_open
    def request(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is not None and not exchange.upload and not flow.response:
            self._begin(exchange)

    def _begin(self, exchange: Exchange) -> None:
        if exchange.recorded and exchange.target is not None:
            _begin_try(exchange, exchange.target)
            self.exchanges.gateway.begin(exchange)

    @fail_open
    def try_again(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is not None and exchange.target is not None and not flow.response:
            _begin_try(exchange, exchange.target)

    @fail_open
    def response(self, flow: http.HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or flow.websocket is not None:
            return
        exchange.status = response.status_code
        if exchange.pipe is None:
            exchange.response_body = response.raw_content or b""
            exchange.response_bytes = len(exchange.response_body)
        self._finish(flow, exchange)

    @fail_open
    def error(self, flow: http.HTTPFlow) -> None:
        """The client or the upstream went away. An unanswered client is told in its own dialect."""
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.error is None:
            return
        exchange.ended_by = flow.metadata.get("ended_by", "client")
        exchange.error_message = flow.error.msg
        if exchange.ended_by == "client" and exchange.pipe is None and flow.response is not None:
            exchange.response_body = flow.response.raw_content or b""  # read on without the client
            exchange.response_bytes = len(exchange.response_body)
        if exchange.ended_by == "upstream" and flow.response is None:
            self._answer(flow, exchange)
        self._finish(flow, exchange)

    def _answer(self, flow: http.HTTPFlow, exchange: Exchange) -> None:
        refusal = exchange.refusal = _upstream_failed(exchange, "connected" in flow.metadata)
        exchange.status = refusal.status
        exchange.pipe = None
        flow.response = to_response(self.exchanges.gateway.refusal_reply(exchange, refusal))
        flow.response.headers[REQUEST_ID] = exchange.request_id

    def _finish(self, flow: http.HTTPFlow, exchange: Exchange) -> None:
        exchange.phases.last_byte = (
            exchange.pipe.last_byte
            if exchange.pipe and exchange.pipe.last_byte
            else self.exchanges.gateway.clock()
        )
        if exchange.pipe is not None:
            exchange.response_bytes = exchange.pipe.size
        settle_try(flow, exchange)
        self.exchanges.gateway.finish(exchange)


def _begin_try(exchange: Exchange, target: Target) -> None:
    """`started_us` is the wall clock's: phases are counted from the call's own beginning."""
    course = exchange.course
    candidate = course.current.candidate if course is not None else None
    exchange.tries.append(
        AttemptRow(
            exchange.id,
            len(exchange.tries) + 1,
            exchange.provider.name,
            target.host,
            target.credential,
            shown_name(exchange.upstream_model or exchange.model),
            candidate.reason if candidate is not None else "",
            started_us=time.time_ns() // 1000,
        )
    )


def _upstream_failed(exchange: Exchange, connected: bool) -> Refusal:
    where, why = exchange.target.host if exchange.target else exchange.host, exchange.error_message
    if exchange.timed_out:
        return Refusal("timeout", "upstream_timeout", f"{where} did not answer in time.")
    if connected:
        return Refusal("upstream", UPSTREAM_CUT, f"{where} ended the connection before its answer: {why}")
    return Refusal("upstream", "upstream_unreachable", f"{where} could not be reached: {why}")


def settle_try(flow: http.HTTPFlow, exchange: Exchange) -> None:
    """What is known of the last try once it is over; one that has failed before keeps what it said then."""
    if not exchange.tries or exchange.tries[-1].outcome:
        return
    attempt, phases, server = exchange.tries[-1], exchange.phases, flow.server_conn
    attempt.status = exchange.status if exchange.refusal is None else None
    if server.timestamp_start and server.timestamp_tcp_setup and _is_new(server.timestamp_start, attempt):
        ready = server.timestamp_tls_setup or server.timestamp_tcp_setup
        attempt.connect_ms = round((ready - server.timestamp_start) * 1000, 3)
    if phases.first_byte and phases.sent:
        attempt.ttfb_ms = round((phases.first_byte - phases.sent) * 1000, 3)
    if phases.sent:
        attempt.duration_ms = round(((phases.last_byte or time.perf_counter()) - phases.sent) * 1000, 3)


def _is_new(opened: float, attempt: AttemptRow) -> bool:
    """Whether a connection was opened for this try."""
    return opened * 1e6 >= attempt.started_us - 1000
