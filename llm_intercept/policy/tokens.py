"""Project tokens: how they are made, told apart, shown and judged. Where they are stored belongs to `store/`.

A token is `lli_`, 43 characters of base62 (32 random bytes) and 6 characters of checksum, so that a
typing error can be told from a token that does not exist. Randomness is passed in.
"""

import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from llm_intercept.errors import ConfigError
from llm_intercept.exchange import Principal

PREFIX = "lli_"
AWS_PREFIX = "LLIA"
TOKEN_BYTES = 32
AWS_BYTES = 42  # 10 for the access key id, 32 for the secret access key
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BODY, _CHECK = 43, 6
_ANYWHERE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_BODY + _CHECK}}}")
_AWS_KEY_ID = re.compile(r"LLIA[A-Z2-7]{16}")


def has_token(text: str) -> bool:
    """Whether something of a token's shape is anywhere in a text."""
    return _ANYWHERE.search(text) is not None


@dataclass(frozen=True, slots=True)
class Wellformed:
    """Has our shape and a right checksum; whether it exists is another question."""

    text: str


@dataclass(frozen=True, slots=True)
class Mistyped:
    """Begins like one of ours, but length, alphabet or checksum are wrong."""


@dataclass(frozen=True, slots=True)
class NotOurs:
    """A credential of somebody else, most likely a provider's key."""


type Parsed = Wellformed | Mistyped | NotOurs


@dataclass(frozen=True, slots=True)
class Valid:
    principal: Principal


@dataclass(frozen=True, slots=True)
class Unknown:
    """Well-formed, but no such token here."""


@dataclass(frozen=True, slots=True)
class Revoked:
    principal: Principal


@dataclass(frozen=True, slots=True)
class Expired:
    principal: Principal


@dataclass(frozen=True, slots=True)
class Suspended:
    """Out of use until somebody resumes it."""

    principal: Principal


@dataclass(frozen=True, slots=True)
class Inactive:
    """The token is fine, its project is switched off."""

    project: str
    principal: Principal


@dataclass(frozen=True, slots=True)
class UserInactive:
    """The token is fine, the user that it belongs to is switched off."""

    principal: Principal


type TokenState = Valid | Unknown | Mistyped | Revoked | Expired | Suspended | Inactive | UserInactive


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """What is stored of a token, and when it stops to count; times are Unix seconds."""

    principal: Principal
    active: bool
    revoked: bool
    expires: float | None
    secret: bytes | None = None  # aws only, encrypted
    suspended: bool = False
    user_active: bool = True


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long tokens work: what they get that ask for nothing, and what they may ask for at most."""

    default: timedelta | None = None
    longest: timedelta | None = None

    def of(self, asked: timedelta | None) -> timedelta | None:
        """None: until revoked. ConfigError if it is too long."""
        if asked is None:
            return self.default or self.longest
        if asked == ENDLESS and self.longest is None:
            return None
        longest = self.longest or _FOREVER
        if asked > longest:
            raise ConfigError(
                f"a token may work for {duration_text(longest)} at most"
                + (" (tokens.max_lifetime)" if self.longest else "")
                + (", not for ever" if asked == ENDLESS else f", not for {duration_text(asked)}")
            )
        return asked

    def within(self, wanted: timedelta) -> timedelta:
        """As long as wanted, or as long as can be."""
        return min(wanted, self.longest or wanted)


def judge(issued: IssuedToken, now: float) -> TokenState:
    """The state of a token that exists."""
    if issued.revoked:
        return Revoked(issued.principal)
    if issued.expires is not None and issued.expires <= now:
        return Expired(issued.principal)
    if issued.suspended:
        return Suspended(issued.principal)
    if not issued.active:
        return Inactive(issued.principal.project, issued.principal)
    if not issued.user_active:
        return UserInactive(issued.principal)
    return Valid(issued.principal)


def new_token(random_bytes: bytes, prefix: str = PREFIX) -> str:
    """A token from `TOKEN_BYTES` random bytes."""
    text = prefix + _digits(int.from_bytes(random_bytes[:TOKEN_BYTES], "big"), _ALPHABET, _BODY)
    return text + _checksum(text)


def new_aws_pair(random_bytes: bytes) -> tuple[str, str]:
    """(access key id, secret access key) in the shape that AWS SDKs expect, from `AWS_BYTES` random bytes."""
    key_id = AWS_PREFIX + _digits(int.from_bytes(random_bytes[:10], "big"), _BASE32, 16)
    return key_id, _digits(int.from_bytes(random_bytes[10:AWS_BYTES], "big"), _ALPHABET, 40)


def is_ours(text: str) -> bool:
    """Whether it means to be one of our bearer tokens, right or wrong."""
    return text.startswith(PREFIX)


def is_aws_key_id(text: str) -> bool:
    """Whether it has the shape of an access key id of ours."""
    return _AWS_KEY_ID.fullmatch(text) is not None


def is_wellformed(text: str, prefix: str = PREFIX) -> bool:
    """Whether prefix, length and checksum are right."""
    length = len(prefix) + _BODY + _CHECK
    return text.startswith(prefix) and len(text) == length and _checksum(text[:-_CHECK]) == text[-_CHECK:]


def parse(text: str) -> Parsed:
    """Whether a credential is one of our bearer tokens, as far as its text tells."""
    if not text.startswith(PREFIX):
        return NotOurs()
    return Wellformed(text) if is_wellformed(text) else Mistyped()


def brought_by(project: str, token: str) -> str:
    """What a row says of the proxy's credential, where the call itself has a token of its own."""
    return f"proxy: {project}/{token}"


