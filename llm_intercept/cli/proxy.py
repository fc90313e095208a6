"""`llm-intercept proxy`: the addons on a lean mitmproxy, with only those of its parts that we need."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from llm_intercept import config
from llm_intercept.cli import lean_imports
from llm_intercept.cli.ports import claim
from llm_intercept.home import Home
from llm_intercept.resources import addons_root

if TYPE_CHECKING:
    from addons.exchanges import Exchanges

type Arrange = Callable[["Exchanges", Sequence[object]], Sequence[object]]
"""(exchanges, the pipeline as it is) -> the pipeline as it shall be."""


@click.command()
@click.option(
    "--host",
    help="Address to listen on; off loopback, every call needs a project token.  [default: 127.0.0.1]",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 8080]")
def proxy(host: str | None, port: int | None) -> None:
    """Run the proxy alone, in the foreground.

    \b
    Example:
      llm-intercept proxy --port 8080
      curl http://127.0.0.1:8080/ready

    `llm-intercept up` runs it together with the dashboard. The same addons run on
    stock mitmproxy: mitmdump -s "$(llm-intercept addons)".
    """
    given = {"host": host, "port": port}
    overrides: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    home = Home.find(os.environ)
    home.ensure()
    settings = config.load(home, os.environ, overrides).settings
    claim(settings.host, settings.port, "--port")
    sys.exit(asyncio.run(serve(overrides)))


async def serve(overrides: dict[str, object], arrange: Arrange | None = None) -> int:
    """Runs until SIGTERM or SIGINT; the exit code. `arrange` is for commands that want other addons."""
    lean_imports.shorten()
    from mitmproxy.addons import (
        core,
        disable_h2c,
        dns_resolver,
        errorcheck,
        next_layer,
        proxyserver,
        tlsconfig,
    )
    from mitmproxy.exceptions import OptionsError

    from llm_intercept.cli.lean import LeanMaster

    sys.path.insert(0, str(addons_root()))
    from addons.gateway import addons, exchanges

    logging.getLogger().setLevel(logging.WARNING)
    exchanges.gateway.overrides = overrides
    master = LeanMaster()
    check = errorcheck.ErrorCheck()
    try:
        master.addons.add(
            core.Core(), proxyserver.Proxyserver(), tlsconfig.TlsConfig(), dns_resolver.DnsResolver()
        )
        ours = addons if arrange is None else arrange(exchanges, addons)
        master.addons.add(*ours, disable_h2c.DisableH2C(), next_layer.NextLayer(), check)
    except OptionsError as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, master.shutdown)
    await master.run()
    return 0


command = proxy
