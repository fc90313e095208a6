"""Signatures of reasoning: plain text beside the reasoning, base64 where the reasoning itself is redacted.

A signature of another origin travels through the client as `lli1.<origin>.<signature>`.
"""

import binascii
from base64 import b64decode, b64encode

from llm_intercept.wire.codecs.bedrock_converse.terms import NAME

TAG = "lli1."
_TAG_BASE64 = "bGxpMS"  # how base64 of the tag begins


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
    try:
        signature, origin = untagged(b64decode(content).decode())
    except (binascii.Error, ValueError):
        return content, NAME
    return (content, NAME) if origin == NAME else (signature, origin)
