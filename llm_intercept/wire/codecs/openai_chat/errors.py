"""Errors: `{"error": {"message", "type", "param", "code"}}`, and what followers make of it."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.families.openai_writing import read_failure, streamed_failure, write_failure
from llm_intercept.wire.fields import objects, parse_object
from llm_intercept.wire.ir import Failure


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    document = parse_object(body)
    if "error" not in document and (found := _of_choice(document)):
        return streamed_failure(found)
    return read_failure(status, headers, body)


def _of_choice(document: Mapping[str, Any]) -> object:
    """OpenRouter's, when a provider broke off."""
    return next((choice["error"] for choice in objects(document.get("choices")) if choice.get("error")), None)


def encode_error(failure: Failure, request_id: str) -> tuple[int, Mapping[str, str], bytes]:
    return write_failure(failure, request_id)
