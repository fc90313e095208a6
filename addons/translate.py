"""Steps 7 and 9: what is sent to the provider, and the answers that come back in another dialect.

The request is written from an `Outgoing`. Answers in the client's own dialect are `watch.py`'s.
"""

import time

from mitmproxy import http

from addons.exchanges import REQUEST_ID, Exchanges, fields, to_headers, to_response
from addons.guard import fail_closed
from addons.tunnel import through_parent
from addons.uploads import Hashing
from addons.watch import hold_back, read_head, tap
from llm_intercept.errors import Reply
from llm_intercept.exchange import Exchange
from llm_intercept.providers.base import Outgoing
from llm_intercept.wire import answerheaders, encoding
from llm_intercept.wire.embeddings.translation import EmbeddingTranslation
from llm_intercept.wire.pipe import TranslatingPipe
from llm_intercept.wire.translation import WHOLE, Translation


class Translate:
    """Applies the target to the request; a fault here never lets a foreign dialect through."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response or not exchange.upload:
            return
        self._send(flow, exchange, None)
        flow.request.stream = Hashing(exchange, self.exchanges.gateway.clock)

    @fail_closed
    def request(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response or exchange.upload:
            return
        self._send(flow, exchange, flow.request.raw_content or b"")

    @fail_closed
    def try_again(self, flow: http.HTTPFlow) -> None:
        """Another target than the last time, or the same: written anew from what the client sent."""
        exchange = self.exchanges.get(flow)
        if exchange is None or exchange.course is None or flow.response:
            return
        flow.request.data.method = exchange.method.encode()
        flow.request.data.content = exchange.request_body
        flow.request.data.headers = to_headers(exchange.course.head)
        flow.request.data.authority = exchange.course.authority
        self._send(flow, exchange, exchange.request_body)

    def _send(self, flow: http.HTTPFlow, exchange: Exchange, body: bytes | None) -> None:
        request = flow.request
        head = fields(request.headers)
        if exchange.course is not None and not exchange.websocket:
            exchange.course.head, exchange.course.authority = [*head], request.data.authority
            flow.metadata["may_retry"] = "yes"
        who, limits = exchange.principal, self.exchanges.gateway.settings.limits
        if who is not None and who.hangup == "drain" and exchange.recorded and not exchange.websocket:
            flow.metadata["drain"] = f"{limits.drain_seconds} {limits.drain_bytes}"
        outgoing = Outgoing(
            exchange.method, request.scheme, request.host, request.port, exchange.path, head, body
        )
        self.exchanges.gateway.dispatch.prepare(exchange, outgoing)
        _apply(request, outgoing, body)
        if flow.server_conn.via is not None and exchange.entry != "connect":
            through_parent(request)
        exchange.phases.sent = self.exchanges.gateway.clock()
        exchange.waiting_since = 0.0 if exchange.upload else exchange.phases.sent

    @fail_closed
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Of a translated call: a stream goes through the relay; what is whole or an error is held."""
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or exchange.translation is None or exchange.refusal:
            return
        if exchange.recalled is not None:
            return
        client_streams = exchange.stream
        read_head(self.exchanges, exchange, response)
        exchange.stream, exchange.status = client_streams, response.status_code
        if response.status_code < 400 and exchange.translation.stream:
            self._relay(exchange, exchange.translation, response)
            hold_back(self.exchanges, exchange, flow)

    def _relay(
        self,
        exchange: Exchange,
        translation: Translation | EmbeddingTranslation,
        response: http.Response,
    ) -> None:
        exchange.tap = tap(self.exchanges, exchange, response.status_code)
        relay = translation.relay(exchange.response_type, exchange.response_encoding)
        exchange.pipe = TranslatingPipe(exchange.tap, relay, self.exchanges.gateway.clock)
        headers = answerheaders.translated(
            fields(response.headers), exchange.dialect, translation.content_type, time.time()
        )
        response.headers = to_headers(headers)
        if response.is_http11:
            response.headers["transfer-encoding"] = "chunked"
        response.stream = exchange.pipe

    @fail_closed
    def response(self, flow: http.HTTPFlow) -> None:
        """A provider's whole answer or its error, in the client's dialect."""
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or exchange.translation is None:
            return
        if exchange.refusal or exchange.pipe is not None or exchange.recalled is not None:
            return
        body = response.raw_content or b""
        reader = tap(self.exchanges, exchange, response.status_code)
        reader.feed(body, exchange.phases.first_byte)
        exchange.reading = reader.close()
        plain = encoding.inflate(body, exchange.response_encoding) or b""
        exchange.said = plain if self.exchanges.gateway.caching.wants(exchange, response.status_code) else b""
        reply = _reply(exchange, exchange.translation, response, plain)
        flow.response = to_response(reply)
        flow.response.headers[REQUEST_ID] = exchange.request_id
        exchange.status = reply.status


def _reply(
    exchange: Exchange, translation: Translation | EmbeddingTranslation, response: http.Response, plain: bytes
) -> Reply:
    """A failure inside an answer that seemed to be one has a status of its own."""
    if response.status_code >= 400:
        return translation.error(response.status_code, exchange.response_headers, plain, exchange.request_id)
    reply = translation.reply(plain, exchange.response_type, exchange.request_id)
    if reply.status >= 400:
        return reply
    headers = answerheaders.translated(fields(response.headers), exchange.dialect, WHOLE, time.time())
    return Reply(reply.status, tuple(headers), reply.body)


def _apply(request: http.Request, outgoing: Outgoing, body: bytes | None) -> None:
    """Writes `outgoing` without mitmproxy's setters, which would rewrite headers on their own."""
    request.data.method = outgoing.method.encode()
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
