"""Pages in a browser: preflights answered here, and the headers that let a page read what came.

Only for the origins that settings name and for base URLs: inside a tunnel the browser speaks with the
provider, whose own word it is.
"""

from mitmproxy import http

from addons.exchanges import Exchanges
from addons.guard import fail_open

_SECONDS = "600"
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"


def _allowed(exchanges: Exchanges, flow: http.HTTPFlow) -> str:
    """The origin that may read the answer; "" for none."""
    origins = exchanges.gateway.settings.cors.origins
    if not origins or flow.metadata.get("entry") != "base_url":
        return ""
    origin = flow.request.headers.get("origin", "")
    return origin if origin in origins or (origin and "*" in origins) else ""


def _let(headers: http.Headers, origin: str) -> None:
    headers["access-control-allow-origin"] = origin
    headers["access-control-expose-headers"] = "*"
    vary = headers.get("vary", "")
    if "origin" not in vary.lower():
        headers["vary"] = f"{vary}, Origin" if vary else "Origin"


class Preflight:
    """`OPTIONS` carries no credential, so it is answered before anybody asks for one."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        asked = flow.request.headers
        if flow.response or flow.request.method != "OPTIONS" or self.exchanges.get(flow) is None:
            return
        origin = _allowed(self.exchanges, flow)
        if not origin or "access-control-request-method" not in asked:
            return
        headers = {"access-control-allow-methods": _METHODS, "access-control-max-age": _SECONDS}
        if wanted := asked.get("access-control-request-headers"):
            headers["access-control-allow-headers"] = wanted
        if "access-control-request-private-network" in asked:
            headers["access-control-allow-private-network"] = "true"
        self.exchanges.drop(flow)
        flow.response = http.Response.make(204, b"", headers)
        _let(flow.response.headers, origin)


class Origins:
    """Behind all others: whatever is answered, the page may read it."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        origin = _allowed(self.exchanges, flow)
        if origin and flow.response is not None and self.exchanges.get(flow) is not None:
            _let(flow.response.headers, origin)

    response = responseheaders
    error = responseheaders
