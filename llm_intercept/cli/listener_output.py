"""How `llm-intercept listener` shows listeners: tables, JSON, and how to point a client at one."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llm_intercept import presence
from llm_intercept.cli.output import print_json, print_table
from llm_intercept.cli.session import Session
from llm_intercept.policy import listeners as rules
from llm_intercept.store.listeners import Listener

_COLUMNS = {
    "name": "listener",
    "standing": "state",
    "port": "port",
    "host": "host",
    "mode": "mode",
    "provider": "provider",
    "project": "project",
    "auth": "auth",
    "cache": "cache",
}


def address(listener: Listener) -> str:
    """Where it listens, or what it captures."""
    if listener.port is None:
        return listener.mode
    host = f"[{listener.host}]" if ":" in listener.host else listener.host
    return f"{host}:{listener.port}"


def table(session: Session, listeners: Sequence[Listener]) -> None:
    alive = presence.find(session.home.path) is not None
    rows = [
        {
            **asdict(listener),
            "standing": listener.standing(alive),
            "port": str(listener.port or "-"),
            "host": listener.host or "-",
            "provider": listener.provider or "-",
            "project": listener.project or "-",
            "auth": listener.auth or "as set",
            "cache": listener.cache or "as set",
        }
        for listener in listeners
    ]
    print_table(_COLUMNS, rows)


def record(listener: Listener, alive: bool) -> dict[str, Any]:
    return {**asdict(listener), "standing": listener.standing(alive), "url": listener.url}


def as_json(session: Session, listener: Listener) -> None:
    print_json(record(listener, presence.find(session.home.path) is not None))


def all_as_json(session: Session, listeners: Sequence[Listener]) -> None:
    alive = presence.find(session.home.path) is not None
    print_json([record(listener, alive) for listener in listeners])


def how_to_connect(session: Session, listener: Listener) -> str:
    """Lines for a shell, by what its mode is."""
    mode, here = rules.parse(listener.mode), listener.url
    ca = session.home.certs / "mitmproxy-ca-cert.pem"
    match mode.kind:
        case "local":
            return f"Start a program that it captures ({mode.apps}); the program must trust {ca}."
        case "wireguard":
            client = session.home.path / f"wireguard-{listener.name}.conf"
            return f"Give a WireGuard client the configuration in {client} (written when it starts)\n" + (
                f"and let the programs behind it trust {ca}."
            )
        case "reverse":
            return f"As a base URL:\n  {here}   in place of {mode.scheme}://{mode.host}"
    return (
        f"As a proxy, for programs that stay as they are:\n"
        f"  export HTTPS_PROXY={here} SSL_CERT_FILE={session.home.certs / 'bundle.pem'}\n"
        f"As a base URL:\n"
        f"  export OPENAI_BASE_URL={here}/v1 ANTHROPIC_BASE_URL={here}"
    )
