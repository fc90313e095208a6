"""Passwords and attempts at them, as rules: which passwords may be, what hashing costs, how long to wait.

Length is the only rule. After some failures each further one makes the next attempt wait longer, for the
user and for the address that it came from; nobody is locked out for longer than a quarter of an hour.
"""

import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Literal

from llm_intercept.errors import ConfigError

SHORTEST, LONGEST = 12, 1024
FORGOTTEN_S = 86_400
LONGEST_PAUSE_S = 900

type FailureScope = Literal["user", "ip"]
# Many people may share an address, so it has more attempts.
FREE: dict[FailureScope, int] = {"user": 5, "ip": 20}


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters of argon2id: the second recommended choice of RFC 9106, for 64 MiB."""

    time: int = 3
    memory_kib: int = 65_536
    parallelism: int = 4
    hash_bytes: int = 32
    salt_bytes: int = 16


def prepared(password: str) -> str:
    """The same characters give the same bytes, whatever keyboard or system they were typed on."""
    return unicodedata.normalize("NFKC", password)


def checked(password: str) -> str:
    """A new password in the form that is hashed, or ConfigError."""
    ready = prepared(password)
    if len(ready) < SHORTEST:
        raise ConfigError(f"the password is too short; use at least {SHORTEST} characters")
    if len(ready) > LONGEST:
        raise ConfigError(f"the password is too long; use at most {LONGEST} characters")
    return ready


def pause(scope: FailureScope, failures: int) -> int:
    """Seconds from the last of so many failures in a row until the next attempt is looked at."""
    excess = failures - FREE[scope]
    return 0 if excess < 0 else min(2 ** min(excess, 30), LONGEST_PAUSE_S)


def origin(address: str) -> str:
    """What counts as one address: for IPv6 the network that a single customer gets."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((int(found), 64), strict=False))
