"""Signatures of reasoning: plain text beside the reasoning, base64 where the reasoning itself is redacted.

A signature of another origin travels through the client as `lli1.<origin>.<signature>`. That of a tool's
call (Gemini) has no field here: it goes as a redacted block right after its call, tagged `lli1call.` instead.
"""

import binascii
from base64 import b64decode, b64encode

from llm_intercept.wire.codecs.bedrock_converse.terms import NAME

TAG = "lli1."
CALL_TAG = "lli1call."
# How base64 of the tags begins.
_TAG_BASE64 = "bGxpMS"
_CALL_TAG_BASE64 = "bGxpMWNhbGwu"


def tagged(signature: str, origin: str) -> str:
    """A signature as the client keeps it."""
    return signature if not signature or origin in ("", NAME) else f"{TAG}{origin}.{signature}"


def untagged(signature: str) -> tuple[str, str]:
    """(signature, origin) of what a client sends back; without a tag it is this dialect's own."""
    if not signature.startswith(TAG):
        return signature, NAME
    origin, _, rest = signature[len(TAG) :].partition(".")
    return (rest, origin) if origin and rest else (signature, NAME)


def sealed(signature: str, origin: str) -> str:
    """The content of a redacted block as the client keeps it; the wire has bytes there."""
    if origin in ("", NAME):
        return signature
    return b64encode(tagged(signature, origin).encode("utf-8", "replace")).decode()


def unsealed(content: str) -> tuple[str, str]:
    if not content.startswith(_TAG_BASE64):
        return content, NAME
    signature, origin = untagged(_plain(content))
    return (content, NAME) if origin == NAME else (signature, origin)


def after_call(signature: str, origin: str) -> str:
    """The content of the redacted block that keeps a call's signature."""
    return b64encode(f"{CALL_TAG}{origin}.{signature}".encode("utf-8", "replace")).decode()


def of_call(content: str) -> tuple[str, str] | None:
    """(signature, origin) if this redacted block belongs to the call before it."""
    if not content.startswith(_CALL_TAG_BASE64):
        return None
    origin, _, signature = _plain(content)[len(CALL_TAG) :].partition(".")
    return (signature, origin) if origin and signature else None


def _plain(content: str) -> str:
    try:
        return b64decode(content).decode()
    except (binascii.Error, ValueError):
        return ""
