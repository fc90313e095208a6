"""Takes the credentials of a call out of whatever is kept or said of it, however they are written there."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from urllib.parse import quote_from_bytes

from pydantic import SecretStr

from llm_intercept import secrecy
from llm_intercept.cassette.cleaning import SECRET_NAME
from llm_intercept.exchange import Exchange
from llm_intercept.store.redaction import REDACTED
from llm_intercept.wire import spread

SHORTEST_KEY = 8
_HELD = re.compile(
    r'"(?:aws_?)?(?:secret_?access_?key|session_?token|private_?key|client_?secret|refresh_?token)"'
    r'\s*:\s*"((?:[^"\\]|\\.)+)"',
    re.IGNORECASE,
)


def unkeyed(exchange: Exchange, text: bytes) -> bytes:
    """Without the stored key, what the client showed, and what settings add; these may look like anything."""
    return without(text, secrets(exchange))


def secrets(exchange: Exchange) -> list[bytes]:
    """Those that `unkeyed` takes out."""
    return [*stored(exchange), *_shown(exchange)]


def holds(text: bytes, secrets: Iterable[bytes]) -> bool:
    """Whether one of them is in it, however it is written there."""
    return any(written in text for secret in secrets for written in _writings(secret))


def unspread(exchange: Exchange, body: bytes) -> bytes:
    """Without the same keys where they lie across the events of a stream."""
    known = secrets(exchange)
    return spread.without(body, lambda text: _places(known, text)) if known else body


def _places(secrets: Iterable[bytes], text: bytes) -> Iterator[tuple[int, int]]:
    for secret in secrets:
        for written in _writings(secret):
            at = text.find(written)
            while at >= 0:
                yield at, at + len(written)
                at = text.find(written, at + len(written))


def unsaid(exchange: Exchange, text: bytes) -> bytes:
    """For the client: without what is ours and not the client's own."""
    return without(text, stored(exchange))


def traced(exchange: Exchange, error: BaseException) -> str:
    """What went wrong with one call, and on which way, for a log."""
    return secrecy.traced(error, partial(unkeyed, exchange))


def without(text: bytes, secrets: Iterable[bytes]) -> bytes:
    for secret in secrets:
        for written in _writings(secret):
            if written in text:
                text = text.replace(written, REDACTED)
    return text


def stored(exchange: Exchange) -> list[bytes]:
    """The stored key (and the parts of a key pair), and headers of the settings that are named like keys."""
    secret = _text(exchange.target.secret) if exchange.target is not None else ""
    minted = _text(exchange.minted)
    parts = [secret, minted, *_members(secret)] if secret.startswith("{") else [secret, *secret.split(":")]
    added = [value for name, value in exchange.extra_headers.items() if SECRET_NAME.search(name)]
    return _long(text.encode() for text in (*parts, *added))


def _members(document: str) -> Iterator[str]:
    """The secret ones of a stored JSON key: a service account's, a temporary key pair's."""
    return (json.loads(f'"{found[1]}"') for found in _HELD.finditer(document))


def _text(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


def _shown(exchange: Exchange) -> list[bytes]:
    """What the client showed, and a key that it has put where the model's name belongs."""
    shown = [presented.value for presented in (*exchange.presented, *exchange.foreign)]
    if secrecy.shown_name(exchange.model) != exchange.model:
        shown.append(exchange.model)
    return _long(text.encode() for text in shown)


def _long(secrets: Iterable[bytes]) -> list[bytes]:
    return [secret for secret in secrets if len(secret) >= SHORTEST_KEY]


@lru_cache(maxsize=256)
def _writings(secret: bytes) -> tuple[bytes, ...]:
    """As it is, in JSON, in a URL, in hexadecimal, and in base64 wherever it begins there."""
    escaped = json.dumps(secret.decode("utf-8", "replace"))[1:-1].encode()
    found = [secret, escaped, escaped.replace(b"/", b"\\/"), quote_from_bytes(secret, safe="").encode()]
    found += [secret.hex().encode(), secret.hex().upper().encode()]
    for before in range(3):  # bytes of something else in front
        coded = base64.b64encode(bytes(before) + secret)
        whole = coded[4 if before else 0 : (before + len(secret)) // 3 * 4]
        found += [whole, whole.translate(bytes.maketrans(b"+/", b"-_"))]
    return tuple(dict.fromkeys(found))
