"""Takes secrets out of captured bodies before they are stored. Pure."""

import re
from collections.abc import Iterable
from functools import lru_cache

from llm_intercept.errors import ConfigError

REDACTED = b"[redacted]"

# Each with one group that stays, or none. Shapes of keys as their issuers publish them; values after
# the usual names of credentials; our own tokens.
_KEYS: tuple[bytes, ...] = (
    rb"(?:lli|llm_api)_[0-9A-Za-z]{12,}",
    rb"\bLLIA[A-Z2-7]{16}\b",
    rb"\bsk-[A-Za-z0-9_-]{16,}",
    rb"\b(?:gsk|xai|hf|r8|pplx|fw|csk|nvapi|tgp|vck|pa)[-_][A-Za-z0-9_-]{20,}",
    rb"\bAIza[0-9A-Za-z_-]{30,}",
    rb"\bya29\.[0-9A-Za-z_.-]{20,}",
    rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    rb"\bgh[pousr]_[A-Za-z0-9]{30,}",
    rb"\bgithub_pat_[A-Za-z0-9_]{30,}",
    rb"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    rb"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{1,8000}-----END [A-Z ]{0,30}PRIVATE KEY-----",
)
_NAMED: tuple[bytes, ...] = (
    rb"((?i:bearer|basic) )[A-Za-z0-9._~+/=-]{12,}",
    rb"((?i:\"?(?:authorization|x-api-key|api[_-]?key|secret[_-]?(?:access[_-]?)?key|password|access_token)\\{0,7}\"?"
    rb"\s{0,4}[:=]\s{0,4}\\{0,7}\"?))[^\s\"'\\,}&]{8,}",
)
# No key: `xai-grok-4-fast-reasoning` is a model.
_WORDS = re.compile(rb"[a-z0-9.]{1,12}(?:-[a-z0-9.]{1,12})+")
_BUILT_IN = re.compile(b"|".join(_KEYS))
_BUILT_IN_NAMED = tuple(re.compile(pattern) for pattern in _NAMED)


class Redaction:
    """The built-in patterns and the operator's own (regular expressions over text)."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._own = tuple(_compiled(pattern) for pattern in patterns)

    def __call__(self, body: bytes) -> bytes:
        body = _BUILT_IN.sub(REDACTED, body)
        for named in _BUILT_IN_NAMED:
            body = named.sub(rb"\1" + REDACTED, body)
        for own in self._own:
            body = own.sub(REDACTED, body)
        return body


@lru_cache(maxsize=1024)
def shown_name(text: str) -> str:
    """A path or a model's name as it is kept: people paste keys where names belong."""
    return _BUILT_IN.sub(_unless_words, text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _unless_words(found: re.Match[bytes]) -> bytes:
    return found[0] if _WORDS.fullmatch(found[0]) else REDACTED


def _compiled(pattern: str) -> re.Pattern[bytes]:
    try:
        return re.compile(pattern.encode())
    except re.error as error:
        raise ConfigError(f"capture.redact: {pattern!r} is not a regular expression: {error}") from error
