"""The end of a stream that its provider left unfinished: an error event of the stream's own dialect.

Only at the end of a frame, and where the framing can be told from the last bytes: what would make a
broken stream look like another is not written.
"""

import re
from collections.abc import Callable

import orjson

_SEQUENCE = re.compile(rb'"sequence_number":\s*(\d+)')
_DONE = b"data: [DONE]\n\n"


def farewell(dialect: str, content_type: str, last: bytes, message: str) -> bytes | None:
    """What to send after `last` (the last chunk of the stream); None where nothing well-formed can be."""
    if content_type.startswith("text/event-stream"):
        writer = _EVENTS.get(dialect)
        whole = last.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
        return writer(message, last) if writer is not None and whole else None
    if dialect == "gemini" and content_type.startswith("application/json"):
        return _gemini_array(message, last)
    if dialect == "ollama" and last.endswith(b"\n"):
        return orjson.dumps({"error": message}) + b"\n"
    return None


def _openai(message: str, last: bytes) -> bytes:
    code = "upstream_disconnected"
    return _data({"error": {"message": message, "type": "server_error", "param": None, "code": code}}) + _DONE


def _responses(message: str, last: bytes) -> bytes:
    found = _SEQUENCE.findall(last)
    event: dict[str, object] = {
        "type": "error",
        "code": "server_error",
        "message": message,
        "param": None,
        "sequence_number": int(found[-1]) + 1 if found else 0,
    }
    return b"event: error\n" + _data(event)


def _anthropic(message: str, last: bytes) -> bytes:
    return b"event: error\n" + _data({"type": "error", "error": {"type": "api_error", "message": message}})


def _gemini(message: str, last: bytes) -> bytes:
    return _data(_gemini_error(message)).replace(b"\n", b"\r\n")


def _gemini_error(message: str) -> dict[str, object]:
    return {"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}}


def _gemini_array(message: str, last: bytes) -> bytes | None:
    """An array is a document: it must be closed where an element has just ended."""
    written = last.rstrip()
    if not written.endswith((b"}", b",", b"[")):
        return None
    comma = b",\r\n" if written.endswith(b"}") else b""
    return comma + orjson.dumps(_gemini_error(message)) + b"\r\n]"


def _data(document: dict[str, object]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"


_EVENTS: dict[str, Callable[[str, bytes], bytes]] = {
    "openai_chat": _openai,
    "openai_completions": _openai,
    "openai_responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
}
