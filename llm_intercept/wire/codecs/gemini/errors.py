"""Google's errors: `{"error": {code, message, status, details}}`, and when to try again."""

import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from llm_intercept.errors import STATUS_OF, Refusal, RefusalKind
from llm_intercept.wire.dialects import gemini
from llm_intercept.wire.fields import mapping, objects, parse, text
from llm_intercept.wire.ir import Failure

KINDS: dict[str, RefusalKind] = {
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "UNIMPLEMENTED": "invalid_request",
    "ALREADY_EXISTS": "invalid_request",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "DEADLINE_EXCEEDED": "timeout",
    "CANCELLED": "upstream",
    "ABORTED": "unavailable",
    "UNAVAILABLE": "unavailable",
    "INTERNAL": "internal",
    "UNKNOWN": "internal",
    "DATA_LOSS": "internal",
}
_BY_STATUS: dict[int, RefusalKind] = {
    401: "authentication",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    429: "rate_limit",
    500: "internal",
    503: "unavailable",
    504: "timeout",
}
_OVERFLOW = re.compile(
    r"(?i)input token count.*exceeds|exceeds the maximum number of (input )?tokens|prompt is too long"
    r"|context (window|length).*exceed|exceed.*context (window|length)"
)
OVERFLOW = "The input token count exceeds the maximum number of tokens allowed"
_BAD_KEY = re.compile(r"(?i)api key not valid|api key expired|api_key_invalid")
_RETRY_IN = re.compile(r"(?i)retry in ([0-9.]+)\s*s")
_SECONDS = re.compile(r"([0-9]+(?:\.[0-9]+)?)s?")


def decode(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    document = parse(body)
    first = document[0] if isinstance(document, list) and document else document
    kind, message = gemini.read_error(status, body)
    return _failure(status, kind, message, mapping(mapping(first).get("error")), headers)


def in_stream(error: object) -> Failure:
    """An error in the middle of a stream that began as a success."""
    known = mapping(error)
    code = known.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 502
    message = text(known.get("message")) or text(error) or "the provider failed"
    return _failure(status, text(known.get("status"), 200), message, known, {})


def _failure(
    status: int, word: str, message: str, error: Mapping[str, Any], headers: Mapping[str, str]
) -> Failure:
    details = objects(error.get("details"))
    reason = next((text(item["reason"], 200) for item in details if item.get("reason")), "")
    retry = _retry_after(details, headers, message)
    kind: str = (
        KINDS.get(word) or _BY_STATUS.get(status) or ("invalid_request" if status < 500 else "upstream")
    )
    if kind == "invalid_request" and _OVERFLOW.search(message):
        kind = "overflow"
    if kind == "invalid_request" and (reason == "API_KEY_INVALID" or _BAD_KEY.search(message)):
        kind = "authentication"
    if status == 413:
        kind = "too_large"
    return Failure(kind, message, status, word, reason, retry)


def _retry_after(details: list[dict[str, Any]], headers: Mapping[str, str], message: str) -> float | None:
    delays = [item["retryDelay"] for item in details if isinstance(item.get("retryDelay"), str)]
    header = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    for value in (*delays, header):
        found = _SECONDS.fullmatch(value.strip())
        if found:
            return float(found[1])
    spoken = _RETRY_IN.search(message)
    return _number(spoken[1]) if spoken else None


def _number(digits: str) -> float | None:
    try:
        value = float(digits.rstrip("."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def encode(failure: Failure, request_id: str) -> tuple[int, Mapping[str, str], bytes]:
    reply = gemini.refusal(_refusal(failure), request_id)
    return reply.status, dict(reply.headers), reply.body


def frame(failure: Failure) -> bytes:
    """The error as an event of a stream; the official SDK looks for `{"error":` at its start."""
    refusal = _refusal(failure)
    error = {
        "code": refusal.status,
        "message": refusal.message,
        "status": gemini.STATUS_WORDS[refusal.kind],
    }
    return orjson.dumps({"error": error})


def _refusal(failure: Failure) -> Refusal:
    message = failure.message
    if failure.kind == "overflow" and "input token count" not in message.lower():
        message = f"{OVERFLOW}: {message}" if message else f"{OVERFLOW}."
    kind = failure.kind if failure.kind in STATUS_OF else _other(failure)
    return Refusal(kind, failure.code or failure.type or failure.kind, message, failure.retry_after)


def _other(failure: Failure) -> RefusalKind:
    if failure.kind == "overflow":
        return "invalid_request"
    return _BY_STATUS.get(failure.status) or ("upstream" if failure.status >= 500 else "invalid_request")
