"""Errors: Amazon's exceptions, in an answer (the name in a header or in the body) and inside a stream."""

from collections.abc import Mapping

from llm_intercept.errors import Refusal, RefusalKind
from llm_intercept.wire.codecs.bedrock_converse.terms import Members, string
from llm_intercept.wire.families import aws, failures
from llm_intercept.wire.fields import count
from llm_intercept.wire.ir import Failure

KINDS = {
    "accessdenied": "permission",
    "expiredtoken": "authentication",
    "incompletesignature": "authentication",
    "internalserver": "internal",
    "internalfailure": "internal",
    "invalidclienttokenid": "authentication",
    "invalidsignature": "authentication",
    "missingauthenticationtoken": "authentication",
    "modelerror": "upstream",
    "modelnotready": "unavailable",
    "modelstreamerror": "upstream",
    "modeltimeout": "timeout",
    "resourcenotfound": "not_found",
    "servicequotaexceeded": "rate_limit",
    "serviceunavailable": "unavailable",
    "throttling": "rate_limit",
    "toomanyrequests": "rate_limit",
    "unrecognizedclient": "authentication",
    "validation": "invalid_request",
}
STATUSES = {
    "authentication": 403,
    "internal": 500,
    "invalid_request": 400,
    "not_found": 404,
    "overflow": 400,
    "permission": 403,
    "rate_limit": 429,
    "timeout": 408,
    "unavailable": 503,
}
# What a stream may end with; everything else is the model's stream's error.
STREAMED = {
    "invalid_request": "validationException",
    "overflow": "validationException",
    "too_large": "validationException",
    "rate_limit": "throttlingException",
    "budget": "throttlingException",
    "internal": "internalServerException",
    "unavailable": "serviceUnavailableException",
}
OTHERWISE = "modelStreamErrorException"
OVERFLOW = "Input is too long for requested model."
"""Bedrock's own words for it, by which agents know that they have to shorten the conversation."""


def is_exception(event: str) -> bool:
    return event.lower().endswith(("exception", "error", "failure", "fault"))


def _kind(name: str, status: int, message: str) -> str:
    word = name.lower().removesuffix("exception").removesuffix("error")
    kind = KINDS.get(word) or KINDS.get(name.lower()) or failures.KINDS_OF_STATUS.get(status, "upstream")
    if kind != "invalid_request":
        return kind
    return "overflow" if failures.overflows(status, "", message) else kind


def failure_of(event: str, payload: Members) -> Failure:
    """An exception inside a stream."""
    message = string(payload.get("message")) or string(payload.get("Message"))
    status = count(payload.get("originalStatusCode")) or 0
    kind = _kind(event, status, message)
    return Failure(kind, message or event, STATUSES.get(kind, 502), event)


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    named = {name.lower(): value for name, value in headers.items()}.get("x-amzn-errortype", "")
    kind, message = aws.read_error(status, body)
    name = named.partition(":")[0].rpartition("#")[2] or kind
    return Failure(
        _kind(name, status, message), message or name, status, name, "", failures.retry_after(headers)
    )


def encode_error(failure: Failure, request_id: str) -> tuple[int, Mapping[str, str], bytes]:
    kind = "invalid_request" if failure.kind == "overflow" else failure.kind
    known: RefusalKind = kind if kind in aws.EXCEPTIONS else "upstream"
    refusal = Refusal(
        known, failure.code or failure.type or failure.kind, message_of(failure), failure.retry_after
    )
    reply = aws.refuse(refusal, request_id)
    return reply.status, dict(reply.headers), reply.body


def message_of(failure: Failure) -> str:
    if failure.kind != "overflow" or OVERFLOW in failure.message:
        return failure.message
    return f"{OVERFLOW} {failure.message}".strip()


def exception_of(failure: Failure) -> tuple[str, Members]:
    """The frame that ends a stream."""
    name = STREAMED.get(failure.kind, OTHERWISE)
    payload: Members = {"message": message_of(failure) or "the model's stream failed"}
    if name == OTHERWISE and 100 <= failure.status <= 599:
        payload |= {"originalStatusCode": failure.status, "originalMessage": failure.message}
    return name, payload
