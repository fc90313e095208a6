"""What kind of failure a provider's error is: by its code, its words, its status; and when to come back.

The words that mean "the context window is full" differ from server to server; agents compact their
conversation only when they are told so in their own dialect, hence the collection.
"""

import re
from collections.abc import Mapping

from llm_intercept.wire import waits
from llm_intercept.wire.fields import text
from llm_intercept.wire.ir import Failure

OVERFLOW_CODES = frozenset(
    [
        "context_length_exceeded",
        "context_window_exceeded",
        "model_context_window_exceeded",
        "exceed_context_size_error",
        "context_too_long",
    ]
)
OVERFLOW = re.compile(
    "|".join(
        (
            r"maximum (context|prompt|model) (length|size|window)",
            r"context[ _]?(length|window|size) (is )?exceed",
            r"exceeds?d?( the| this| your)?( model'?s?)?( available| maximum)? context",
            r"exceeds? (the )?(maximum )?(model )?token limit",
            r"exceeds? the maximum number of (input )?tokens",
            r"exceeds? max(imum)? (input )?length",
            r"prompt (is )?too long",
            r"input is too long",
            r"too many (input )?tokens",
            r"tokens?\b.{0,40}too large for model",
            r"longer than the (model'?s? context|maximum model) length",
            r"greater than the context length",
            r"when context the overflows|when context overflows",
            r"must have less than \d+ tokens",
            r"`?inputs`? tokens \+ `?max_new_tokens`? must be",
            r"reduce the length of the (messages|prompt|input)",
            r"range of input length should be",
            r"exceeded model token limit",
            r"input token count .{0,60}exceeds",
            r"input length .{0,60}exceeds",
            r"context window (is full|exceeds limit)",
        )
    ),
    re.IGNORECASE,
)
# A quota of tokens per minute is not a context window, though it is worded like one.
QUOTA = re.compile(r"per (minute|day|hour)|\b[RT]P[MD]\b|rate.?limit|quota", re.IGNORECASE)

KINDS_OF_CODE = {
    "insufficient_quota": "budget",
    "billing_hard_limit_reached": "budget",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "invalid_api_key": "authentication",
    "authentication_error": "authentication",
    "permission_error": "permission",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "overloaded_error": "unavailable",
    "server_overloaded": "unavailable",
    "service_unavailable": "unavailable",
    "timeout_error": "timeout",
    "invalid_request_error": "invalid_request",
}
KINDS_OF_STATUS = {
    400: "invalid_request",
    401: "authentication",
    402: "budget",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    422: "invalid_request",
    429: "rate_limit",
    500: "internal",
    502: "upstream",
    503: "unavailable",
    504: "timeout",
    524: "timeout",
    529: "unavailable",
}
STATUS_OF_KIND = {
    "overflow": 400,
    "invalid_request": 400,
    "authentication": 401,
    "budget": 429,
    "permission": 403,
    "not_found": 404,
    "rate_limit": 429,
    "timeout": 504,
    "unavailable": 503,
}


def overflows(status: int, code: str, message: str) -> bool:
    """Whether the error says that the prompt does not fit into the context window."""
    if code in OVERFLOW_CODES:
        return True
    return status in (0, 400, 413, 422, 500) and bool(OVERFLOW.search(message)) and not QUOTA.search(message)


def kind_of(status: int, error_type: str, code: str, message: str) -> str:
    """The kind of an error; `status` is 0 where none is known (an error inside a stream)."""
    if overflows(status, code, message) or error_type in OVERFLOW_CODES:
        return "overflow"
    if (known := KINDS_OF_CODE.get(code)) in ("budget", "rate_limit"):
        return known
    if status in KINDS_OF_STATUS:
        return KINDS_OF_STATUS[status]
    known = known or KINDS_OF_CODE.get(error_type)
    if known:
        return known
    return "invalid_request" if 400 <= status < 500 else "upstream"


def failure(status: int, error_type: str, code: str, message: str, retry_after: float | None) -> Failure:
    kind = kind_of(status, error_type, code, message)
    known = status if 400 <= status < 600 else STATUS_OF_KIND.get(kind, 502)
    return Failure(kind, message or "the provider said nothing more", known, error_type, code, retry_after)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of `retry-after-ms` or `retry-after`; a date would need a clock and counts as absent."""
    return waits.retry_after({name.lower(): value for name, value in headers.items()})


def code_of(value: object) -> tuple[str, int]:
    """An error's `code`: a word, or the HTTP status as a number or digits (OpenRouter, Azure)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return "", value
    word = text(value, 200)
    return ("", int(word)) if re.fullmatch(r"[45]\d\d", word) else (word, 0)
