"""What the proxy does not import at its start, and that it is all there when somebody needs it."""

import subprocess
import sys
from textwrap import dedent

import pytest

_START = """
import sys
from llm_intercept.cli import lean_imports
lean_imports.shorten()
from mitmproxy import command, options, optmanager
from mitmproxy.addons import core, dns_resolver, next_layer, proxyserver, tlsconfig
from mitmproxy.proxy import context, layers
from mitmproxy.proxy.layers import http
from llm_intercept.policy import pricing

HEAVY = ("aioquic.quic.connection", "aioquic.h3.events", "pyparsing.core", "ruamel.yaml.main", "httpx2")

def loaded():
    return [name for name in HEAVY if name in sys.modules]

assert not loaded(), loaded()
"""


def run(code: str) -> None:
    """In a process of its own: what is loaded there is what is asked about."""
    done = subprocess.run([sys.executable, "-c", _START + dedent(code)], capture_output=True, text=True)
    assert not done.returncode, done.stderr


def test_nothing_is_an_instance_of_what_is_not_loaded() -> None:
    run("""
        assert not isinstance(http, layers.ClientQuicLayer)
        assert not isinstance(object(), (http.QuicStreamEvent, http.Http3Client))
        assert not loaded()
        """)


def test_http3_is_loaded_with_the_first_datagram() -> None:
    run("""
        stood = [layers.QuicStreamLayer]
        try:
            next_layer.quic_parse_client_hello_from_datagrams([b"no QUIC"])
        except ValueError:
            pass
        from mitmproxy.proxy.layers import quic
        from mitmproxy.proxy.layers.http import _http3
        from aioquic.h3.connection import H3_ALPN
        assert quic.__file__ and quic is http.quic is tlsconfig.quic
        assert layers.ServerQuicLayer is next_layer.ServerQuicLayer is quic.ServerQuicLayer
        assert http.Http3Client is _http3.Http3Client
        assert tlsconfig.H3_ALPN is H3_ALPN and "h3" in H3_ALPN
        event = quic.QuicStreamEvent.__new__(quic.QuicStreamEvent)
        assert isinstance(event, http.QuicStreamEvent)
        layer = quic.QuicStreamLayer.__new__(quic.QuicStreamLayer)
        assert isinstance(layer, stood[0]) and stood[0] is not quic.QuicStreamLayer
        from mitmproxy.hooks import all_hooks
        assert "quic_start_client" in all_hooks
        from llm_intercept.cli.lean_later import _Later, _Name
        left = [(m.__name__, k) for m in list(sys.modules.values()) for k, v in list(vars(m).items())
                if type(v) in (_Later, _Name)]
        assert not left, left
        """)


def test_a_layer_can_be_made_from_what_is_not_loaded() -> None:
    run("""
        from mitmproxy.connection import Client
        client = Client(peername=("::1", 1), sockname=("::1", 2), timestamp_start=0.0)
        layer = next_layer.ServerQuicLayer(context.Context(client, options.Options()), time=lambda: 0.0)
        assert type(layer).__module__ == "mitmproxy.proxy.layers.quic._stream_layers"
        """)


def test_a_class_can_inherit_from_what_is_not_loaded() -> None:
    run("""
        class Ours(layers.ClientQuicLayer):
            def __init__(self): super().__init__
        from mitmproxy.proxy.layers.quic import ClientQuicLayer
        assert Ours.__mro__[1] is ClientQuicLayer
        """)


def test_commands_are_read_as_ever() -> None:
    run("""
        class Two:
            @command.command("two")
            def two(self, first: str, second: str) -> str:
                return f"{first}+{second}"
        manager = command.CommandManager(None)
        manager.collect_commands(Two())
        assert not loaded()
        read, rest = manager.parse_partial("two 'a b' c")
        assert [part.value for part in read if part.value.strip()] == ["two", "'a b'", "c"], read
        assert manager.execute("two 'a b' c") == "a b+c"
        """)


def test_options_are_read_and_written_as_yaml() -> None:
    run("""
        import io
        found = options.Options()
        optmanager.load(found, "listen_port: 1234")
        assert found.listen_port == 1234
        optmanager.serialize(found, text := io.StringIO(), "")
        assert text.getvalue() == "listen_port: 1234\\n"
        """)


def test_prices_are_those_of_the_whole_package() -> None:
    run("""
        import genai_prices.data_snapshot
        assert len(genai_prices.data_snapshot.get_snapshot().providers) > 20
        assert not loaded()
        """)


@pytest.mark.parametrize("name", ["pyparsing", "ruamel.yaml", "genai_prices"])
def test_what_is_loaded_already_stays(name: str) -> None:
    code = f"""
        import sys, {name}
        from llm_intercept.cli import lean_imports
        before = sys.modules["{name}"]
        lean_imports.shorten()
        assert sys.modules["{name}"] is before and before.__file__
        """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True)
    assert not done.returncode, done.stderr
