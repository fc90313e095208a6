"""Captured connections (WireGuard, local): which are decrypted, told by their first bytes."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mitmproxy import connection, options
from mitmproxy.proxy import context, layer, layers
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addons.exchanges import Exchanges
from addons.tunnel import TunnelGate
from llm_intercept.access import Door
from llm_intercept.gateway import Gateway
from llm_intercept.providers import Registry

SPEC = "wireguard@127.0.0.1:51820"
ADDRESS = ("203.0.113.7", 443)


@pytest.fixture
def exchanges() -> Exchanges:
    gateway = Gateway({})
    gateway.registry = Registry()
    found = Exchanges(gateway)
    found.doors[SPEC] = Door("phone", entry="captured")
    return found


def captured(spec: str = SPEC, **more: Any) -> context.Context:
    client = connection.Client(
        peername=("10.0.0.1", 40000),
        sockname=ADDRESS,
        timestamp_start=0.0,
        proxy_mode=ProxyMode.parse(spec),
        **more,
    )
    made = context.Context(client, options.Options())
    made.server.address = ADDRESS
    return made


def hello(gate: TunnelGate, made: context.Context, sni: str | None) -> bool:
    """Whether the connection passes as bytes."""
    data = SimpleNamespace(context=made, client_hello=SimpleNamespace(sni=sni), ignore_connection=False)
    gate.tls_clienthello(cast(Any, data))
    return data.ignore_connection


def test_a_provider_is_decrypted_and_called_by_its_name(exchanges: Exchanges) -> None:
    made = captured()
    assert not hello(TunnelGate(exchanges), made, "api.openai.com")
    assert made.server.address == ("api.openai.com", 443)


def test_http3_is_left_out(exchanges: Exchanges) -> None:
    """Clients fall back to TCP, where a provider is decrypted."""
    gate, made = TunnelGate(exchanges), captured(transport_protocol="udp")
    assert hello(gate, made, "api.openai.com")
    for transport, refused in (("udp", True), ("tcp", False)):
        server = connection.Server(address=ADDRESS, transport_protocol=cast(Any, transport))
        asyncio.run(gate.server_connect(ServerConnectionHookData(server, made.client)))
        assert (server.error is not None) is refused


@pytest.mark.parametrize("sni", ["example.com", None, ""])
def test_others_pass_as_bytes(exchanges: Exchanges, sni: str | None) -> None:
    made = captured()
    assert hello(TunnelGate(exchanges), made, sni)
    assert made.server.address == ADDRESS


def test_what_came_by_no_listener_is_left_alone(exchanges: Exchanges) -> None:
    made = captured("regular@127.0.0.1:8080")
    assert not hello(TunnelGate(exchanges), made, "example.com")
    assert made.server.address == ADDRESS


@pytest.mark.parametrize(
    ("transport", "address", "start", "passes"),
    [
        ("tcp", ADDRESS, b"GET / HTTP/1.1\r\n", True),
        ("tcp", ADDRESS, b"SSH-2.0-x", True),
        ("tcp", ADDRESS, b"\x16\x03\x01", False),
        ("tcp", ("api.openai.com", 443), b"POST /v1/chat/completions HTTP/1.1\r\n", False),
        ("udp", ("10.0.0.53", 53), b"\x12\x34\x01\x00", False),
    ],
)
def test_what_is_no_tls_passes_as_bytes(
    exchanges: Exchanges, transport: Any, address: tuple[str, int], start: bytes, passes: bool
) -> None:
    made = captured(transport_protocol=transport)
    made.server.address = address
    following = layer.NextLayer(made)
    following.events.append(cast(Any, _data(made, start)))
    TunnelGate(exchanges).next_layer(following)
    assert isinstance(following.layer, layers.TCPLayer) is passes


def _data(made: context.Context, start: bytes) -> object:
    from mitmproxy.proxy.events import DataReceived

    return DataReceived(made.client, start)


@pytest.mark.parametrize(
    ("door", "address", "reached"),
    [
        (Door("a"), ("127.0.0.1", 9), True),
        (Door("a", exposed=True), ("127.0.0.1", 9), False),
        (Door("a", exposed=True, parent=("127.0.0.1", 9)), ("127.0.0.1", 9), True),
        (Door("a", exposed=True, parent=("127.0.0.1", 9)), ("127.0.0.1", 10), False),
    ],
)
def test_what_lies_behind_us(
    exchanges: Exchanges, door: Door, address: tuple[str, int], reached: bool
) -> None:
    exchanges.gateway.dispatch = cast(Any, SimpleNamespace(is_target=lambda host, port: False))
    exchanges.doors[SPEC] = replace(door, entry="captured")
    made = captured()
    server = connection.Server(address=address)
    asyncio.run(TunnelGate(exchanges).server_connect(ServerConnectionHookData(server, made.client)))
    assert (server.error is None) is reached
