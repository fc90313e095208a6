"""Errors: `{"error": "..."}`, without types."""

from collections.abc import Mapping

from llm_intercept.errors import STATUS_OF, Refusal
from llm_intercept.wire.dialects import ollama
from llm_intercept.wire.families.failures import failure, retry_after
from llm_intercept.wire.ir import Failure


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    _, message = ollama.read_error(status, body)
    return failure(status, "", "", message, retry_after(headers))


def encode_error(failure: Failure, request_id: str) -> tuple[int, Mapping[str, str], bytes]:
    kind = failure.kind if failure.kind in STATUS_OF else "upstream"
    message = failure.message or "the provider said nothing more"
    code = failure.code or kind
    if failure.kind == "overflow":
        kind, code = "invalid_request", "context_length_exceeded"
        if "context length" not in message:
            message = f"the input length exceeds the context length: {message}"
    reply = ollama.refusal(Refusal(kind, code, message, failure.retry_after), request_id)
    return reply.status, dict(reply.headers), reply.body
