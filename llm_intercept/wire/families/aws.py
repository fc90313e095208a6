"""Amazon's error shape and the counters of its own models, alike in Converse and in InvokeModel."""

from llm_intercept.errors import Refusal, RefusalKind, Reply
from llm_intercept.wire.families.reply import json_reply
from llm_intercept.wire.fields import count, first_count, mapping, objects, parse_object, text, total
from llm_intercept.wire.reading import Reading, message_of
from llm_intercept.wire.usage import Usage

EXCEPTIONS: dict[RefusalKind, str] = {
    "invalid_request": "ValidationException",
    "authentication": "UnrecognizedClientException",
    "budget": "ThrottlingException",
    "permission": "AccessDeniedException",
    "not_found": "ResourceNotFoundException",
    "timeout": "ModelTimeoutException",
    "too_large": "ValidationException",
    "upgrade_required": "ValidationException",
    "rate_limit": "ThrottlingException",
    "internal": "InternalServerException",
    "upstream": "ServiceUnavailableException",
    "unavailable": "ServiceUnavailableException",
}
# Where the service's own status for an exception differs from the general one.
STATUSES: dict[RefusalKind, int] = {"authentication": 403, "timeout": 408, "too_large": 400}

CACHE_READ = ("cacheReadInputTokens", "cacheReadInputTokenCount")
CACHE_WRITE = ("cacheWriteInputTokens", "cacheWriteInputTokenCount")


def refuse(refusal: Refusal, request_id: str) -> Reply:
    """The header decides for botocore and the JavaScript SDK; `__type` for those that read the body."""
    exception = EXCEPTIONS[refusal.kind]
    body = {"message": refusal.message, "__type": exception, "reason": refusal.code}
    headers = (("x-amzn-ErrorType", exception), ("x-amzn-RequestId", request_id))
    status = refusal.exactly or STATUSES.get(refusal.kind)
    return json_reply(refusal, request_id, body, *headers, status=status)


def read_error(status: int, body: bytes) -> tuple[str, str]:
    """The exception's name is in a header where the body does not have it."""
    payload = parse_object(body)
    kind = text(payload.get("__type") or payload.get("code"), 200).rpartition("#")[2]
    message = text(payload.get("message") or payload.get("Message") or message_of(payload.get("error")))
    return kind or f"http_{status}", message or text(body.decode("utf-8", "replace").strip(), 300)


def note_exception(reading: Reading, event: str, message: object) -> bool:
    """An exception frame inside a stream; its event name is the exception's."""
    if not event.lower().endswith(("exception", "error")):
        return False
    reading.fail(event, message)
    return True


def usage(source: object) -> Usage:
    """Converse's usage. Its input excludes what the cache gave and took."""
    known = mapping(source)
    read, written = first_count(known, *CACHE_READ), first_count(known, *CACHE_WRITE)
    plain = first_count(known, "inputTokens", "inputTokenCount")
    return Usage(
        input=None if plain is None else total(plain, read, written),
        output=first_count(known, "outputTokens", "outputTokenCount"),
        cache_read=read,
        cache_write=written,
        cache_write_1h=_one_hour(known.get("cacheDetails")),
    )


def _one_hour(details: object) -> int | None:
    return total(*(count(d.get("inputTokens")) for d in objects(details) if d.get("ttl") == "1h"))
