"""CONNECT: which tunnels are opened, and which are decrypted: only those to providers."""

import asyncio
import ipaddress
import logging
import socket
from dataclasses import replace

from mitmproxy import connection, http, tls
from mitmproxy.proxy import layer, layers, server_hooks
from mitmproxy.proxy.context import Context
from pydantic import SecretStr

from addons.exchanges import Exchanges, Tunnel, client_ip, to_response
from addons.guard import fail_closed
from llm_intercept.access import Door
from llm_intercept.errors import Refusal, Reply

logger = logging.getLogger("llm_intercept")


def proxy_denied(refusal: Refusal) -> Reply:
    """407 with a sentence: what a proxy client understands before any provider's dialect applies."""
    headers = (
        ("content-type", "text/plain; charset=utf-8"),
        ("proxy-authenticate", 'Basic realm="llm-intercept"'),
    )
    return Reply(407, headers, f"{refusal.message} [{refusal.code}]\n".encode())


def stopped(door: Door) -> Refusal:
    """For connections that were there already: a listener that is stopped takes no more calls."""
    return Refusal("unavailable", "listener_stopped", f"The listener {door.name} was stopped.")


def in_plain_text(refusal: Refusal) -> Reply:
    """For those who speak with no provider."""
    headers = (("content-type", "text/plain; charset=utf-8"), ("connection", "close"))
    return Reply(refusal.status, headers, f"{refusal.message} [{refusal.code}]\n".encode())


def through_parent(request: http.Request) -> None:
    """A parent proxy is told the whole URL of what is not tunnelled through it."""
    if not request.is_http2:
        whole = f"{request.host}:{request.port}" if request.scheme == "http" else ""
        request.data.authority = whole.encode()


def _is_quic(server: connection.Server, address: tuple[str, int]) -> bool:
    return server.transport_protocol == "udp" and address[1] == 443


class TunnelGate:
    """Decides on CONNECT, and on what is read inside."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def http_connect(self, flow: http.HTTPFlow) -> None:
        access, request = self.exchanges.gateway.access, flow.request
        authorization = request.headers.get("proxy-authorization", "")
        door = self.exchanges.door_now(flow.client_conn)
        if door is not None and not door.open:
            flow.response = to_response(in_plain_text(stopped(door)))
            return
        decrypted = self._decrypted(request.port, request.host)
        verdict = access.tunnel(authorization, decrypted, door, client_ip(flow.client_conn))
        if isinstance(verdict, Refusal):
            self.exchanges.gateway.watch.refused(verdict, client_ip(flow.client_conn), what="CONNECT")
            flow.response = to_response(proxy_denied(verdict))
            return
        self.exchanges.tunnels[flow.client_conn] = Tunnel(
            request.host, request.port, SecretStr(authorization)
        )

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        tunnel = self.exchanges.tunnels.get(data.context.client)
        if tunnel is None:
            self._captured(data)
            return
        host = self._provider_host(tunnel.port, tunnel.host, data.client_hello.sni)
        if not self._decrypted(tunnel.port, host):
            data.ignore_connection = True
        else:
            # A client that resolves names itself CONNECTs to an address; the certificate and the
            # upstream must still be the provider's.
            data.context.server.address = (host, tunnel.port)
            self.exchanges.tunnels[data.context.client] = replace(tunnel, host=host)

    def _captured(self, data: tls.ClientHelloData) -> None:
        """A program that was captured goes to an address; which provider that is, its hello says."""
        door, address = self.exchanges.door(data.context.client), data.context.server.address
        if door is None or door.entry != "captured" or address is None:
            return
        host = data.client_hello.sni
        tcp = data.context.client.transport_protocol == "tcp"
        if tcp and host and self._decrypted(address[1], host):
            data.context.server.address = (host, address[1])
        else:
            data.ignore_connection = True

    def _decrypted(self, port: int, host: str | None) -> bool:
        """Providers that our root may sign for: any other certificate of ours would be refused."""
        known = self._provider_host(port, host) is not None
        return known and self.exchanges.gateway.registry.covered(host or "")

    def _provider_host(self, port: int, *names: str | None) -> str | None:
        by_host = self.exchanges.gateway.registry.by_host
        return next((name for name in names if name and by_host(name, port) is not None), None)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """What is not TLS in a tunnel to a stranger passes as bytes as well."""
        goal = self._goal(nextlayer.context)
        if goal is None or nextlayer.layer is not None or self._provider_host(goal[1], goal[0]):
            return
        start = nextlayer.data_client()[:1]
        if start and start != b"\x16":
            nextlayer.layer = layers.TCPLayer(nextlayer.context, ignore=True)

    def _goal(self, context: Context) -> tuple[str, int] | None:
        """(host, port) of a tunnel or a captured connection; None where each request says it for itself."""
        if (tunnel := self.exchanges.tunnels.get(context.client)) is not None:
            return tunnel.host, tunnel.port
        door = self.exchanges.door(context.client)
        if door is None or door.entry != "captured" or context.client.transport_protocol != "tcp":
            return None
        return context.server.address[:2] if context.server.address else None

    def tls_failed_client(self, data: tls.TlsData) -> None:
        logger.warning(
            "TLS with a client for %s failed (%s): start it by `llm-intercept run`",
            data.conn.sni or "a provider",
            data.conn.error,
        )

    async def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Off loopback nobody gets a tunnel into the private network behind us."""
        address, door = data.server.address, self.exchanges.door(data.client)
        if door and door.entry == "captured" and address and _is_quic(data.server, address):
            data.server.error = "HTTP/3 would pass unseen; the client falls back to TCP"
            return
        if address is None or self._may_reach_private(door, *address[:2]):
            return
        try:
            found = await asyncio.get_running_loop().getaddrinfo(*address[:2], type=socket.SOCK_STREAM)
        except OSError:
            return  # connecting fails with the resolver's own words
        if not found or any(not ipaddress.ip_address(info[4][0]).is_global for info in found):
            data.server.error = f"{address[0]} is not a public address"
        else:
            data.server.address = found[0][4][:2]  # what was checked is what is connected to

    def _may_reach_private(self, door: Door | None, host: str, port: int) -> bool:
        gateway = self.exchanges.gateway
        if door is None:
            return gateway.may_reach_private(host, port)
        return not door.exposed or door.parent == (host, port) or gateway.dispatch.is_target(host, port)
