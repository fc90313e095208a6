import pytest

from addons.portal import _PAGES
from llm_intercept.entry import OWN_PAGES
from llm_intercept.errors import ConfigError
from llm_intercept.policy import listeners as rules
from llm_intercept.policy.listeners import Mode

MODES = [
    ("regular", Mode("regular"), "regular", "regular@127.0.0.1:8101"),
    (" Regular ", Mode("regular"), "regular", "regular@127.0.0.1:8101"),
    ("wireguard", Mode("wireguard"), "wireguard", "wireguard@127.0.0.1:8101"),
    ("local:curl,4711", Mode("local", apps="curl,4711"), "local:curl,4711", "local:curl,4711"),
    ("local:Some App", Mode("local", apps="Some App"), "local:Some App", "local:Some App"),
    (
        "reverse:https://API.openai.com/",
        Mode("reverse", "https", "api.openai.com", 443),
        "reverse:https://api.openai.com",
        "reverse:http://api.openai.com:443@127.0.0.1:8101",
    ),
    (
        "reverse:http://127.0.0.1:11434",
        Mode("reverse", "http", "127.0.0.1", 11434),
        "reverse:http://127.0.0.1:11434",
        "reverse:http://127.0.0.1:11434@127.0.0.1:8101",
    ),
    (
        "upstream:http://proxy.example:3128",
        Mode("upstream", "http", "proxy.example", 3128),
        "upstream:http://proxy.example:3128",
        "upstream:http://proxy.example:3128@127.0.0.1:8101",
    ),
    (
        "upstream:https://[::1]",
        Mode("upstream", "https", "::1", 443),
        "upstream:https://[::1]",
        "upstream:https://[::1]:443@127.0.0.1:8101",
    ),
]


@pytest.mark.parametrize(("text", "mode", "stored", "spec"), MODES)
def test_modes(text: str, mode: Mode, stored: str, spec: str) -> None:
    assert rules.parse(text) == mode
    assert rules.text_of(mode) == stored
    assert rules.parse(stored) == mode
    assert rules.spec(mode, "127.0.0.1", 8101) == spec


@pytest.mark.parametrize(("text", "mode", "stored", "spec"), MODES)
def test_mitmproxy_reads_them_the_same_way(text: str, mode: Mode, stored: str, spec: str) -> None:
    from mitmproxy.proxy.mode_specs import ProxyMode

    read = ProxyMode.parse(spec)
    assert read.type_name == mode.kind
    assert (read.listen_port(), read.listen_host()) == ((8101, "127.0.0.1") if mode.has_port else (None, ""))
    assert read.transport_protocol == ("both" if mode.kind == "local" else mode.transport)
    if mode.address:
        host = f"[{mode.host}]" if ":" in mode.host else mode.host
        assert read.address in ((mode.host, mode.port), (host, mode.port))  # type: ignore[attr-defined]


def test_the_keys_of_a_wireguard_server_have_a_file() -> None:
    from mitmproxy.proxy.mode_specs import ProxyMode

    read = ProxyMode.parse(rules.spec(Mode("wireguard"), "0.0.0.0", 8102, "/home/a@b/keys.json"))
    assert (read.data, read.listen_host(), read.listen_port()) == ("/home/a@b/keys.json", "0.0.0.0", 8102)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "use regular, reverse:URL"),
        ("socks5", "is not a mode of a listener"),
        ("regular:x", "is not a mode of a listener"),
        ("wireguard:x", "is not a mode of a listener"),
        ("local", "needs the programs"),
        ("local:", "needs the programs"),
        ("local:curl@9", "needs the programs"),
        ("reverse:", "needs a URL"),
        ("reverse:api.openai.com", "needs a URL"),
        ("reverse:ftp://x", "needs a URL"),
        ("reverse:https://x:port", "is not a URL"),
        ("reverse:https://x/v1", "has no path"),
        ("reverse:https://x?y=1", "has no path"),
        ("upstream:http://user:password@x", "name and password"),
        ("upstream:http://proxy..example:3128", "cannot be the name of a host"),
    ],
)
def test_what_is_no_mode(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rules.parse(text)


@pytest.mark.parametrize("kind", rules.KINDS)
def test_how_calls_come_in(kind: rules.Kind) -> None:
    expected = {"reverse": "reverse", "local": "captured", "wireguard": "captured"}
    assert Mode(kind).entry == expected.get(kind, "")


@pytest.mark.parametrize(
    ("auth", "exposed", "as_in_settings", "needed"),
    [
        ("", False, False, False),
        ("", False, True, True),
        ("open", False, True, False),
        ("required", False, False, True),
        ("", True, False, True),
        ("open", True, False, True),
    ],
)
def test_tokens(auth: str, exposed: bool, as_in_settings: bool, needed: bool) -> None:
    assert rules.needs_token(auth, exposed, as_in_settings) is needed


@pytest.mark.parametrize("port", [1024, 8101, 65535])
def test_ports_that_may_be(port: int) -> None:
    rules.check_port(port)


@pytest.mark.parametrize("port", [-1, 0, 80, 1023, 65536])
def test_ports_that_may_not_be(port: int) -> None:
    with pytest.raises(ConfigError, match="1024 to 65535"):
        rules.check_port(port)


def test_picking_a_port() -> None:
    assert rules.pick_port([], lambda _: True) == 8001
    assert rules.pick_port([8001, 8003], lambda port: port != 8002) == 8004
    assert rules.pick_port(range(8001, 9000), lambda _: True) == 9000
    assert rules.pick_port([], lambda _: False) is None


def test_the_pages_that_the_port_answers_itself_are_known() -> None:
    assert frozenset(_PAGES) == OWN_PAGES
