"""Errors, whole and inside a stream: one table of types, and how a context that is too long is said.

Agents compact their history when they read "prompt is too long", so that is what every overflow becomes.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from llm_intercept.errors import RefusalKind
from llm_intercept.wire.dialects import anthropic as dialect
from llm_intercept.wire.families import aws
from llm_intercept.wire.fields import dumped, mapping, parse_object, text
from llm_intercept.wire.ir import Failure
from llm_intercept.wire.reading import message_of

KINDS: dict[str, RefusalKind] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "billing_error": "budget",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "timeout_error": "timeout",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "api_error": "internal",
    "overloaded_error": "unavailable",
}
BY_STATUS: dict[int, RefusalKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "budget",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    422: "invalid_request",
    424: "upstream",
    429: "rate_limit",
    500: "internal",
    502: "upstream",
    503: "unavailable",
    504: "timeout",
    529: "unavailable",
}
STATUSES: dict[str, int] = {
    "invalid_request": 400,
    "overflow": 400,
    "authentication": 401,
    "budget": 429,
    "permission": 403,
    "not_found": 404,
    "timeout": 504,
    "too_large": 413,
    "upgrade_required": 426,
    "rate_limit": 429,
    "internal": 500,
    "upstream": 502,
    "unavailable": 529,
}
EXCEPTIONS: dict[str, RefusalKind] = {  # Amazon's, in lower case
    "validationexception": "invalid_request",
    "unrecognizedclientexception": "authentication",
    "accessdeniedexception": "permission",
    "resourcenotfoundexception": "not_found",
    "modeltimeoutexception": "timeout",
    "throttlingexception": "rate_limit",
    "servicequotaexceededexception": "rate_limit",
    "internalserverexception": "internal",
    "modelerrorexception": "upstream",
    "modelstreamerrorexception": "upstream",
    "modelnotreadyexception": "unavailable",
    "serviceunavailableexception": "unavailable",
}
TOO_LONG = "prompt is too long"
OVERFLOWS = re.compile(
    r"prompt is too long|exceeds? (the )?(available )?context (limit|window|size|length)|input is too long"
    r"|too many (input )?tokens|maximum context length|context window",
    re.IGNORECASE,
)
NUMBER = re.compile(r"\d{4,}")
CUT = Failure("upstream", "the stream ended before the answer was complete", 502)


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Anthropic's shape, Google's (Vertex) or Amazon's (Bedrock); anything else by its status."""
    known = {name.lower(): value for name, value in headers.items()}
    payload = parse_object(body)
    if "error" in payload or not payload:
        kind, message = dialect.read_error(status, body)
    else:
        kind, message = aws.read_error(status, body)
        kind = known.get("x-amzn-errortype", kind).partition(":")[0]
    return failure(kind, message, status, _seconds(known.get("retry-after")))


def failure(kind: str, message: str, status: int, retry_after: float | None = None) -> Failure:
    """Our word for it: by its type, else by its status."""
    word: str = KINDS.get(kind) or EXCEPTIONS.get(kind.lower()) or _by_status(status)
    if word in ("invalid_request", "too_large") and OVERFLOWS.search(message):
        word = "overflow"
    return Failure(word, message, status, kind, retry_after=retry_after)


def _by_status(status: int) -> RefusalKind:
    return BY_STATUS.get(status) or ("invalid_request" if 400 <= status < 500 else "internal")


def _seconds(value: str | None) -> float | None:
    """Retry-After in seconds; a date needs a clock and is left."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e7 else None


def of_event(payload: Mapping[str, Any]) -> Failure:
    """An error event inside a stream that began as a success."""
    error = payload.get("error")
    kind = text(mapping(error).get("type"), 200) or "api_error"
    found = failure(kind, message_of(error) or "the provider reported an error", 200)
    return Failure(found.kind, found.message, STATUSES.get(found.kind, 500), kind)


def of_exception(event: str, payload: Mapping[str, Any]) -> Failure | None:
    """An exception frame of an AWS event stream; None if this is none."""
    if not event.lower().endswith("exception"):
        return None
    message = text(payload.get("message")) or event
    found = failure(event, message, 200)
    word = found.kind if event.lower() in EXCEPTIONS else "upstream"
    return Failure(word, message, STATUSES.get(word, 500), event)


def shaped(error: Failure) -> dict[str, Any]:
    """The `error` member."""
    kind = "invalid_request" if error.kind == "overflow" else error.kind
    name = dialect.ERROR_TYPES.get(kind, "api_error")  # type: ignore[call-overload]
    return {"type": name, "message": _message(error)}


def _message(error: Failure) -> str:
    if error.kind != "overflow" or TOO_LONG in error.message:
        return error.message
    numbers = sorted({int(found) for found in NUMBER.findall(error.message)})
    if len(numbers) >= 2:
        return f"{TOO_LONG}: {numbers[-1]} tokens > {numbers[0]} maximum"
    return f"{TOO_LONG}: {error.message}"


def encode_error(failure: Failure, request_id: str) -> tuple[int, Mapping[str, str], bytes]:
    headers = {"content-type": "application/json", "request-id": request_id}
    if failure.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(failure.retry_after)))
    body = {"type": "error", "error": shaped(failure), "request_id": request_id}
    return STATUSES.get(failure.kind, failure.status), headers, dumped(body)


def event(error: Failure) -> tuple[str, bytes]:
    """The frame that ends a stream."""
    return "error", dumped({"type": "error", "error": shaped(error)})
