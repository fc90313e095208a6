"""Pieces of a stream as they go onto the wire, and the framings they are cut by."""

import base64
import string
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import orjson
from smithy_aws_event_stream.events import EventMessage

_PADDING = string.ascii_lowercase + string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes that are sent in one write; `tokens` > 0 makes the stream's pace apply."""

    data: bytes
    tokens: int = 0


def sse(payload: Any, event: str | None = None, tokens: int = 0) -> Frame:
    """A server-sent event with LF line ends."""
    head = f"event: {event}\n".encode() if event else b""
    return Frame(head + b"data: " + orjson.dumps(payload) + b"\n\n", tokens)


def crlf_sse(payload: Any, tokens: int = 0) -> Frame:
    """A server-sent event the way Google writes it."""
    return Frame(b"data: " + orjson.dumps(payload) + b"\r\n\r\n", tokens)


def line(payload: Any, tokens: int = 0) -> Frame:
    """A line of NDJSON."""
    return Frame(orjson.dumps(payload) + b"\n", tokens)


def aws_event(kind: str, payload: dict[str, Any], tokens: int = 0) -> Frame:
    """A message of AWS's event stream encoding, with the padding `p` that Bedrock adds to each payload."""
    padding = _PADDING[: 1 + crc32(orjson.dumps(payload)) % len(_PADDING)]
    body = orjson.dumps({**payload, "p": padding})
    return Frame(_message({":event-type": kind, ":message-type": "event"}, body), tokens)


def aws_chunk(payload: dict[str, Any], tokens: int = 0) -> Frame:
    """A chunk of invoke-with-response-stream: the model's own JSON, base64 in an envelope."""
    return aws_event("chunk", {"bytes": base64.b64encode(orjson.dumps(payload)).decode()}, tokens)


def aws_exception(kind: str, message: str) -> Frame:
    """An exception inside an event stream."""
    body = orjson.dumps({"message": message})
    return Frame(_message({":exception-type": kind, ":message-type": "exception"}, body))


def _message(headers: dict[str, str], payload: bytes) -> bytes:
    message = EventMessage(headers={":content-type": "application/json", **headers}, payload=payload)
    return message.encode()
