"""From mitmproxy's flow to our `Exchange` and back: the only place where the two are tied together.

Per-call state is exactly one `Exchange`, held weakly by its flow; what a client connection has
proved (a tunnel's principal) is held weakly by the connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from mitmproxy import connection, http
from pydantic import SecretStr

from llm_intercept.access import Door
from llm_intercept.course import overdue
from llm_intercept.errors import Reply
from llm_intercept.exchange import Exchange, Target
from llm_intercept.gateway import Gateway
from llm_intercept.policy.listeners import needs_token
from llm_intercept.store.listeners import Listener
from llm_intercept.wire.websocket import FrameMeter

REQUEST_ID = "x-llm-intercept-request-id"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A CONNECT that was accepted; its credential is judged anew for every call inside."""

    host: str
    port: int
    authorization: SecretStr


class Exchanges:
    """The weak tables, and the gateway that every addon talks to."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.tunnels: WeakKeyDictionary[connection.Client, Tunnel] = WeakKeyDictionary()
        self.meters: WeakKeyDictionary[http.HTTPFlow, FrameMeter] = WeakKeyDictionary()  # of WebSockets
        self.draining = False  # this process is about to end
        self.doors: dict[str, Door] = {}  # by mode specification: named listeners, those stopped included
        self._listening: Mapping[str, Listener] = {}  # what the defaults of the doors are from
        self._by_flow: WeakKeyDictionary[http.HTTPFlow, Exchange] = WeakKeyDictionary()

    def door(self, client: connection.Client) -> Door | None:
        """The named listener that this client came by."""
        return self.doors.get(client.proxy_mode.full_spec) if self.doors else None

    def door_now(self, client: connection.Client) -> Door | None:
        """The same with the defaults that it has by now: what was changed counts from this call on."""
        if not self.doors:
            return None
        control = self.gateway.control
        control.refresh()
        if control.listening is not self._listening:
            self._listening = control.listening
            self.doors |= {spec: self._renewed(door) for spec, door in self.doors.items()}
        return self.door(client)

    def _renewed(self, door: Door) -> Door:
        listener = self._listening.get(door.name)
        if listener is None or not door.open:
            return door
        return replace(
            door,
            provider=listener.provider,
            project=listener.project,
            required=needs_token(listener.auth, door.exposed, self.gateway.access.required),
            cache=listener.cache,
        )

    def get(self, flow: http.HTTPFlow) -> Exchange | None:
        return self._by_flow.get(flow)

    def attach(self, flow: http.HTTPFlow, exchange: Exchange) -> None:
        self._by_flow[flow] = exchange

    def drop(self, flow: http.HTTPFlow) -> None:
        """For what turns out to be no call."""
        self._by_flow.pop(flow, None)

    def unfinished(self) -> list[Exchange]:
        return [e for e in self._by_flow.values() if not e.finished]

    def under_way(self) -> list[tuple[http.HTTPFlow, Exchange]]:
        """Calls whose answers are not over yet; of WebSockets those with a response open."""
        return [(flow, e) for flow, e in self._by_flow.items() if flow.live and self._answering(flow)]

    def idle_sockets(self) -> list[http.HTTPFlow]:
        return [f for f in self._by_flow if f.live and f.websocket is not None and not self._answering(f)]

    def _answering(self, flow: http.HTTPFlow) -> bool:
        if flow.websocket is None:
            return True
        meter = self.meters.get(flow)
        return meter is not None and meter.busy

    def overdue(self, now: float) -> list[tuple[http.HTTPFlow, Exchange, str]]:
        """Calls that have passed one of their limits, and which one; WebSockets have none."""
        live = [(f, e) for f, e in self._by_flow.items() if e.tries and not e.finished and not e.timed_out]
        found = [
            (flow, e, overdue(e, e.timeouts or self.gateway.timeouts, now, _heard(flow, e)))
            for flow, e in live
            if flow.websocket is None
        ]
        return [one for one in found if one[2]]

    def connecting(self, client: connection.Client, server: connection.Server) -> list[Exchange]:
        """This client's calls that wait for this connection to their provider."""
        return [
            e
            for flow, e in self._by_flow.items()
            if flow.client_conn is client and e.tries and not e.finished and "connected" not in flow.metadata
            if flow.server_conn.via is not None or _is_at(e.target, server)
        ]


def _is_at(target: Target | None, server: connection.Server) -> bool:
    return target is not None and (target.host, target.port) == server.address


def _heard(flow: http.HTTPFlow, exchange: Exchange) -> float:
    if exchange.pipe is not None:
        return exchange.pipe.last_byte
    stream = getattr(flow, "our_stream", lambda: None)()
    return stream.heard if stream is not None else 0.0


def client_ip(client: connection.Client) -> str:
    return client.peername[0] if client.peername else ""


def fields(headers: http.Headers) -> list[tuple[str, str]]:
    """Header fields in wire order with their case, as text (latin-1 keeps every byte)."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers.fields]


def lowered(headers: http.Headers) -> dict[str, str]:
    """Header values by lower-case name; the last one wins."""
    return {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in headers.fields}


def to_headers(pairs: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> http.Headers:
    headers = http.Headers()
    headers.fields = tuple([(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs])
    return headers


def to_response(reply: Reply) -> http.Response:
    return http.Response.make(reply.status, reply.body, to_headers(reply.headers))
