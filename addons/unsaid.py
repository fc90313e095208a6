"""Answers on their way to the client: a provider that repeats the stored key in an error tells it to nobody.

Only errors: what a provider says when all is well passes byte by byte. Fails closed.
"""

from mitmproxy import http

from addons.exchanges import Exchanges, fields, to_headers
from addons.guard import fail_closed
from llm_intercept.exchange import Exchange
from llm_intercept.unkeyed import unsaid
from llm_intercept.wire import encoding

CHANGE = "answer: the stored key taken out of the error"


class Unsaid:
    """Before what reads answers, so that all of them see the same."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or response.status_code < 400:
            return
        before = fields(response.headers)
        after = [(name, _clean(exchange, value)) for name, value in before]
        if after != before:
            response.headers = to_headers(after)

    @fail_closed
    def response(self, flow: http.HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or response.status_code < 400 or exchange.pipe is not None:
            return
        plain = encoding.inflate(response.raw_content or b"", exchange.response_encoding) or b""
        clean = unsaid(exchange, plain)
        if clean == plain:
            return
        exchange.changes.append(CHANGE)
        exchange.response_encoding = ""
        response.headers.pop("content-encoding", None)
        response.raw_content = clean
        if "content-length" in response.headers:
            response.headers["content-length"] = str(len(clean))


def _clean(exchange: Exchange, value: str) -> str:
    return unsaid(exchange, value.encode("latin-1", "replace")).decode("latin-1")
