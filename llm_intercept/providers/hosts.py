"""Host names as data: exact ones, patterns with `*` inside one label, and what a root may sign for them."""

import ipaddress
import re
from collections.abc import Collection
from functools import cache
from urllib.parse import urlsplit

from llm_intercept.errors import ConfigError

_HOST = re.compile(r"[a-z0-9*]([a-z0-9*.-]*[a-z0-9*])?(:\d{1,5})?")


def normal(host: str) -> str:
    return host.lower().rstrip(".")


def checked(host: str, owner: str) -> str:
    """A host name or pattern from settings, or an error that names it."""
    name = normal(host)
    if not _HOST.fullmatch(name) or ".." in name:
        raise ConfigError(
            f"providers.{owner}.hosts: {host!r} is not a host name; write it without scheme and path"
        )
    if "*" in name and len(constraint(name).split(".")) < 2:
        raise ConfigError(f"providers.{owner}.hosts: {host!r} would cover a whole top-level domain")
    return name


def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", r"[a-z0-9-]+"))


def constraint(host: str) -> str:
    """The DNS name whose constraint permits this host: itself, or what stands right of a pattern's `*`."""
    labels = host.split(".")
    wild = [i for i, label in enumerate(labels) if "*" in label]
    return ".".join(labels[wild[-1] + 1 :]) if wild else host


def can_be_constrained(host: str) -> bool:
    """Names with a port are plain HTTP on this machine, and addresses have no DNS name."""
    if ":" in host or "." not in host:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def permits(names: Collection[str], host: str) -> bool:
    """As X.509 reads a dNSName constraint: the name itself and everything below it."""
    labels = host.split(".")
    return any(".".join(labels[start:]) in names for start in range(len(labels)))


def is_name(host: str) -> bool:
    """Whether a resolver can be asked for it at all: no part is empty or longer than 63 characters."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


@cache
def split(base_url: str, owner: str) -> tuple[str, str, int, str]:
    """(scheme, host, port, path without trailing slash) of a base URL."""
    try:
        parts = urlsplit(base_url.strip())
        port = (443 if parts.scheme == "https" else 80) if parts.port is None else parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    known = parts.scheme in ("http", "https") and is_name(parts.hostname or ".") and bool(port)
    if not known or parts.query or parts.username is not None:
        # a password or a key in the URL must not reach a log
        shown = "this" if "?" in base_url or "@" in base_url else repr(base_url)
        raise ConfigError(
            f"{shown} is no base URL for {owner}: "
            "write http(s)://host[:port][/path], without query or password"
        )
    return parts.scheme, parts.hostname or "", port, parts.path.rstrip("/")


def remaining_prefix(prefix: str, path: str) -> str:
    """The part of a base URL's path that a request path lacks.

    `https://relay/openai/v1` with `/v1/chat` is `/openai`: base URLs are pasted with and without `/v1`.
    """
    if not prefix:
        return ""
    have, want = prefix.split("/")[1:], path.partition("?")[0].split("/")[1:]
    overlap = next((n for n in range(min(len(have), len(want)), 0, -1) if have[-n:] == want[:n]), 0)
    kept = have[: len(have) - overlap]
    return "".join(f"/{part}" for part in kept)
