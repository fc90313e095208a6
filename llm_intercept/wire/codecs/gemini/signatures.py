"""Signatures of thoughts. `thoughtSignature` is bytes on Google's wire, so its JSON is base64.

A signature of another origin travels through a Gemini client as base64 of `lli1.<origin>.<signature>`;
the client gives it back, perhaps in the URL-safe alphabet, as the official SDKs do with all of them.
"""

import binascii
from base64 import b64encode, urlsafe_b64decode

from llm_intercept.wire.codecs.gemini.shapes import NAME

TAG = "lli1."
_TAG_BASE64 = "bGxpMS"  # how base64 of the tag begins
# Google's documented value for function calls that no Gemini model made: it is not checked then.
BYPASS = "skip_thought_signature_validator"


def tagged(signature: str, origin: str) -> str:
    """The signature for a Gemini client's eyes: as it is when it is Gemini's own."""
    if not signature or origin == NAME:
        return signature
    return b64encode(f"{TAG}{origin}.{signature}".encode()).decode()


def untagged(signature: object) -> tuple[str, str]:
    """(signature, origin) of what a client sends."""
    if not isinstance(signature, str) or not signature:
        return "", ""
    if not signature.startswith(_TAG_BASE64):
        return signature, NAME
    origin, _, rest = _plain(signature).removeprefix(TAG).partition(".")
    return (rest, origin) if origin and rest else (signature, NAME)


def _plain(signature: str) -> str:
    padded = signature.replace("+", "-").replace("/", "_") + "=" * (-len(signature) % 4)
    try:
        text = urlsafe_b64decode(padded).decode()
    except (binascii.Error, ValueError):
        return ""
    return text if text.startswith(TAG) else ""
