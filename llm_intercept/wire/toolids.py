"""Tool-call ids within a target's limits: deterministic and short, so nothing has to be remembered.

An id that fits passes as it is. Any other is replaced by a digest of itself: the call and its result get
the same one, in this turn and in every later turn that the client sends again. No state is put into ids.
"""

import re
from collections.abc import Iterable
from hashlib import sha256

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = 24


def fitted(original: str, pattern: re.Pattern[str], prefix: str) -> str:
    """The id itself if the target takes it (full match), else `prefix` and 24 characters of its digest."""
    return original if pattern.fullmatch(original) else prefix + _digest(original)


def restored(sent: str, originals: Iterable[str]) -> str:
    """Which of these was sent as `sent`: whatever the prefix and the pattern, the digest tells."""
    known = list(originals)
    if sent in known or len(sent) < _DIGITS:
        return sent
    return next((original for original in known if sent.endswith(_digest(original))), sent)


def _digest(original: str) -> str:
    number = int.from_bytes(sha256(original.encode("utf-8", "surrogatepass")).digest())
    digits = ""
    for _ in range(_DIGITS):
        number, digit = divmod(number, len(_ALPHABET))
        digits += _ALPHABET[digit]
    return digits
