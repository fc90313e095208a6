"""Errors, both ways: whole error answers, and the failures inside a stream. One table of codes."""

import math
import re
from collections.abc import Mapping

from llm_intercept.errors import STATUS_OF, Refusal, RefusalKind
from llm_intercept.wire.codecs.openai_responses.items import string
from llm_intercept.wire.codecs.openai_responses.terms import Members, Raw
from llm_intercept.wire.dialects import openai_responses as dialect
from llm_intercept.wire.families.openai import ERROR_TYPES
from llm_intercept.wire.fields import mapping, parse_object
from llm_intercept.wire.ir import Failure
from llm_intercept.wire.reading import message_of

OVERFLOW = "context_length_exceeded"
# Their codes and types -> our kinds. Whatever else is said about an image or a prompt is the request's fault.
KINDS: dict[str, str] = {
    OVERFLOW: "overflow",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "too_many_requests": "rate_limit",
    "tokens": "rate_limit",
    "requests": "rate_limit",
    "insufficient_quota": "budget",
    "credit_balance_exhausted": "budget",
    "billing_hard_limit_reached": "budget",
    "usage_limit_reached": "budget",
    "invalid_api_key": "authentication",
    "authentication_error": "authentication",
    "permission_error": "permission",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "server_is_overloaded": "unavailable",
    "slow_down": "unavailable",
    "overloaded_error": "unavailable",
    "vector_store_timeout": "timeout",
    "timeout_error": "timeout",
    "server_error": "upstream",
    "api_error": "upstream",
    "internal_error": "upstream",
    "internal_server_error": "upstream",
    "invalid_request_error": "invalid_request",
    "invalid_prompt": "invalid_request",
}
BY_STATUS = {
    401: "authentication",
    402: "budget",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    429: "rate_limit",
    500: "upstream",
    502: "upstream",
    503: "unavailable",
    504: "timeout",
    529: "unavailable",
}
CODES = {
    "overflow": OVERFLOW,
    "rate_limit": "rate_limit_exceeded",
    "budget": "insufficient_quota",
    "authentication": "invalid_api_key",
    "not_found": "model_not_found",
    "invalid_request": "invalid_prompt",
    "unavailable": "server_is_overloaded",
    "permission": "permission_denied",
    "too_large": "request_too_large",
    "timeout": "timeout",
}
USUAL_STATUSES = frozenset((400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 502, 503, 504))
TOO_LONG = re.compile(
    r"context.{0,12}(window|length)|prompt is too long|maximum context|input.{0,20}too long", re.IGNORECASE
)
AGAIN = re.compile(r"try again in", re.IGNORECASE)
RETRY_AFTER = "retry-after"


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    kind, message = dialect.read_error(status, body)
    payload = parse_object(body)
    error = mapping(payload.get("error")) or payload
    code = string(error.get("code"))
    found = _kind(code, kind, message, status)
    return Failure(found, message, status, kind, code, _retry_after(headers))


def _kind(code: str, kind: str, message: str, status: int) -> str:
    known = KINDS.get(code) or KINDS.get(kind)
    if known in (None, "invalid_request") and status in (0, 400, 413, 422) and TOO_LONG.search(message):
        return "overflow"
    if known in (None, "invalid_request"):
        return BY_STATUS.get(status) or known or ("invalid_request" if status else "upstream")
    return known or "upstream"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    found = {name.lower(): value for name, value in headers.items()}
    for name, scale in (("retry-after-ms", 1_000), (RETRY_AFTER, 1)):
        try:
            seconds = float(found.get(name, "")) / scale
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def stream_failure(error: Members) -> Failure:
    """The `error` of a failed response or of an error event; a stream has no status, the kind gives one."""
    code, kind = string(error.get("code")), string(error.get("type"))
    message = message_of(error) or "the provider reported an error"
    found = _kind(code, kind, message, 0)
    return Failure(found, message, status_of(found), kind if kind != "error" else "", code)


def status_of(kind: str) -> int:
    return 400 if kind == "overflow" else STATUS_OF[refusal_kind(kind)]


def refusal_kind(kind: str) -> RefusalKind:
    if kind == "overflow":
        return "invalid_request"
    return kind if kind in STATUS_OF else "upstream"


def encode_error(failure: Failure, request_id: str) -> tuple[int, Mapping[str, str], bytes]:
    kind = refusal_kind(failure.kind)
    refusal = Refusal(kind, code_of(failure), failure.message, failure.retry_after)
    reply = dialect.refusal(refusal, request_id)
    status = status_of(failure.kind)
    fits = failure.kind in (_means(failure.status), KINDS.get(failure.code))
    if failure.kind != "overflow" and fits and failure.status in USUAL_STATUSES:
        status = failure.status
    return status, dict(reply.headers), reply.body


def _means(status: int) -> str:
    """Clients choose their exception by the status: another provider's odd one is not passed on."""
    return BY_STATUS.get(status, "invalid_request" if 400 <= status < 500 else "upstream")


def code_of(failure: Failure) -> str:
    """Codes that OpenAI's clients know are kept; Codex decides by them whether to compact or to retry."""
    if KINDS.get(failure.code) == failure.kind:
        return failure.code
    known = CODES.get(failure.kind)
    return known if known and failure.kind != "invalid_request" else failure.code or known or "server_error"


def stream_error(failure: Failure) -> Raw:
    """The error of a response that failed. Codex reads from the text when to try again."""
    message = failure.message
    if failure.retry_after is not None and not AGAIN.search(message):
        message = f"{message} Please try again in {failure.retry_after:g}s."
    return {"code": code_of(failure), "message": message}


def error_event(failure: Failure) -> Raw:
    """As documented (members at the top), and as OpenAI sends it (inside `error`): SDKs look there."""
    error = stream_error(failure)
    kind = ERROR_TYPES[refusal_kind(failure.kind)]
    return {**error, "param": None, "error": {"type": kind, **error, "param": None}}
