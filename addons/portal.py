"""What the port answers itself: how to connect, health, metrics, the CA. And 404 for what nobody serves."""

import asyncio
from collections.abc import Awaitable

import orjson
from mitmproxy import http

from addons.exchanges import Exchanges
from addons.guard import fail_closed
from llm_intercept.portal import connect_page
from llm_intercept.secrecy import said

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class Portal:
    """Answers base-URL requests that name no provider."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        ours = flow.metadata.get("entry") == "base_url" and self.exchanges.get(flow) is None
        if flow.response or not ours:
            return None
        path = flow.request.path.partition("?")[0]
        if flow.request.method not in ("GET", "HEAD"):
            _send(flow, 404 if path not in _PAGES else 405, JSON, _not_found(path))
            return None
        if path == "/metrics":
            return self._metrics(flow)
        _PAGES.get(path, Portal._unknown)(self, flow)
        return None

    def _home(self, flow: http.HTTPFlow) -> None:
        _send(
            flow,
            200,
            "text/html; charset=utf-8",
            connect_page(self._address(flow), self.exchanges.gateway.dashboard_url).encode(),
        )

    def _address(self, flow: http.HTTPFlow) -> str:
        return flow.request.host_header or "127.0.0.1"

    def _alive(self, flow: http.HTTPFlow) -> None:
        _send(flow, 200, JSON, b'{"status":"ok"}')

    def _ready(self, flow: http.HTTPFlow) -> None:
        problems = self.exchanges.gateway.problems()
        if self.exchanges.draining:
            problems.append("it is being stopped")
        body = orjson.dumps({"status": "unavailable" if problems else "ready", "problems": problems})
        _send(flow, 503 if problems else 200, JSON, body)

    async def _metrics(self, flow: http.HTTPFlow) -> None:
        body = await asyncio.to_thread(self.exchanges.gateway.metrics.render)
        _send(flow, 200, self.exchanges.gateway.metrics.content_type, body)

    def _ca(self, flow: http.HTTPFlow) -> None:
        _send(flow, 200, "application/x-pem-file", self.exchanges.gateway.ca_certificate())

    def _unknown(self, flow: http.HTTPFlow) -> None:
        _send(flow, 404, JSON, _not_found(flow.request.path.partition("?")[0]))


_PAGES = {
    "/": Portal._home,
    "/health": Portal._alive,
    "/live": Portal._alive,
    "/ready": Portal._ready,
    "/metrics": Portal._unknown,
    "/ca.pem": Portal._ca,
}


def _not_found(path: str) -> bytes:
    shown = said(path)
    message = f"{shown} is no path of a known provider; name one with /PROVIDER/... (see / for examples)."
    return orjson.dumps(
        {"error": {"message": message, "type": "not_found_error", "code": "endpoint_not_found"}}
    )


def _send(flow: http.HTTPFlow, status: int, content_type: str, body: bytes) -> None:
    body = b"" if flow.request.method == "HEAD" else body
    headers = {"content-type": content_type, "cache-control": "no-store", "x-content-type-options": "nosniff"}
    flow.response = http.Response.make(status, body, headers)
