"""The credentials that a client put on its request: every place, so that tokens are found and removed.

`Proxy-Authorization` is not among them: it is for the proxy itself and never travels on.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from llm_intercept.policy.sigv4 import parse_scope
from llm_intercept.policy.tokens import PREFIX, has_token
from llm_intercept.providers.base import Headers, Outgoing
from llm_intercept.providers.credentials import AWS_HEADERS

_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key", "x-amz-security-token")
_PROTOCOL = "sec-websocket-protocol"
# How browsers, which cannot set headers on a WebSocket, send their key to OpenAI.
_PROTOCOL_KEY = "openai-insecure-api-key."
# Headers with several values, of which others are of use without the one that is taken out.
_LISTS = {"cookie": ";", _PROTOCOL: ","}
_BEARER = re.compile(r"bearer\s+(\S.*?)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Presented:
    """One credential as sent.

    `where`: a lower-case header name, `query:NAME`, `sigv4` (the key id), or `basic` (user or password).
    """

    where: str
    value: str = field(repr=False)


def presented(headers: Mapping[str, str], query: str = "") -> list[Presented]:
    """All credentials on a request, the strongest place first. `headers` are by lower-case name."""
    found = [*_authorization(headers.get("authorization", ""))]
    found += [Presented(name, value.strip()) for name in _KEY_HEADERS if (value := headers.get(name, ""))]
    found += [Presented(_PROTOCOL, key) for key in _protocol_keys(headers.get(_PROTOCOL, ""))]
    found += [Presented("query:key", key) for key in _query_keys(query)]
    return found


def _authorization(value: str) -> Iterable[Presented]:
    bearer = _BEARER.fullmatch(value)
    if bearer:
        yield Presented("authorization", bearer[1])
    elif scope := parse_scope(value):
        yield Presented("sigv4", scope.access_key_id)
    else:  # so do HTTP libraries send what stands before the `@` of a base URL
        yield from (Presented("basic", part) for part in basic(value) if part.startswith(PREFIX))


def basic(authorization: str) -> list[str]:
    """Password and user of Basic credentials; empty if it is something else."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return []
    user, _, password = text.partition(":")
    return [password, user]


def _protocol_keys(value: str) -> list[str]:
    parts = (part.strip() for part in value.split(","))
    return [part.removeprefix(_PROTOCOL_KEY) for part in parts if part.startswith(_PROTOCOL_KEY)]


def _query_keys(query: str) -> list[str]:
    if "key=" not in query:
        return []
    pairs = (pair.partition("=") for pair in query.split("&"))
    return [unquote_plus(value) for name, _, value in pairs if name == "key" and value]


def remove(request: Outgoing, *credentials: Presented) -> None:
    """Takes these off a request, each where it still stands.

    Call it after the provider's credential was placed: a header that now carries the real key no longer
    holds the presented value and stays, in the client's own spelling and position.
    """
    for credential in credentials:
        where = credential.where
        if where == "sigv4":
            _remove_signature(request, credential.value)
        elif where == "basic":
            request.headers[:] = [h for h in request.headers if not _is_basic(h, credential.value)]
        elif where.startswith("query:"):
            _remove_query(request, where.removeprefix("query:"), credential.value)
        elif where == _PROTOCOL:
            _remove_protocol(request, credential.value)
        else:
            _remove_header(request, where, credential.value)


def strays(headers: Sequence[tuple[str, str]], credentials: Sequence[Presented]) -> Headers:
    """The headers and cookies with one of our tokens in them that `remove` leaves: no place for any."""
    found = [h for h in headers if PREFIX in h[1] and not _is_usual(h, credentials)]
    return [header for header in found if _stays(header, credentials)]


def remove_strays(request: Outgoing, credentials: Sequence[Presented]) -> list[str]:
    """Takes them out, of cookies and subprotocols only those meant; the names of the headers.

    Before the provider's credential is placed: a signature covers headers.
    """
    found = strays(request.headers, credentials)
    if not found:
        return []
    kept = [_less(header) if header in found else header for header in request.headers]
    request.headers[:] = [header for header in kept if header is not None]
    return [name.lower() for name, _ in found]


def _is_usual(header: tuple[str, str], credentials: Sequence[Presented]) -> bool:
    """What `remove` takes for sure, told quickly."""
    name, value = header[0].lower(), header[1]
    return any(c.where == name and value in (c.value, f"Bearer {c.value}") for c in credentials)


def _stays(header: tuple[str, str], credentials: Sequence[Presented]) -> bool:
    rest = Outgoing("", "", "", 0, "", [header], None)
    remove(rest, *credentials)
    return any(has_token(value) for _, value in rest.headers)


def _less(header: tuple[str, str]) -> tuple[str, str] | None:
    name, value = header
    separator = _LISTS.get(name.lower())
    parts = value.split(separator) if separator else []
    kept = [part.strip() for part in parts if not has_token(part)]
    return (name, f"{separator} ".join(kept)) if kept else None


def _is_basic(header: tuple[str, str], value: str) -> bool:
    return header[0].lower() == "authorization" and value in basic(header[1])


def _remove_signature(request: Outgoing, access_key_id: str) -> None:
    scope = parse_scope(request.header("authorization") or "")
    if scope is not None and scope.access_key_id == access_key_id:
        request.drop_header("authorization", *AWS_HEADERS)


def _remove_query(request: Outgoing, name: str, value: str) -> None:
    path, mark, query = request.path.partition("?")
    pairs = [pair for pair in query.split("&") if not _is_pair(pair, name, value)]
    request.path = path + (mark + "&".join(pairs) if pairs else "")


def _is_pair(pair: str, name: str, value: str) -> bool:
    given, _, text = pair.partition("=")
    return given == name and unquote_plus(text) == value


def _remove_protocol(request: Outgoing, key: str) -> None:
    parts = [part.strip() for part in (request.header(_PROTOCOL) or "").split(",")]
    kept = [part for part in parts if part and part != _PROTOCOL_KEY + key]
    if kept:
        request.set_header(_PROTOCOL, ", ".join(kept))
    else:
        request.drop_header(_PROTOCOL)


def _remove_header(request: Outgoing, name: str, value: str) -> None:
    """By value: every header of this name that still carries it, bare or as a bearer."""

    def carries(text: str) -> bool:
        bearer = _BEARER.fullmatch(text)
        return value in (text.strip(), bearer[1] if bearer else None)

    request.headers[:] = [h for h in request.headers if h[0].lower() != name or not carries(h[1])]
