"""Anthropic's Messages API, its legacy /v1/complete, and the same bodies on Vertex (rawPredict)
and, where a translation leads there, on Bedrock (invoke).
"""

import re

from llm_intercept.errors import Refusal, RefusalKind, Reply
from llm_intercept.wire.facts import RequestFacts, common, words
from llm_intercept.wire.families import anthropic, aws, chunks
from llm_intercept.wire.families.reply import json_reply
from llm_intercept.wire.fields import mapping, parse_object, text
from llm_intercept.wire.reading import Payload, Reading, message_of

ERROR_TYPES: dict[RefusalKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "budget": "rate_limit_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "timeout": "timeout_error",
    "too_large": "request_too_large",
    "upgrade_required": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "internal": "api_error",
    "upstream": "api_error",
    "unavailable": "overloaded_error",
}

# Claude Code up to 2.1: user_<hash>_account_<uuid>_session_<uuid>; later a JSON object in a string.
SESSION = re.compile(r"_session_([0-9A-Za-z-]+)$")


def refusal(refusal: Refusal, request_id: str) -> Reply:
    error = {"type": ERROR_TYPES[refusal.kind], "message": refusal.message, "code": refusal.code}
    body = {"type": "error", "error": error, "request_id": request_id}
    return json_reply(refusal, request_id, body, ("request-id", request_id))


def read_request(body: bytes) -> RequestFacts:
    payload = parse_object(body)
    limit = payload.get("max_tokens") or payload.get("max_tokens_to_sample")
    return common(payload, limit, payload.get("messages"), _session(payload))


def _session(payload: Payload) -> str:
    user_id = text(mapping(payload.get("metadata")).get("user_id"))
    if user_id.startswith("{"):
        return text(parse_object(user_id).get("session_id"), 200)
    found = SESSION.search(user_id)
    return found.group(1) if found else ""


def prompt_text(body: bytes) -> str:
    payload = parse_object(body)
    return words(payload.get("system"), payload.get("messages"), payload.get("tools"), payload.get("prompt"))


def read_error(status: int, body: bytes) -> tuple[str, str]:
    """Vertex answers for Anthropic's models in Google's shape: there the status word is the type."""
    error = parse_object(body).get("error")
    kind = text(mapping(error).get("type"), 200) or text(mapping(error).get("status"), 200)
    return kind or f"http_{status}", message_of(error) or text(body.decode("utf-8", "replace").strip(), 300)


def read_answer(reading: Reading, payload: Payload) -> None:
    anthropic.read_message(reading, payload)


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    """Amazon puts Anthropic's events into frames of its own, and has exceptions for errors."""
    if chunks.is_exception(event):
        aws.note_exception(reading, event, payload.get("message"))
    else:
        anthropic.read_event(reading, chunks.opened(payload) if event == chunks.CHUNK else payload)
