"""Step 1: is this a call to a provider, which one, and which of its operations?"""

import time

from mitmproxy import http

from addons.exchanges import Exchanges, client_ip, lowered, to_response
from addons.guard import fail_closed, refuse
from addons.tunnel import in_plain_text, proxy_denied, stopped
from llm_intercept.access import Door
from llm_intercept.entry import Arrival
from llm_intercept.environment import LOCAL_HOSTS
from llm_intercept.errors import Refusal

_LEFT = Refusal("not_found", "not_a_provider", "The host of this listener is no provider's any more.")


def entry_of(exchanges: Exchanges, flow: http.HTTPFlow) -> str:
    """The way in: "connect", "absolute" (forward proxy without TLS) or "base_url"; listeners have others."""
    if flow.client_conn in exchanges.tunnels:
        return "connect"
    if flow.metadata.get("form") == "absolute" and not exchanges.gateway.is_self(
        flow.request.host, flow.request.port
    ):
        return "absolute"
    return "base_url"


def _by_door(flow: http.HTTPFlow, door: Door, entry: str) -> str:
    """The way in by a named listener whose mode decides that, and not the call."""
    request = flow.request
    if door.entry == "reverse" and door.parent is not None:
        host, port = door.parent
        request.host_header = host if port in (80, 443) else f"{host}:{port}"
    if entry == "absolute" and door.listens is not None:
        ours = (door.listens[0], *LOCAL_HOSTS)
        entry = "base_url" if request.port == door.listens[1] and request.host in ours else entry
    return door.entry or entry


def _announced(request: http.Request) -> int | None:
    """Bytes of the request's body; None if its head does not say."""
    length = request.headers.get("content-length", "")
    if length.isdigit():
        return int(length)
    bare = request.method in ("GET", "HEAD") and "transfer-encoding" not in request.headers
    return 0 if bare else None


class Identify:
    """Attaches an `Exchange` to each flow that goes to a provider; others pass untouched."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if flow.response or flow.error:
            return
        request = flow.request
        door = self.exchanges.door_now(flow.client_conn) if self.exchanges.doors else None
        entry = entry_of(self.exchanges, flow)
        if door is not None:
            entry = _by_door(flow, door, entry)
        flow.metadata["entry"] = entry
        arrival = Arrival(
            entry=entry,
            method=request.method,
            host=request.host,
            port=request.port,
            path=request.path,
            headers=lowered(request.headers),
            client_ip=client_ip(flow.client_conn),
            provider=door.provider if door is not None else "",
        )
        entry_rules = self.exchanges.gateway.entry
        exchange = entry_rules.identify(arrival, time.perf_counter())
        if exchange is None:
            self._stranger(flow, arrival, door)
            return
        self.exchanges.attach(flow, exchange)
        if door is not None:
            exchange.listener = door.name
            if not door.open:
                refuse(self.exchanges, flow, stopped(door))
                return
        length = _announced(request)
        if length is None:
            limit = str(entry_rules.body_limit)
            flow.metadata["body_limit"] = limit
        refusal = entry_rules.check_size(exchange, length)
        if refusal is not None:
            refuse(self.exchanges, flow, refusal)

    @fail_closed
    def request(self, flow: http.HTTPFlow) -> None:
        if flow.metadata.get("too_large") and flow.response is None:
            refuse(self.exchanges, flow, self.exchanges.gateway.entry.too_large())

    def _stranger(self, flow: http.HTTPFlow, arrival: Arrival, door: Door | None) -> None:
        """Plain HTTP to a host that is no provider: proxied as it is, for those who may."""
        if arrival.entry == "base_url":
            return  # the portal answers
        authorization = arrival.headers.get("proxy-authorization", "")
        verdict = self.exchanges.gateway.access.tunnel(authorization, False, door, arrival.client_ip)
        if door is not None and (arrival.entry == "reverse" or not door.open):
            flow.response = to_response(in_plain_text(_LEFT if door.open else stopped(door)))
            return
        if isinstance(verdict, Refusal):
            self.exchanges.gateway.watch.refused(verdict, arrival.client_ip, what=arrival.method)
            flow.response = to_response(proxy_denied(verdict))
            return
        flow.request.headers.pop("proxy-authorization", None)
        flow.request.stream = True
