"""Start and end: settings to Gateway, mitmproxy's options to what we rely on, timeouts, and a clean drain."""

import asyncio
import logging
from weakref import WeakKeyDictionary

from mitmproxy import connection, ctx, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import OptionsError
from mitmproxy.proxy import server_hooks
from mitmproxy.proxy.mode_specs import ProxyMode

from addons import drain, upstream
from addons.exchanges import Exchanges
from llm_intercept.errors import InterceptError

logger = logging.getLogger("llm_intercept")
SWEEP_SECONDS = 1.0

# No upstream is contacted before the addons have decided; what claims to be HTTP is treated as HTTP.
OPTIONS = {
    "connection_strategy": "lazy",
    "upstream_cert": False,
    "rawtcp": False,
    "websocket": True,
    "http2": True,
}


class Lifecycle:
    """Opens the gateway before the first connection and closes it after the last."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges
        self._tasks: list[asyncio.Task[None]] = []
        self._timers: WeakKeyDictionary[object, asyncio.TimerHandle] = WeakKeyDictionary()

    def load(self, loader: Loader) -> None:
        try:
            upstream.install()
            self.exchanges.gateway.open()
        except (InterceptError, OptionsError) as error:
            # mitmdump would log an exception of a script and go on without it: an open proxy.
            raise SystemExit(f"llm-intercept: {error}") from error
        ctx.options.update(**{name: value for name, value in self._options().items() if name in ctx.options})

    def _options(self) -> dict[str, object]:
        """What we rely on, and our settings wherever mitmproxy's own option was left at its default."""
        gateway = self.exchanges.gateway
        ours = {
            "listen_host": gateway.settings.host,
            "listen_port": gateway.settings.port,
        }
        options = OPTIONS | {name: value for name, value in ours.items() if not ctx.options.has_changed(name)}
        # Always: any other folder's root has no name constraints, and clients were not told to trust it.
        options["confdir"] = str(gateway.home.certs)
        if bundle := gateway.upstream_trust():
            options["ssl_verify_upstream_trusted_ca"] = str(bundle)
        return options

    def configure(self, updated: set[str]) -> None:
        if updated & {"listen_host", "listen_port", "mode"}:
            modes = [ProxyMode.parse(mode) for mode in ctx.options.mode]
            host, port = ctx.options.listen_host, ctx.options.listen_port
            self.exchanges.gateway.listening(
                [(mode.listen_host(host) or "0.0.0.0", mode.listen_port(port) or 0) for mode in modes]
            )

    def running(self) -> None:
        self._bind()
        self.exchanges.gateway.announce()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._sweep()), loop.create_task(self.exchanges.gateway.probing())]

    def _bind(self) -> None:
        """mitmdump binds its servers before a script can change `listen_host`: binds them anew."""
        host, port = ctx.options.listen_host, ctx.options.listen_port
        bound = {address[0] for address in ctx.master.addons.get("proxyserver").listen_addrs()}
        if host and bound & {"0.0.0.0", "::"} - {host}:
            ctx.options.update(
                mode=[m if "@" in m else f"{m}@{host}:{port or 8080}" for m in ctx.options.mode]
            )

    async def _sweep(self) -> None:
        """Ends calls whose provider has been silent for too long; mitmproxy has no such timeout."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for flow, exchange, limit in self.exchanges.overdue(self.exchanges.gateway.clock()):
                exchange.timed_out = True
                flow.metadata["overdue"] = str(limit)
                if limit == "total":
                    flow.metadata.pop("may_retry", None)
                await upstream.expire(ctx.master.addons.get("proxyserver"), flow)

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        limit = self._connect_limit(data.client, data.server)
        if limit:
            timer = asyncio.get_running_loop().call_later(limit, self._give_up, data.client, data.server)
            self._timers[data.server] = timer

    def _connect_limit(self, client: connection.Client, server: connection.Server) -> float:
        """For all that comes before the request is sent, the parties' handshake included."""
        waiting = self.exchanges.connecting(client, server)
        own = [e.timeouts for e in waiting if e.timeouts is not None] or [self.exchanges.gateway.timeouts]
        return max(limits.connect or limits.first_byte for limits in own)

    def server_connected(self, data: server_hooks.ServerConnectionHookData) -> None:
        if not data.server.tls:
            self._arrived(data.server)

    def tls_established_server(self, data: tls.TlsData) -> None:
        self._arrived(data.conn)

    def server_connect_error(self, data: server_hooks.ServerConnectionHookData) -> None:
        self._arrived(data.server)

    server_disconnected = server_connect_error

    def _arrived(self, server: connection.Connection) -> None:
        """Or never: in any case nobody waits for it any more."""
        if timer := self._timers.pop(server, None):
            timer.cancel()

    def _give_up(self, client: connection.Client, server: connection.Server) -> None:
        for exchange in self.exchanges.connecting(client, server):
            exchange.timed_out = True
        self._cut(client, server)

    def _cut(self, client: object, server: object) -> None:
        proxyserver = ctx.master.addons.get("proxyserver")
        upstream.cut(proxyserver, client, server)

    async def done(self) -> None:
        await drain.finished(self.exchanges)
        for task in self._tasks:
            task.cancel()
        await self.exchanges.gateway.close()
