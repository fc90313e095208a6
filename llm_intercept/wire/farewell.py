"""The end of a stream that its provider left unfinished: an error event of the stream's own dialect.

Only at the end of a frame: what would make a broken stream look like another is not written.
"""

import re
from collections.abc import Callable, Mapping

import orjson

from llm_intercept.wire.framing import eventstream
from llm_intercept.wire.framing.choose import LINES

_SEQUENCE = re.compile(rb'"sequence_number":\s*(\d+)')
_SSE = "text/event-stream"
_DONE = b"data: [DONE]\n\n"


def farewell(
    dialect: str, content_type: str, last: bytes, message: str, *, late: bool = False
) -> bytes | None:
    """What to send after a frame; None where nothing well-formed can be.

    `last` is the last chunk of the stream, b"" if there was none. `late`: it took too long.
    """
    kind = _kind(content_type)
    if kind == _SSE:
        writer = _EVENTS.get(dialect)
        return writer(message, last, late) if writer is not None else None
    if kind == "application/vnd.amazon.eventstream" and dialect in _AMAZON:
        timed_out = late and dialect == "bedrock_invoke"  # the other API has no such exception
        name = "modelTimeoutException" if timed_out else "modelStreamErrorException"
        return eventstream.encode(name, orjson.dumps({"message": message}))
    if dialect == "gemini" and kind == "application/json":
        return _gemini_array(message, last, late)
    if dialect == "ollama" and kind in LINES:
        return orjson.dumps({"error": message}) + b"\n"
    return None


def closing(dialect: str, content_type: str, last: bytes) -> bytes:
    """What is still missing of a stream whose content has come to its end."""
    kind, end = _kind(content_type), last.rstrip()
    if kind == _SSE and _EVENTS.get(dialect) is _openai and not end.endswith(b"[DONE]"):
        return _DONE
    if dialect == "gemini" and kind == "application/json" and end.endswith((b"}", b",")):
        return b"\r\n]"
    return b""


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _openai(message: str, last: bytes, late: bool) -> bytes:
    kind = "timeout_error" if late else "server_error"
    return _data({"error": {"message": message, "type": kind, "param": None, "code": _code(late)}}) + _DONE


def _code(late: bool) -> str:
    return "upstream_timeout" if late else "upstream_disconnected"


def _responses(message: str, last: bytes, late: bool) -> bytes:
    found = _SEQUENCE.findall(last)
    event = {
        "type": "error",
        "code": _code(late) if late else "server_error",
        "message": message,
        "param": None,
        "sequence_number": int(found[-1]) + 1 if found else 0,
    }
    return b"event: error\n" + _data(event)


def _anthropic(message: str, last: bytes, late: bool) -> bytes:
    error = {"type": "timeout_error" if late else "api_error", "message": message}
    return b"event: error\n" + _data({"type": "error", "error": error})


def _cohere(message: str, last: bytes, late: bool) -> bytes:
    end = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": message}}
    return b"event: message-end\n" + _data(end)


def _gemini(message: str, last: bytes, late: bool) -> bytes:
    return _data(_gemini_error(message, late)).replace(b"\n", b"\r\n")


def _gemini_error(message: str, late: bool) -> Mapping[str, object]:
    code, status = (504, "DEADLINE_EXCEEDED") if late else (503, "UNAVAILABLE")
    return {"error": {"code": code, "message": message, "status": status}}


def _gemini_array(message: str, last: bytes, late: bool) -> bytes | None:
    """An array is a document: it must be closed."""
    written = last.rstrip()
    if last and not written.endswith((b"}", b",", b"[")):
        return None
    before = b",\r\n" if written.endswith(b"}") else b"" if last else b"["
    return before + orjson.dumps(_gemini_error(message, late)) + b"\r\n]"


def _data(document: Mapping[str, object]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"


_EVENTS: Mapping[str, Callable[[str, bytes, bool], bytes]] = {
    "openai_chat": _openai,
    "openai_completions": _openai,
    "openai_images": _openai,
    "openai_audio": _openai,
    "openai_responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "cohere": _cohere,
}
_AMAZON = ("bedrock_converse", "bedrock_invoke")
