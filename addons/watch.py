"""Step 9 for calls in one dialect: the answer passes, a tap reads a copy. Fails open."""

from mitmproxy import http

from addons.exchanges import REQUEST_ID, Exchanges, lowered
from addons.guard import fail_open
from llm_intercept.exchange import Exchange
from llm_intercept.wire.holdback import HoldBack
from llm_intercept.wire.pipe import Pipe
from llm_intercept.wire.tap import Tap

SMALL = 1_000_000


class Watch:
    """Streams go through a `Pipe`; an answer that is small, says so and is no stream is held whole."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        response = flow.response
        if exchange is None or response is None or exchange.translation is not None or exchange.recalled:
            return
        if not exchange.recorded:
            response.stream = True
            return
        if exchange.refusal is None:
            read_head(self.exchanges, exchange, response)
            exchange.status = response.status_code
            if response.status_code != 101 and not _is_held(exchange, response):
                self._pipe(exchange, response)
                hold_back(self.exchanges, exchange, flow)
        exchange.status = response.status_code

    def _pipe(self, exchange: Exchange, response: http.Response) -> None:
        exchange.tap = tap(self.exchanges, exchange, response.status_code)
        ends = "content-length" not in exchange.response_headers and response.status_code < 400
        exchange.pipe = Pipe(
            exchange.tap,
            self.exchanges.gateway.clock,
            hide_usage=exchange.hide_usage,
            framed_as=(exchange.dialect, exchange.response_type) if ends and _is_plain(exchange) else None,
        )
        if exchange.hide_usage and response.headers.pop("content-length", None) and response.is_http11:
            response.headers["transfer-encoding"] = "chunked"  # so that a cut is still told from the end
        response.stream = exchange.pipe


def hold_back(exchanges: Exchanges, exchange: Exchange, flow: http.HTTPFlow) -> None:
    """While another target could still answer, a stream begins for the client with its first content."""
    course, seconds = exchange.course, exchanges.gateway.settings.retries.hold_ms / 1000
    if course is None or not course.alternatives or not seconds or exchange.pipe is None:
        return
    if "may_retry" in flow.metadata and exchange.status is not None and exchange.status < 300:
        exchange.pipe.judge = HoldBack(
            Tap(
                exchange.answer_dialect,
                exchange.operation,
                exchange.response_type,
                exchange.response_encoding,
                status=exchange.status,
                headers=exchange.response_headers,
            )
        )
        flow.metadata["hold"] = str(seconds)


def read_head(exchanges: Exchanges, exchange: Exchange, response: http.Response) -> None:
    """Notes what the answer's headers say, and puts our id on it."""
    exchange.phases.first_byte = exchanges.gateway.clock()
    headers = exchange.response_headers = lowered(response.headers)
    if REQUEST_ID in headers:
        response.headers[REQUEST_ID] = exchange.request_id
    else:
        response.headers.add(REQUEST_ID, exchange.request_id)  # half the work of setting it
    headers[REQUEST_ID] = exchange.request_id
    exchange.response_type = headers.get("content-type", "")
    exchange.response_encoding = headers.get("content-encoding", "")
    exchange.stream = exchange.stream or exchange.response_type.startswith("text/event-stream")


def tap(exchanges: Exchanges, exchange: Exchange, status: int) -> Tap:
    """What reads a copy of this answer, and checks it if it is its turn."""
    reader = Tap(
        exchange.answer_dialect,
        exchange.operation,
        exchange.response_type,
        exchange.response_encoding,
        keep=exchanges.gateway.keeps(exchange, status),
        status=status,
        headers=exchange.response_headers,
    )
    if status < 400:
        exchanges.gateway.linting.attach(exchange, reader)
    return reader


def _is_plain(exchange: Exchange) -> bool:
    return exchange.response_encoding in ("", "identity")


def _is_held(exchange: Exchange, response: http.Response) -> bool:
    """Whether the answer is held whole: it is small, or may not be the last one, or may say too much."""
    course, status = exchange.course, response.status_code
    if status >= 400 and course is not None and course.may_go_on_after(status):
        return True
    length = response.headers.get("content-length", "")
    if status >= 400:
        return not (length.isdigit() and int(length) > SMALL)
    return length.isdigit() and int(length) <= SMALL and not exchange.stream
