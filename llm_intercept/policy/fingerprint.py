"""Which calls are the same: a key over everything that an answer can depend on.

The key is made of what goes to the provider, without what only says who asks or how the answer is delivered
(`VOLATILE`). What is not known to be one of these counts. Shared answers therefore work across clients'
dialects, and between streams and whole answers.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import orjson

VOLATILE = frozenset(
    (
        *("stream", "stream_options", "user", "metadata", "safety_identifier", "prompt_cache_key"),
        *("prompt_cache_retention", "client_metadata", "requestMetadata", "labels"),
    )
)
"""Top-level members of bodies that no answer depends on."""

HEADERS = ("anthropic-beta", "anthropic-version", "openai-beta")
"""Fields that change what an answer is."""

# An answer to these is about something that the provider keeps, and may be another one the next time.
_BOUND = frozenset(("previous_response_id", "conversation", "background"))
_HOW = frozenset(("key", "alt"))
_STREAMED = re.compile(
    r":stream(?P<of>GenerateContent|RawPredict)\b|(?P<sub>/converse|/invoke)-(?:with-response-)?stream\b"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its provider will get it. `scope`: who shares its answer; `path` has its query."""

    scope: str
    provider: str
    host: str
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)  # lower-case names
    body: bytes = field(repr=False)
    replaced: Mapping[str, object] = field(default_factory=dict, repr=False)  # in the body, top-level


def fingerprint(asked: Asked) -> bytes | None:
    """32 bytes; None for what cannot be answered again: no JSON object, or part of a longer conversation."""
    try:
        document = orjson.loads(asked.body)
    except ValueError:
        return None
    if not isinstance(document, dict) or any(document.get(name) for name in _BOUND):
        return None
    said = {name: value for name, value in {**document, **asked.replaced}.items() if name not in VOLATILE}
    place, _, query = asked.path.partition("?")
    parts = [
        *(asked.scope, asked.provider, asked.host.lower(), asked.method, _whole(place)),
        sorted(pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in _HOW),
        [_value(name, asked.headers) for name in HEADERS],
    ]
    try:
        text = orjson.dumps([parts, said], option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):
        return None
    return hashlib.sha256(text).digest()


def _whole(path: str) -> str:
    """The endpoint that answers without a stream, where it is another one."""

    def named(found: re.Match[str]) -> str:
        if found["sub"]:
            return found["sub"]
        return f":{found['of'][0].lower()}{found['of'][1:]}"

    return _STREAMED.sub(named, path)


def _value(name: str, headers: Mapping[str, str]) -> list[str]:
    """Lists in any order say the same."""
    return sorted(part for item in headers.get(name, "").split(",") if (part := item.strip()))
