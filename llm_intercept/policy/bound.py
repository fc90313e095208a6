"""What in a conversation only its issuer understands, and which conversation a call belongs to.

"key": ids of earlier answers, files, caches, containers, encrypted reasoning: they work with the key (the
organisation) that they were issued to. "provider": signatures of thinking, which any key of it may bring.
What translation has put into a client's history (tagged `lli1`) is for us and binds nothing.

Bodies are searched as bytes: a conversation without any of this costs one pass over it. A member's name
inside a JSON string has a backslash before its last quote, so what people write about does not count.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from llm_intercept.wire.facts import words
from llm_intercept.wire.fields import items, mapping, parse_object

type Kind = Literal["", "provider", "key"]

_MOST = 50
_TAGS = (b"lli1.", b"lli1call.", b"bGxpMS", b"bGxpMWNhbGwu")  # the last ones in base64
# Documented values for signatures that nobody is to check.
_UNCHECKED = (b"skip_thought_signature_validator", b"context_engineering_is_the_way_to_go")


@dataclass(frozen=True, slots=True)
class Bound:
    """`ids` that its issuer may be known by; `previous` is that of an earlier answer, which has a row."""

    kind: Kind = ""
    ids: tuple[str, ...] = ()
    previous: str = ""


UNBOUND = Bound()


@dataclass(slots=True)
class _Found:
    key: bool = False
    provider: bool = False
    previous: str = ""
    ids: list[str] | None = None

    def note(self, *ids: bytes) -> None:
        self.key = True
        self.ids = [*(self.ids or ()), *(i.decode("utf-8", "replace") for i in ids)]

    def result(self) -> Bound:
        if not self.key and not self.provider:
            return UNBOUND
        ids = tuple(dict.fromkeys(name for i in self.ids or () for name in (i, *kin(i))))
        return Bound("key" if self.key else "provider", ids[:_MOST], self.previous)


type _Look = Callable[[bytes, _Found], None]


def _member(names: str, value: str = r'[^"\\]{1,400}') -> re.Pattern[bytes]:
    return re.compile(rf'"(?:{names})"\s*:\s*"({value})'.encode())


_ID_INSIDE = r'(?:\{{[^{{}}]{{0,200}}?"id"\s*:\s*)?"({0})"'
_PREVIOUS = _member("previous_response_id")
_CONVERSATION = re.compile(rf'"conversation"\s*:\s*{_ID_INSIDE.format('conv_[^"]{1,200}')}'.encode())
_CONTAINER = re.compile(rf'"container"\s*:\s*{_ID_INSIDE.format('[^"]{1,200}')}'.encode())
_ITEM = _member("id", r"(?:rs|fc|msg)_(?!lli1)[\w-]{1,200}")
_REASONING = re.compile(rb'"rs_(?!lli1)')
_FILE = _member("file_id")
_CACHE = _member("cachedContent|cached_content")
_GEMINI_FILE = re.compile(rb'"(?:fileUri|file_uri)"\s*:\s*"[^"]{0,200}/v1[a-z0-9]*/(files/[\w-]{1,200})')
_AUDIO = re.compile(rb'"audio"\s*:\s*\{[^{}]{0,200}?"id"\s*:\s*"(audio_[\w-]{1,200})"')
_SEALED = _member(
    "signature|thoughtSignature|thought_signature|encrypted_content|redactedContent", r'[^"]{1,60}'
)
_DATA = _member("data", r'[^"]{1,60}')


def _previous(body: bytes, found: _Found) -> None:
    for match in _PREVIOUS.finditer(body):
        found.note(match[1])
        found.previous = match[1].decode("utf-8", "replace")


def _ids(pattern: re.Pattern[bytes]) -> _Look:
    def look(body: bytes, found: _Found) -> None:
        ids = [match[1] for match, _ in zip(pattern.finditer(body), range(_MOST), strict=False)]
        if ids:
            found.note(*ids)

    return look


def _reasoning(body: bytes, found: _Found) -> None:
    """Items that the provider has kept, by the ids of their answers; those that we made are not there."""
    if _REASONING.search(body):
        _ids(_ITEM)(body, found)


def _sealed(kind: Literal["key", "provider"]) -> _Look:
    """Signatures and encrypted thoughts of somebody else than ourselves."""

    def look(body: bytes, found: _Found) -> None:
        if any(_is_theirs(match[1]) for match in _SEALED.finditer(body)):
            setattr(found, kind, True)

    return look


def _redacted(word: bytes) -> _Look:
    """Objects of this type, whose `data` is a sealed thought; other `data` are images."""

    def look(body: bytes, found: _Found) -> None:
        at = body.find(word)
        while at >= 0 and not found.provider:
            flat = body[body.rfind(b"{", 0, at) : body.find(b"}", at) + 1]
            data = _DATA.search(flat)
            found.provider = data is not None and _is_theirs(data[1])
            at = body.find(word, at + 1)

    return look


def _is_theirs(value: bytes) -> bool:
    return not value.startswith(_TAGS) and not value.startswith(_UNCHECKED)


# By dialect: the words that are looked for in one pass, each with what to look for when it is there.
_ANTHROPIC: dict[bytes, _Look] = {
    b'"signature"': _sealed("provider"),
    b'"encrypted_content"': _sealed("provider"),
    b'"redacted_thinking"': _redacted(b'"redacted_thinking"'),
    b'"file_id"': _ids(_FILE),
    b'"container"': _ids(_CONTAINER),
}
_LOOKS: Mapping[str, dict[bytes, _Look]] = {
    "openai_responses": {
        b'"previous_response_id"': _previous,
        b'"conversation"': _ids(_CONVERSATION),
        b'"encrypted_content"': _sealed("key"),
        b'"rs_': _reasoning,
        b'"item_reference"': _ids(_ITEM),
        b'"file_id"': _ids(_FILE),
        b'"container"': _ids(_CONTAINER),
    },
    "openai_chat": {
        b'"file_id"': _ids(_FILE),
        b'"audio_': _ids(_AUDIO),
        b'"signature"': _sealed("provider"),
        b'"thought_signature"': _sealed("provider"),
        b'"reasoning.encrypted"': _redacted(b'"reasoning.encrypted"'),
    },
    "anthropic": _ANTHROPIC,
    "bedrock_invoke": _ANTHROPIC,
    "bedrock_converse": {b'"signature"': _sealed("provider"), b'"redactedContent"': _sealed("provider")},
    "gemini": {
        b'"cachedContent"': _ids(_CACHE),
        b'"cached_content"': _ids(_CACHE),
        b'"fileUri"': _ids(_GEMINI_FILE),
        b'"file_uri"': _ids(_GEMINI_FILE),
        b'"thoughtSignature"': _sealed("provider"),
        b'"thought_signature"': _sealed("provider"),
    },
}
_GATES = {
    dialect: re.compile(b'"(?:' + b"|".join(re.escape(word[1:]) for word in looks) + b")")
    for dialect, looks in _LOOKS.items()
}


def bound_items(dialect: str, body: bytes) -> Bound:
    """`body` is without content-encoding."""
    gate = _GATES.get(dialect)
    if gate is None or gate.search(body) is None:
        return UNBOUND
    found = _Found()
    for word, look in _LOOKS[dialect].items():
        if word in body:
            look(body, found)
    return found.result()


_ISSUED = re.compile(
    rb'"(?:id|name)"\s*:\s*"((?:file[-_]|conv_|cntr_|container_|files/|cachedContents/)[\w-]{1,200})"'
)


def issued(body: bytes) -> tuple[str, ...]:
    """Ids in an answer about files, caches, conversations or containers: requests will name them later."""
    found = (match[1].decode() for match, _ in zip(_ISSUED.finditer(body), range(_MOST), strict=False))
    return tuple(dict.fromkeys(found))


_KIN = re.compile(r"[a-z]{2,6}_([0-9a-f]{48}(?:[0-9a-f]{2})?)")


def kin(identifier: str) -> tuple[str, ...]:
    """What the ids of one answer of OpenAI have in common: reasoning is sent back without the answer's own.

    Seen, not documented: ids of 50 digits begin alike, those of 48 end alike.
    """
    found = _KIN.fullmatch(identifier)
    if found is None:
        return ()
    digits = found[1]
    return (f"kin:{digits[:16] if len(digits) == 50 else digits[-16:]}",)


_TURNS = ("messages", "input", "contents")
_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")
_BEFORE_USER = ("system", "developer")


def conversation_key(dialect: str, body: bytes, session_id: str) -> str:
    """The same for every turn of a conversation, as far as a call tells; "" when it does not."""
    if session_id:
        return f"session:{session_id[:200]}"
    if dialect not in _LOOKS:
        return ""
    document = parse_object(body)
    beginning = _beginning(document)
    if not beginning:
        return ""
    text = words(*(document.get(name) for name in _SYSTEM), *beginning, limit=100_000)
    return f"digest:{blake2b(text.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


def _beginning(document: Mapping[str, Any]) -> list[object]:
    """The turns up to the user's first one; what follows is different in each call."""
    turns = next((document[name] for name in _TURNS if document.get(name)), None)
    if isinstance(turns, str):
        return [turns]
    return list(_until_user(items(turns)))


def _until_user(turns: Iterable[object]) -> Iterable[object]:
    for turn in turns:
        yield mapping(turn) or turn
        if mapping(turn).get("role") not in _BEFORE_USER:
            return
