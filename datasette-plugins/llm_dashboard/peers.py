"""Who is at the other end of a connection: itself, or somebody for whom a proxy that we trust speaks.

The server behind us is told to believe no `X-Forwarded-...` (`FORWARDED_ALLOW_IPS`, cli/dashboard.py); it
is believed here, from the addresses in the setting `dashboard.trusted_proxies` and from nobody else.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from datasette.utils.asgi import Request

from llm_dashboard.headers import App, Scope

type Network = IPv4Network | IPv6Network
_DIRECT = "llm_direct_peer"


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)


def is_in(address: str, known: Sequence[Network]) -> bool:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in known)


def wrap(app: App, trusted: Callable[[], Sequence[Network]]) -> App:
    """Puts the real client and scheme into each request, and keeps the direct peer beside them."""

    async def resolved(scope: Scope, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] == "http":
            scope = {**scope, **_facts(scope, trusted)}
        await app(scope, receive, send)

    return resolved


def _facts(scope: Scope, trusted: Callable[[], Sequence[Network]]) -> dict[str, object]:
    direct = (scope.get("client") or ("",))[0]
    known = {_DIRECT: direct}
    forwarded = _values(scope, b"x-forwarded-for"), _values(scope, b"x-forwarded-proto")
    if not any(forwarded) or not is_in(direct, networks_ := trusted()):
        return known
    hops = [hop for hop in reversed(forwarded[0]) if not is_in(hop, networks_)]
    schemes = [scheme for scheme in forwarded[1] if scheme in ("http", "https")]
    return {
        **known,
        **({"client": (hops[0][:64], 0)} if hops else {}),
        **({"scheme": schemes[-1]} if schemes else {}),
    }


def _values(scope: Scope, name: bytes) -> list[str]:
    """Of all headers of that name, in their order."""
    texts = [value.decode("latin-1") for key, value in scope.get("headers", []) if key.lower() == name]
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def direct_peer(request: Request) -> str:
    """The address of whoever is connected to us, be it a proxy."""
    return str(request.scope.get(_DIRECT, ""))


def client_ip(request: Request) -> str:
    """The address of the client, through proxies that we trust."""
    return str((request.scope.get("client") or ("",))[0])
