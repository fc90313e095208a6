"""mitmproxy without our addons: the yardstick, and the floor on which ours stands.

    python -m bench.lean MASTER PORT UPSTREAM_URL CONFDIR

MASTER `bare` is mitmproxy's own with only the parts that a proxy needs: the yardstick. `ours` is the
master of `llm-intercept proxy`, which saves some of mitmproxy's own work (llm_intercept/cli/lean.py).
"""

import asyncio
import signal
import sys

from mitmproxy import http, options
from mitmproxy.addons import core, disable_h2c, dns_resolver, errorcheck, next_layer, proxyserver, tlsconfig
from mitmproxy.master import Master


class PassStreams:
    """Without it mitmproxy holds a stream until its end, and there is nothing to compare with."""

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.stream = flow.response.headers.get("content-type", "").startswith("text/event-stream")


def make_master(kind: str) -> Master:
    if kind == "bare":
        return Master(options.Options(), with_termlog=True)
    from llm_intercept.cli.lean import LeanMaster  # it changes mitmproxy's classes

    return LeanMaster()


async def serve(kind: str, port: int, upstream: str, confdir: str) -> None:
    """The parts and options of llm_intercept/cli/proxy.py and addons/lifecycle.py."""
    master = make_master(kind)
    master.addons.add(
        core.Core(),
        proxyserver.Proxyserver(),
        tlsconfig.TlsConfig(),
        dns_resolver.DnsResolver(),
        disable_h2c.DisableH2C(),
        next_layer.NextLayer(),
        errorcheck.ErrorCheck(),
        PassStreams(),
    )
    master.options.update(
        confdir=confdir,
        mode=[f"reverse:{upstream}"],
        listen_host="127.0.0.1",
        listen_port=port,
        connection_strategy="lazy",
        upstream_cert=False,
        rawtcp=False,
        websocket=True,
        http2=True,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, master.shutdown)
    await master.run()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
