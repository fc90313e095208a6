"""The credentials that a client put on its request: every place, so that tokens are found and removed.

`Proxy-Authorization` is not among them: it is for the proxy itself and never travels on.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from llm_intercept.policy.sigv4 import parse_scope
from llm_intercept.providers.base import Outgoing
from llm_intercept.providers.credentials import AWS_HEADERS

_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key", "x-amz-security-token")
_PROTOCOL = "sec-websocket-protocol"
# How browsers, which cannot set headers on a WebSocket, send their key to OpenAI.
_PROTOCOL_KEY = "openai-insecure-api-key."
_BEARER = re.compile(r"bearer\s+(\S.*?)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Presented:
    """One credential as sent. `where`: a lower-case header name, `query:NAME`, or `sigv4` (the key id)."""

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
        elif where.startswith("query:"):
            _remove_query(request, where.removeprefix("query:"), credential.value)
        elif where == _PROTOCOL:
            _remove_protocol(request, credential.value)
        else:
            _remove_header(request, where, credential.value)


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
