"""The frames of Bedrock's InvokeModelWithResponseStream: each has an event of the model's own, in base64."""

import base64
import binascii

from llm_intercept.wire.fields import parse_object, text
from llm_intercept.wire.reading import Payload

CHUNK = "chunk"  # the frame's name; exceptions have others


def inside(payload: Payload) -> bytes:
    """What a frame holds; b"" for what is no such frame."""
    held = payload.get("bytes")
    try:
        return base64.b64decode(held) if isinstance(held, str) else b""
    except (binascii.Error, ValueError):
        return b""


def opened(payload: Payload) -> Payload:
    return parse_object(inside(payload))


def is_exception(event: str) -> bool:
    return text(event, 200).lower().endswith("exception")
