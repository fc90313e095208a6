"""One named listener as a server of mitmproxy: what it needs of this machine, and why it cannot be had."""

import asyncio
import errno
import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mitmproxy_rs
from mitmproxy import ctx
from mitmproxy.proxy.mode_servers import ServerInstance, WireGuardServerInstance

from addons.exchanges import Exchanges
from llm_intercept import config
from llm_intercept.access import Door
from llm_intercept.errors import ConfigError, InterceptError
from llm_intercept.policy import listeners as rules
from llm_intercept.store.listeners import Listener

# Some systems ask a person before they let programs be captured.
START_SECONDS = 60.0
FAILURES = (InterceptError, OSError, ValueError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Served:
    """A listener that runs, and the specification that its connections carry."""

    listener: Listener
    instance: ServerInstance[Any]
    spec: str


async def opened(exchanges: Exchanges, listener: Listener) -> Served:
    """Listens; raises one of FAILURES."""
    mode, home = rules.parse(listener.mode), exchanges.gateway.home.path
    keys = home / f"wireguard-{listener.name}.keys.json" if mode.kind == "wireguard" else None
    _check_system(mode)
    if keys is not None and not keys.exists():
        pair = {name: mitmproxy_rs.wireguard.genkey() for name in ("server_key", "client_key")}
        _write_private(keys, json.dumps(pair))
    spec = rules.spec(mode, listener.host, listener.port, str(keys or ""))
    instance = await _serve(exchanges.doors, spec, _door(exchanges, listener, mode))
    if isinstance(instance, WireGuardServerInstance):
        _write_private(home / f"wireguard-{listener.name}.conf", f"{instance.client_conf()}\n")
    return Served(listener, instance, spec)


async def shut(exchanges: Exchanges, served: Served) -> None:
    """Calls under way go on; their connections take no more."""
    exchanges.doors[served.spec] = replace(exchanges.doors[served.spec], open=False)
    await served.instance.stop()


async def _serve(doors: dict[str, Door], spec: str, door: Door) -> ServerInstance[Any]:
    """The door is there before the first connection can be."""
    before = doors.get(spec)
    doors[spec] = door
    try:
        instance: ServerInstance[Any] = ServerInstance.make(spec, ctx.master.addons.get("proxyserver"))
        await asyncio.wait_for(instance.start(), START_SECONDS)
    except BaseException:
        if before is None:
            del doors[spec]
        else:
            doors[spec] = before
        raise
    return instance


def _door(exchanges: Exchanges, listener: Listener, mode: rules.Mode) -> Door:
    exposed = mode.has_port and not config.is_loopback(listener.host)
    return Door(
        listener.name,
        (listener.host, listener.port) if listener.port is not None else None,
        listener.provider,
        listener.project,
        rules.needs_token(listener.auth, exposed, exchanges.gateway.access.required),
        exposed,
        mode.entry,
        mode.address,
        cache=listener.cache,
    )


def _check_system(mode: rules.Mode) -> None:
    """ConfigError says what a mode needs and this machine or this user does not have."""
    if mode.kind != "local":
        return
    if reason := mitmproxy_rs.local.LocalRedirector.unavailable_reason():
        raise ConfigError(f"programs cannot be captured here: {reason}")
    if sys.platform == "linux" and (os.geteuid() != 0 or shutil.which("sudo") is None):
        # It would ask for a password in a terminal that nobody may be looking at.
        raise ConfigError("capturing programs needs root on Linux, and sudo; run the proxy as root")


def problem(exchanges: Exchanges, listener: Listener, error: BaseException) -> str:
    """Why it could not be started, and what to do."""
    if isinstance(error, TimeoutError):
        return f"it did not start within {START_SECONDS:g} seconds"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        user = _user(exchanges, listener)
        return f"port {listener.port} is {user}; free it and start the listener again"
    words = str(error).partition("Stack backtrace")[0].split()  # of a library in Rust
    return " ".join(words) or type(error).__name__


def _user(exchanges: Exchanges, listener: Listener) -> str:
    proxyserver = ctx.master.addons.get("proxyserver")
    if listener.port in {address[1] for address in proxyserver.listen_addrs()}:
        return "used by the proxy itself"
    taken = listener.port == exchanges.gateway.settings.dashboard.port
    return "used by the dashboard" if taken else "taken by another program"


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)
