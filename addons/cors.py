"""`OPTIONS`, and pages in a browser: preflights answered here, and headers that let a page read what came.

Only for base URLs: inside a tunnel the client speaks with the provider, whose own word it is. Without any
origin in the settings so are preflights of base URLs; with some, no other page may use them.
"""

from mitmproxy import http

from addons.exchanges import Exchanges
from addons.guard import fail_open
from llm_intercept.exchange import Exchange
from llm_intercept.providers.endpoints import OTHER
from llm_intercept.providers.presented import presented

_SECONDS = "600"
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"


def _named(exchanges: Exchanges, flow: http.HTTPFlow) -> bool:
    """Whether settings name the pages that may make such calls, and not the provider."""
    return bool(exchanges.gateway.settings.cors.origins) and flow.metadata.get("entry") == "base_url"


def _allowed(exchanges: Exchanges, flow: http.HTTPFlow) -> str:
    """The origin that may read the answer; "" for none."""
    if not _named(exchanges, flow):
        return ""
    origins = exchanges.gateway.settings.cors.origins
    origin = flow.request.headers.get("origin", "")
    return origin if origin in origins or (origin and "*" in origins) else ""


def _let(headers: http.Headers, origin: str) -> None:
    headers["access-control-allow-origin"] = origin
    headers["access-control-expose-headers"] = "*"
    vary = headers.get("vary", "")
    if "origin" not in vary.lower():
        headers["vary"] = f"{vary}, Origin" if vary else "Origin"


class Preflight:
    """`OPTIONS` carries no credential, so it is answered before anybody asks for one. It is no call."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if flow.response or flow.request.method != "OPTIONS" or exchange is None:
            return
        asked, preflight = flow.request.headers, "access-control-request-method" in flow.request.headers
        if preflight and (origin := _allowed(self.exchanges, flow)):
            headers = _preflight(asked)
            _let(headers, origin)
        elif self._is_ours(flow, exchange, preflight):
            headers = http.Headers(allow=", ".join(self._methods(exchange)))
        else:
            return
        self.exchanges.drop(flow)
        flow.response = http.Response.make(204, b"", headers)

    def _is_ours(self, flow: http.HTTPFlow, exchange: Exchange, preflight: bool) -> bool:
        if flow.metadata.get("entry") != "base_url" or (preflight and not _named(self.exchanges, flow)):
            return False
        return not presented(exchange.request_headers, exchange.path.partition("?")[2])

    def _methods(self, exchange: Exchange) -> list[str]:
        """Those that mean something at this path; all of them where that is not known."""
        registry, every = self.exchanges.gateway.registry, _METHODS.split(", ")
        known = [m for m in every if registry.endpoint(exchange.provider, m, exchange.path) is not OTHER]
        return [*(known or every), "OPTIONS"]


def _preflight(asked: http.Headers) -> http.Headers:
    headers = http.Headers()
    headers["access-control-allow-methods"] = _METHODS
    headers["access-control-max-age"] = _SECONDS
    if wanted := asked.get("access-control-request-headers"):
        headers["access-control-allow-headers"] = wanted
    if "access-control-request-private-network" in asked:
        headers["access-control-allow-private-network"] = "true"
    return headers


class Origins:
    """Behind all others: whatever is answered, pages that settings name may read it, and no others."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if flow.response is None or self.exchanges.get(flow) is None:
            return
        if origin := _allowed(self.exchanges, flow):
            _let(flow.response.headers, origin)
        elif _named(self.exchanges, flow):
            flow.response.headers.pop("access-control-allow-origin", None)

    response = responseheaders
    error = responseheaders
