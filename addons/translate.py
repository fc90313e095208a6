"""Steps 7 and 9: what is sent to the provider, and how its answer passes.

The request is written from an `Outgoing`; the answer streams through a `Pipe`, or is held whole
when it is small, says so, and is no stream.
"""

import hashlib
from collections.abc import Callable

from mitmproxy import http

from addons.exchanges import REQUEST_ID, Exchanges, fields, lowered, to_headers
from addons.guard import fail_closed, fail_open
from llm_intercept.exchange import Exchange
from llm_intercept.providers.base import Outgoing
from llm_intercept.wire.pipe import Pipe
from llm_intercept.wire.tap import Tap

SMALL = 1_000_000


class Translate:
    """Applies the target to the request and puts the pipe on the answer."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response or not exchange.upload:
            return
        self._send(flow, exchange, None)
        flow.request.stream = _Hashing(exchange, self.exchanges.gateway.clock)

    @fail_closed
    def request(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response or exchange.upload:
            return
        self._send(flow, exchange, flow.request.raw_content or b"")

    def _send(self, flow: http.HTTPFlow, exchange: Exchange, body: bytes | None) -> None:
        request = flow.request
        outgoing = Outgoing(
            request.method,
            request.scheme,
            request.host,
            request.port,
            exchange.path,
            fields(request.headers),
            body,
        )
        self.exchanges.gateway.dispatch.prepare(exchange, outgoing)
        _apply(request, outgoing, body)
        exchange.phases.sent = self.exchanges.gateway.clock()
        exchange.waiting_since = 0.0 if exchange.upload else exchange.phases.sent

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        response = flow.response
        if exchange is None or response is None:
            return
        if not exchange.recorded:
            response.stream = True
            return
        clock = self.exchanges.gateway.clock
        if exchange.refusal is None:
            response.headers[REQUEST_ID] = exchange.request_id
            exchange.phases.first_byte = clock()
            _read_head(exchange, response)
            if response.status_code != 101 and not _small(exchange, response):
                self._pipe(exchange, response)
        exchange.status = response.status_code

    def _pipe(self, exchange: Exchange, response: http.Response) -> None:
        keep = self.exchanges.gateway.keeps(exchange, response.status_code)
        exchange.tap = Tap(
            exchange.dialect,
            exchange.operation,
            exchange.response_type,
            exchange.response_encoding,
            keep=keep,
            status=response.status_code,
            headers=exchange.response_headers,
        )
        exchange.pipe = Pipe(exchange.tap, self.exchanges.gateway.clock, hide_usage=exchange.hide_usage)
        if exchange.hide_usage and response.headers.pop("content-length", None) and response.is_http11:
            response.headers["transfer-encoding"] = "chunked"  # so that a cut is still told from the end
        response.stream = exchange.pipe


def _read_head(exchange: Exchange, response: http.Response) -> None:
    headers = exchange.response_headers = lowered(response.headers)
    exchange.response_type = headers.get("content-type", "")
    exchange.response_encoding = headers.get("content-encoding", "")
    exchange.stream = exchange.stream or exchange.response_type.startswith("text/event-stream")


def _small(exchange: Exchange, response: http.Response) -> bool:
    length = response.headers.get("content-length", "")
    return length.isdigit() and int(length) <= SMALL and not exchange.stream


def _apply(request: http.Request, outgoing: Outgoing, body: bytes | None) -> None:
    """Writes `outgoing` without mitmproxy's setters, which would rewrite headers on their own."""
    request.data.scheme = outgoing.scheme.encode()
    request.data.host, request.data.port = outgoing.host, outgoing.port
    request.data.path = outgoing.path.encode("latin-1")
    request.data.headers = to_headers(outgoing.headers)
    if request.is_http2:
        request.data.authority = (outgoing.header("host") or request.data.authority.decode()).encode()
        request.data.headers.pop("host", None)
    if outgoing.body is not None and outgoing.body is not body:
        request.data.content = outgoing.body
        request.data.headers["content-length"] = str(len(outgoing.body))
    elif body and request.is_http2 and "content-length" not in request.data.headers:
        request.data.headers["content-length"] = str(len(body))  # an HTTP/1 upstream has nothing else


class _Hashing:
    """The request's stream callable: counts and hashes what passes."""

    def __init__(self, exchange: Exchange, clock: Callable[[], float]) -> None:
        self._exchange = exchange
        self._clock = clock
        self._digest = hashlib.sha256()

    def __call__(self, chunk: bytes) -> list[bytes]:
        if chunk:
            self._digest.update(chunk)
            self._exchange.request_bytes += len(chunk)
            return [chunk]
        self._exchange.waiting_since = self._clock()
        self._exchange.request_sha256 = self._exchange.upstream_sha256 = self._digest.hexdigest()
        return []
