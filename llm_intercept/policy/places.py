"""Where calls come from and what they call, compared with what is allowed: addresses, origins, endpoints.

Nothing here repairs what it is given: a path that two readers could take for two different ones has no
meaning, and is allowed by no rule.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote

type Network = IPv4Network | IPv6Network

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*"))
_OPERATION = re.compile(r"[a-z_]{2,40}")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.*-]*)://(\[[0-9a-f:.*]+\]|[^\[\]/\\?#:@\s]+)(?::([0-9*]{1,5}))?")
_ODD = re.compile(r"%[0-9A-Fa-f]{2}|[\\;#?\x00-\x20\x7f]|//|/\.{1,2}(?:/|$)")
_PORTS = {"http": "80", "https": "443"}
_MAPPED = 96  # bits before an IPv4 address inside an IPv6 one


@dataclass(frozen=True, slots=True)
class EndpointRule:
    """An operation of ours (`chat`), or a glob of paths with a method (`*`: any)."""

    method: str
    path: str = ""
    operation: str = ""

    def __str__(self) -> str:
        return self.operation or (self.path if self.method == "*" else f"{self.method} {self.path}")

    def fits(self, method: str, path: str, operation: str) -> bool:
        if self.operation:
            return operation == self.operation
        same = self.method in ("*", method) or (self.method, method) == ("GET", "HEAD")
        return same and fnmatchcase(path, self.path)


def endpoint(text: str) -> EndpointRule:
    """`chat`, `/v1/models*`, `POST /v1/chat/*`; ValueError says what is wrong."""
    words = text.split()
    if len(words) == 1 and _OPERATION.fullmatch(text.strip()):
        return EndpointRule("*", operation=words[0])
    method, path = ("*", words[0]) if len(words) == 1 else (words[0].upper(), words[-1])
    if len(words) > 2 or method not in _METHODS or path[:1] not in ("/", "*"):
        raise ValueError(
            f"{text!r} is no endpoint; write POST /v1/chat/*, /v1/models*, or an operation like chat"
        )
    return EndpointRule(method, path)


def plain_path(path: str) -> str | None:
    """The path as it is meant, its escapes undone once; None if it can be read in more than one way."""
    try:
        plain = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return None
    return None if not plain.startswith("/") or _ODD.search(plain) else plain


def network(text: str) -> Network:
    """An address or a network; ValueError says what is wrong."""
    try:
        found = ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no address; write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32") from None
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    if mapped is not None and found.prefixlen >= _MAPPED:
        return ip_network(f"{mapped}/{found.prefixlen - _MAPPED}")
    return found


def is_inside(address: str, networks: Iterable[Network]) -> bool:
    """Whether a client's address lies in one of these; what is no address lies in none."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in each for each in networks)


@dataclass(frozen=True, slots=True)
class OriginPattern:
    scheme: str
    host: re.Pattern[str]
    port: str

    def fits(self, scheme: str, host: str, port: str) -> bool:
        same = self.scheme in ("*", scheme) and self.host.fullmatch(host) is not None
        return same and self.port in ("*", port)


def origin_pattern(text: str) -> OriginPattern:
    """`https://app.example.com`, `https://*.example.com`, `http://localhost:*`, `*`; ValueError otherwise."""
    if text in ("*", "null"):
        return OriginPattern("*" if text == "*" else "null", re.compile(r".*" if text == "*" else ""), "*")
    parts = _split(text.strip().rstrip("/"))
    if parts is None:
        raise ValueError(f"{text!r} is no origin; write https://app.example.com or https://*.example.com")
    scheme, host, port = parts
    return OriginPattern(scheme, re.compile(re.escape(host).replace(r"\*", r"[^/:@]*")), port)


def is_origin_of(origin: str, patterns: Iterable[OriginPattern]) -> bool:
    """Whether an Origin header names one of these; it is only compared, never repaired."""
    parts = ("null", "", "") if origin == "null" else _split(origin)
    return parts is not None and "*" not in origin and any(pattern.fits(*parts) for pattern in patterns)


def _split(origin: str) -> tuple[str, str, str] | None:
    """(scheme, host, port), in lower case; the usual port where none is written."""
    found = _ORIGIN.fullmatch(origin.lower())
    return None if found is None else (found[1], found[2], found[3] or _PORTS.get(found[1], ""))
