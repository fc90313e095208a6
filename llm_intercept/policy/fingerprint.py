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

SAYING = re.compile(
    r"anthropic-(?!dangerous)[a-z-]+|openai-[a-z-]+|x-amzn-bedrock-(?!accept$)[a-z-]+|azureml-[a-z-]+"
    r"|x-ms-model-[a-z-]+|x-vertex-[a-z-]+|x-goog-user-project|extra-parameters"
)
"""Fields of a client that change what an answer is: betas, guardrails, deployments, whose account it is."""

# An answer to these is about something that the provider keeps, and may be another one the next time.
_BOUND = frozenset(("previous_response_id", "conversation", "background", "container"))
_HOW = frozenset(("key", "alt"))
_STREAMED = re.compile(
    r":stream(?P<of>GenerateContent|RawPredict)\b|(?P<sub>/converse|/invoke)-(?:with-response-)?stream\b"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its provider will get it. `scope`: who shares its answer; `path` has its query.

    `added` are the fields that settings and the plan put on it: each of them counts.
    """

    scope: str
    provider: str
    host: str
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)  # lower-case names
    body: bytes = field(repr=False)
    replaced: Mapping[str, object] = field(default_factory=dict, repr=False)  # in the body, top-level
    added: Mapping[str, str] = field(default_factory=dict, repr=False)


def fingerprint(asked: Asked) -> bytes | None:
    """32 bytes; None for what cannot be answered again: no JSON object, or part of a longer conversation."""
    try:
        document = orjson.loads(asked.body)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    whole = {**document, **asked.replaced}
    if any(whole.get(name) for name in _BOUND):
        return None
    said = {name: value for name, value in whole.items() if name not in VOLATILE}
    place, _, query = asked.path.partition("?")
    # Other bytes than UTF-8 would all be read as one and the same character; so they become none.
    asked_for = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
    parts = [
        *(asked.scope, asked.provider, asked.host.lower(), asked.method, _whole(place)),
        sorted(pair for pair in asked_for if pair[0] not in _HOW),
        _said({**asked.headers, **asked.added}, asked.added),
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


def _said(headers: Mapping[str, str], added: Mapping[str, str]) -> dict[str, list[str]]:
    """What fields say; those that are not sent say nothing."""
    counts = (name for name in headers if name in added or SAYING.fullmatch(name))
    return {name: value for name in counts if (value := _value(headers[name]))}


def _value(text: str) -> list[str]:
    """Lists in any order say the same."""
    return sorted(part for item in text.split(",") if (part := item.strip()))
