"""CONNECT: which tunnels are opened, and which are decrypted: only those to providers."""

import asyncio
import ipaddress
import logging
import socket
from dataclasses import replace

from mitmproxy import http, tls
from mitmproxy.proxy import layer, layers, server_hooks
from pydantic import SecretStr

from addons.exchanges import Exchanges, Tunnel, to_response
from addons.guard import fail_closed
from llm_intercept.errors import Refusal, Reply

logger = logging.getLogger("llm_intercept")


def proxy_denied(refusal: Refusal) -> Reply:
    """407 with a sentence: what a proxy client understands before any provider's dialect applies."""
    headers = (
        ("content-type", "text/plain; charset=utf-8"),
        ("proxy-authenticate", 'Basic realm="llm-intercept"'),
    )
    return Reply(407, headers, f"{refusal.message} [{refusal.code}]\n".encode())


class TunnelGate:
    """Decides on CONNECT, and on what is read inside."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges

    @fail_closed
    def http_connect(self, flow: http.HTTPFlow) -> None:
        access, request = self.exchanges.gateway.access, flow.request
        authorization = request.headers.get("proxy-authorization", "")
        verdict = access.tunnel(authorization, self._decrypted(request.port, request.host))
        if isinstance(verdict, Refusal):
            flow.response = to_response(proxy_denied(verdict))
            return
        self.exchanges.tunnels[flow.client_conn] = Tunnel(
            request.host, request.port, SecretStr(authorization)
        )

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        tunnel = self.exchanges.tunnels.get(data.context.client)
        if tunnel is None:
            return
        host = self._provider_host(tunnel.port, tunnel.host, data.client_hello.sni)
        if not self._decrypted(tunnel.port, host):
            data.ignore_connection = True
        else:
            # A client that resolves names itself CONNECTs to an address; the certificate and the
            # upstream must still be the provider's.
            data.context.server.address = (host, tunnel.port)
            self.exchanges.tunnels[data.context.client] = replace(tunnel, host=host)

    def _decrypted(self, port: int, host: str | None) -> bool:
        """Providers that our root may sign for: any other certificate of ours would be refused."""
        known = self._provider_host(port, host) is not None
        return known and self.exchanges.gateway.registry.covered(host or "")

    def _provider_host(self, port: int, *names: str | None) -> str | None:
        by_host = self.exchanges.gateway.registry.by_host
        return next((name for name in names if name and by_host(name, port) is not None), None)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """What is not TLS in a tunnel to a stranger passes as bytes as well."""
        tunnel = self.exchanges.tunnels.get(nextlayer.context.client)
        if tunnel is None or nextlayer.layer is not None or self._provider_host(tunnel.port, tunnel.host):
            return
        start = nextlayer.data_client()[:1]
        if start and start != b"\x16":
            nextlayer.layer = layers.TCPLayer(nextlayer.context, ignore=True)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        logger.warning(
            "TLS with a client for %s failed (%s): start it by `llm-intercept run`",
            data.conn.sni or "a provider",
            data.conn.error,
        )

    async def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Off loopback nobody gets a tunnel into the private network behind us."""
        address = data.server.address
        if address is None or self.exchanges.gateway.may_reach_private(*address[:2]):
            return
        try:
            found = await asyncio.get_running_loop().getaddrinfo(*address[:2], type=socket.SOCK_STREAM)
        except OSError:
            return  # connecting fails with the resolver's own words
        if not found or any(not ipaddress.ip_address(info[4][0]).is_global for info in found):
            data.server.error = f"{address[0]} is not a public address"
        else:
            data.server.address = found[0][4][:2]  # what was checked is what is connected to
