"""Signatures of thinking. Anthropic checks its own; those of other origins ride along under a tag.

`lli1.<origin>.<signature>` stands where a client keeps what it does not understand: in the `signature`
of a thinking block or the `data` of a redacted one. The signature of a tool call (Gemini) has no field
here: it goes as a redacted block right before its `tool_use`, tagged `lli1call.` instead.
"""

from llm_intercept.wire.codecs.anthropic.members import NAME
from llm_intercept.wire.ir import Thinking

TAG = "lli1."
CALL_TAG = "lli1call."


def tagged(signature: str, origin: str, tag: str = TAG) -> str:
    if not signature or origin in (NAME, ""):
        return signature
    return f"{tag}{origin}.{signature}"


def untagged(signature: str) -> tuple[str, str]:
    """(signature, origin); an untagged one is Anthropic's own, none at all has no origin."""
    if not signature.startswith(TAG):
        return (signature, NAME) if signature else ("", "")
    return _split(signature, TAG) or (signature, NAME)


def of_call(data: str) -> tuple[str, str] | None:
    """(signature, origin) if this redacted block belongs to the tool call after it."""
    return _split(data, CALL_TAG) if data.startswith(CALL_TAG) else None


def _split(signature: str, tag: str) -> tuple[str, str] | None:
    origin, _, rest = signature[len(tag) :].partition(".")
    return (rest, origin) if origin and rest else None


def redacted(signature: str, origin: str) -> dict[str, str]:
    return {"type": "redacted_thinking", "data": tagged(signature, origin)}


def before_call(signature: str, origin: str) -> dict[str, str]:
    return {"type": "redacted_thinking", "data": tagged(signature, origin, CALL_TAG)}


def sendable(part: Thinking) -> bool:
    """Whether Anthropic will take this thinking back: only what it has signed."""
    return part.origin == NAME and bool(part.signature)
