"""What looks like a key or a password, wherever somebody has put it. Pure, and without knowledge of any key.

Bodies are content and are only rid of what is surely a key (`SHAPES`, `NAMED`). Names, addresses and
sentences are rid of more: a name has no password in it, and no forty letters and digits at random.
"""

import re
import traceback
from collections.abc import Callable, Iterator
from functools import lru_cache

REDACTED = b"[redacted]"

type Clean = Callable[[bytes], bytes]

_SHORT = "gsk|xai|hf|r8|pplx|fw|csk|nvapi|tgp|vck|pa"
# Shapes of keys as their issuers publish them, and our own tokens.
_KEYS: tuple[bytes, ...] = (
    rb"(?:lli|llm_api)_[0-9A-Za-z]{12,}",
    rb"\bLLIA[A-Z2-7]{16}\b",
    rb"\bsk-[A-Za-z0-9_-]{16,}",
    rb"\b(?:" + _SHORT.encode() + rb")[-_][A-Za-z0-9_-]{20,}",
    rb"\bAIza[0-9A-Za-z_-]{30,}",
    rb"\bya29\.[0-9A-Za-z_.-]{20,}",
    rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    rb"\bgh[pousr]_[A-Za-z0-9]{30,}",
    rb"\bgithub_pat_[A-Za-z0-9_]{30,}",
    rb"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    rb"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{1,8000}-----END [A-Z ]{0,30}PRIVATE KEY-----",
)
# Values after the usual names of credentials; what stands before them stays.
_NAMED: tuple[bytes, ...] = (
    rb"((?i:bearer|basic) )[A-Za-z0-9._~+/=-]{12,}",
    rb"((?i:\"?(?:authorization|x-api-key|api[_-]?key|secret[_-]?(?:access[_-]?)?key|password|access_token)\\{0,7}\"?"
    rb"\s{0,4}[:=]\s{0,4}\\{0,7}\"?))[^\s\"'\\,}&]{8,}",
)
# How they begin: `keyed` looks for these first, which is cheap.
_BEGIN: tuple[bytes, ...] = (
    *(b"lli_", b"llm_api_", b"LLIA", b"sk-", b"AIza", b"ya29.", b"AKIA", b"ASIA", b"github_pat_", b"eyJ"),
    *(b"-----BEGIN ", *(b"gh%c_" % kind for kind in b"pousr"), *(b"xox%c-" % kind for kind in b"abprs")),
    *(f"{name}{sign}".encode() for name in _SHORT.split("|") for sign in "-_"),
)
_NAMES = (b"bearer ", b"basic ", b"authorization", b"api", b"secret", b"password", b"access_token")
SHAPES = re.compile(b"|".join(_KEYS))
NAMED = tuple(re.compile(pattern) for pattern in _NAMED)
_SECRET_NAME = re.compile(
    r"(.*[_.-])?(authorization|(api|access|secret|private|auth|tenant)[_-]?key|password|passwd|secret"
    r"|(access|auth|api|bearer|refresh|session|security)[_-]?token|cookie)",
    re.IGNORECASE,
)
_USERINFO = re.compile(rb"(://)[^/@\s\"']{1,300}@")
# As long as the shortest keys without a prefix; what providers call their things is shorter.
_RANDOM = re.compile(rb"(?<![A-Za-z0-9])[A-Za-z0-9]{32,}(?![A-Za-z0-9])")
_KINDS = tuple(re.compile(kind) for kind in (rb"[a-z]", rb"[A-Z]", rb"[0-9]"))
# No key: `xai-grok-4-fast-reasoning` is a model.
_WORDS = re.compile(rb"[a-z0-9.]{1,12}(?:-[a-z0-9.]{1,12})+")
SHORTEST = 8
_LONGEST_WORD = len("authentication")


def said(text: str) -> str:
    """A sentence or a document without what looks like a key in it, however it came there."""
    if len(text) < SHORTEST:
        return text
    clean = named(text.encode("utf-8", "replace"))
    return _named_values(_USERINFO.sub(rb"\1" + REDACTED + b"@", clean)).decode("utf-8", "replace")


def named(text: bytes) -> bytes:
    """A name, a path or a model as it is kept: people paste keys where names belong."""
    return _RANDOM.sub(_unless_ordinary, SHAPES.sub(_unless_words, text))


def keyed(text: bytes) -> bool:
    """Whether there is anything in a body that is surely a key (`SHAPES`, `NAMED`)."""
    if any(SHAPES.match(text, at) for begin in _BEGIN for at in _places(begin, text)):
        return True
    lower = text.lower()
    return any(name.match(text, at) for word in _NAMES for at in _places(word, lower) for name in NAMED)


def _places(word: bytes, text: bytes) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def traced(error: BaseException, clean: Clean = bytes) -> str:
    """An exception with its way, for a log: it may say anything. `clean` knows keys by themselves."""
    text = "".join(traceback.format_exception(error))
    return said(clean(text.encode("utf-8", "replace")).decode("utf-8", "replace"))


def documented(json: bytes) -> str:
    """The same for JSON, where whatever is called a password is one."""
    for pattern in NAMED:
        json = pattern.sub(rb"\1" + REDACTED, json)
    return said(json.decode("utf-8", "replace"))


@lru_cache(maxsize=1024)
def shown_name(text: str) -> str:
    """The same for text."""
    return named(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def cleaned(value: object) -> object:
    """A JSON value, its names as well, for people."""
    if isinstance(value, str):
        return said(value)
    if isinstance(value, dict):
        return {said(name): cleaned(below) for name, below in value.items()}
    return [cleaned(below) for below in value] if isinstance(value, list) else value


@lru_cache(maxsize=1024)
def unshaped(text: str) -> str:
    """An id that others make, which may well be forty letters and digits: without what is surely a key."""
    return SHAPES.sub(_unless_words, text.encode("utf-8", "replace")).decode("utf-8", "replace")


def suspicious(value: object) -> bool:
    """Whether anything in a JSON document looks like a key."""
    return next(suspects(value), None) is not None


def suspects(value: object, place: str = "") -> Iterator[str]:
    """Where in a JSON document something stands that looks like a key: dotted, "" for the document itself."""
    if isinstance(value, str):
        if said(value) != value:
            yield place
    elif isinstance(value, dict):
        for name, below in value.items():
            if said(name) != name:
                yield place
            here = f"{place}.{said(name)}" if place else said(name)
            if isinstance(below, str) and len(below) >= SHORTEST and _SECRET_NAME.fullmatch(name):
                yield here
            yield from suspects(below, here)
    elif isinstance(value, list | tuple):
        for number, below in enumerate(value):
            yield from suspects(below, f"{place}.{number}" if place else str(number))


def _named_values(text: bytes) -> bytes:
    for pattern in NAMED:
        text = pattern.sub(_unless_a_word, text)
    return text


def _unless_a_word(found: re.Match[bytes]) -> bytes:
    """Of a sentence about basic authentication nothing is taken out."""
    value = found[0][len(found[1]) :]
    is_word = len(value) <= _LONGEST_WORD and value.isalpha() and value.islower()
    return found[0] if is_word else found[1] + REDACTED


def _unless_words(found: re.Match[bytes]) -> bytes:
    return found[0] if _WORDS.fullmatch(found[0]) else REDACTED


def _unless_ordinary(found: re.Match[bytes]) -> bytes:
    """Hashes have no capitals, and words no figures."""
    return REDACTED if all(kind.search(found[0]) for kind in _KINDS) else found[0]
