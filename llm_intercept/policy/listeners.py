"""What a named listener's mode means, which ports it may have, and how strict it is with tokens. Pure."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from llm_intercept.errors import ConfigError
from llm_intercept.providers.hosts import is_name

type Kind = Literal["regular", "reverse", "upstream", "local", "wireguard"]

KINDS: tuple[Kind, ...] = ("regular", "reverse", "upstream", "local", "wireguard")
FORMS = "regular, reverse:URL, upstream:URL, local:APP or wireguard"
LOWEST_PORT, HIGHEST_PORT = 1024, 65535
PICKED_PORTS = range(8001, 9001)
# Programs by name or process id, several with commas, `!` excludes; `@` would begin an address.
_APPS = re.compile(r"[^@\s][^@\n]*")


@dataclass(frozen=True, slots=True)
class Mode:
    """`host` and `port` are those of the URL in `reverse:` and `upstream:`, `apps` what `local:` captures."""

    kind: Kind
    scheme: str = ""
    host: str = ""
    port: int = 0
    apps: str = ""

    @property
    def has_port(self) -> bool:
        """Whether it listens on a port of this machine; captured programs need none."""
        return self.kind != "local"

    @property
    def transport(self) -> Literal["tcp", "udp"]:
        return "udp" if self.kind == "wireguard" else "tcp"

    @property
    def entry(self) -> str:
        """The way in of its calls: "" where a call itself says whether it is a tunnel or a base URL."""
        return {"reverse": "reverse", "local": "captured", "wireguard": "captured"}.get(self.kind, "")

    @property
    def address(self) -> tuple[str, int] | None:
        """Where the URL leads."""
        return (self.host, self.port) if self.host else None


def parse(text: str) -> Mode:
    """A mode as it is written by people; ConfigError says what is wrong with it."""
    kind, mark, rest = text.strip().partition(":")
    match kind.lower():
        case "regular" | "wireguard" as plain if not mark:
            return Mode(plain)
        case "reverse" | "upstream" as led:
            return _with_url(led, rest)
        case "local" if _APPS.fullmatch(rest):
            return Mode("local", apps=rest.strip())
        case "local":
            raise ConfigError("local needs the programs to capture, by name or process id: local:curl,4711")
    raise ConfigError(f"{text!r} is not a mode of a listener; use {FORMS}")


def _with_url(kind: Literal["reverse", "upstream"], text: str) -> Mode:
    example = "reverse:https://api.openai.com" if kind == "reverse" else "upstream:http://proxy.example:3128"
    try:
        url = urlsplit(text)
        scheme, host, port = url.scheme, url.hostname or "", url.port
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a URL ({error}); for example {example}") from None
    if scheme not in ("http", "https") or not host:
        raise ConfigError(f"{kind} needs a URL with http:// or https:// and a host, for example {example}")
    if not is_name(host):
        raise ConfigError(f"{host} cannot be the name of a host")
    if "@" in url.netloc:
        raise ConfigError(f"a name and password in the URL of {kind} are not supported; leave them out")
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ConfigError(f"the URL of {kind} has no path: {example}")
    return Mode(kind, scheme, host.lower(), port or (443 if scheme == "https" else 80))


def text_of(mode: Mode) -> str:
    """The mode in its one spelling, as it is stored and shown."""
    match mode.kind:
        case "reverse" | "upstream":
            usual = 443 if mode.scheme == "https" else 80
            port = "" if mode.port == usual else f":{mode.port}"
            return f"{mode.kind}:{mode.scheme}://{_bracketed(mode.host)}{port}"
        case "local":
            return f"local:{mode.apps}"
    return mode.kind


def spec(mode: Mode, host: str, port: int | None, keys: str = "") -> str:
    """As mitmproxy writes it; `keys` is the file with the keys of a WireGuard server.

    A reverse proxy to `https` would open a UDP port for HTTP/3 as well. Where a call really goes, and that it
    goes there by TLS, is decided with its target; so to mitmproxy it is `http` with the port of https.
    """
    match mode.kind:
        case "local":
            return f"local:{mode.apps}"
        case "reverse":
            return f"reverse:http://{_bracketed(mode.host)}:{mode.port}@{host}:{port}"
        case "upstream":
            return f"upstream:{mode.scheme}://{_bracketed(mode.host)}:{mode.port}@{host}:{port}"
    return f"{mode.kind}:{keys}@{host}:{port}" if keys else f"{mode.kind}@{host}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def needs_token(auth: str, exposed: bool, as_in_settings: bool) -> bool:
    """`auth` is the listener's own word ("" for none); off loopback nothing opens it."""
    return exposed or (as_in_settings if auth == "" else auth == "required")


def check_port(port: int) -> None:
    if not LOWEST_PORT <= port <= HIGHEST_PORT:
        raise ConfigError(
            f"{port} cannot be the port of a listener; use {LOWEST_PORT} to {HIGHEST_PORT}, "
            f"or leave it out and one of {PICKED_PORTS.start} to {PICKED_PORTS.stop - 1} is picked"
        )


def pick_port(taken: Iterable[int], is_free: Callable[[int], bool]) -> int | None:
    """The lowest that nobody has; None if there is none."""
    names = frozenset(taken)
    return next((port for port in PICKED_PORTS if port not in names and is_free(port)), None)