def hint(text: str) -> str:
    """`lli_AbCd...wxyz`: enough for a person to recognise a token, of no use to anybody else."""
    return f"{text[:8]}...{text[-4:]}"


def key_hint(key: str) -> str:
    """How a provider's key is shown: `sk-...wxyz`; a short one not at all, a service account by its name."""
    if key.lstrip().startswith("{"):
        return _account_name(key)
    if len(key) < 16:
        return "..."
    prefix = re.match(r"[A-Za-z]{2,5}[-_]", key)
    return f"{prefix[0] if prefix else ''}...{key[-4:]}"


def key_problem(key: str) -> str:
    """Why it cannot be sent to a provider; "" if it can. Service accounts are documents of several lines."""
    if key.lstrip().startswith("{") or not CONTROL.search(key):
        return ""
    return "the key has a line break or another control character in it; copy it again, as one line"


def fingerprint(key: str, digest: Callable[[str], bytes]) -> str:
    """Eight hexadecimal digits that stand for a client's own key in rows."""
    return digest(key)[:4].hex()


CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DURATION = re.compile(r"([0-9]{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SECONDS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
ENDLESS = timedelta.max  # asked for by `never`: until revoked
_FOREVER = timedelta(days=36_525)  # years have four digits


def parse_duration(text: str) -> timedelta:
    """`30d`, `12h`, `90m`, `45s`, `2w`."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise ConfigError(f"{text!r} is not a duration; write a number and a unit, such as 30d, 12h or 90m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_lifetime(text: str) -> timedelta:
    """The same, or `never`."""
    return ENDLESS if text.strip().lower() == "never" else parse_duration(text)


def duration_text(duration: timedelta) -> str:
    """The reverse of `parse_duration`, in the largest unit that fits, up to days."""
    seconds = int(duration.total_seconds())
    unit = next((u for u, size in _SECONDS.items() if seconds and seconds % size == 0), "s")
    return f"{seconds // _SECONDS[unit]}{unit}"


def _account_name(document: str) -> str:
    try:
        name = json.loads(document).get("client_email")
    except (ValueError, AttributeError):
        name = None
    return name if isinstance(name, str) and name else "{...}"


def _digits(number: int, alphabet: str, length: int) -> str:
    """The lowest `length` digits of a number, highest first."""
    base = len(alphabet)
    digits = []
    for _ in range(length):
        number, digit = divmod(number, base)
        digits.append(alphabet[digit])
    return "".join(reversed(digits))


def _checksum(text: str) -> str:
    return _digits(zlib.crc32(text.encode("utf-8", "surrogatepass")), _ALPHABET, _CHECK)
