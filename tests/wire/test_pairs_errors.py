"""Recorded errors of every dialect, for clients of every other: each SDK raises the exception it should."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.ir import Failure
from llm_intercept.wire.translation import Side, Translation
from tests.wire.codecs import amazon
from tests.wire.pair_laws import PAIRS
from tests.wire.pair_oracles import raised
from tests.wire.pair_sources import NAMES, context, refused

# Kind -> status and exception of OpenAI's and Anthropic's SDKs, and Amazon's exception with its status.
KINDS = {
    "invalid_request": (400, "BadRequestError", 400, "ValidationException"),
    "overflow": (400, "BadRequestError", 400, "ValidationException"),
    "authentication": (401, "AuthenticationError", 403, "UnrecognizedClientException"),
    "permission": (403, "PermissionDeniedError", 403, "AccessDeniedException"),
    "not_found": (404, "NotFoundError", 404, "ResourceNotFoundException"),
    "rate_limit": (429, "RateLimitError", 429, "ThrottlingException"),
    "budget": (429, "RateLimitError", 429, "ThrottlingException"),
    "internal": (500, "InternalServerError", 500, "InternalServerException"),
    "unavailable": (503, "InternalServerError", 503, "ServiceUnavailableException"),
}
# What Anthropic's SDK has a class of its own for, and the words that make agents compact.
ANTHROPIC = {"unavailable": (529, "OverloadedError"), "internal": (500, "InternalServerError")}
TOO_LONG = {
    "anthropic": "prompt is too long",
    "openai_chat": "context_length_exceeded",
    "openai_responses": "context_length_exceeded",
    "bedrock_converse": "Input is too long",
    "gemini": "input token count",
}


@dataclass
class Told:
    status: int
    name: str
    message: str
    wait: str | None


def told(target: str, status: int, headers: Mapping[str, str], body: bytes) -> Told:
    wait = {name.lower(): value for name, value in headers.items()}.get("retry-after")
    if target == "bedrock_converse":
        error = amazon.answer(body, status, dict(headers))["Error"]
        return Told(status, error["Code"], error["Message"], wait)
    if target == "ollama":  # {"error": text} is all it has
        return Told(status, "", json.loads(body)["error"], wait)
    found = raised(target, status, headers, body)
    if target == "gemini":
        delays = [d["retryDelay"] for d in json.loads(body)["error"].get("details", ()) if "retryDelay" in d]
        wait = wait or (delays[0].rstrip("s") if delays else None)
    return Told(status, type(found).__name__, str(found), wait)


def expected(kind: str, target: str) -> tuple[int, str]:
    status, name, amazons, exception = KINDS[kind]
    if target == "bedrock_converse":
        return amazons, exception
    if target == "anthropic" and kind in ANTHROPIC:
        return ANTHROPIC[kind]
    if target == "gemini":
        return status, "ServerError" if status >= 500 else "ClientError"
    return status, "" if target == "ollama" else name


@pytest.mark.parametrize(("dialect", "target"), PAIRS, ids=lambda name: name)
def test_recorded_errors(dialect: str, target: str) -> None:
    for source in refused(dialect):
        given = source.recording
        failure = codecs.get(dialect).decode_error(given.status, given.headers, given.body)
        one = Translation(Side(target), Side(dialect), context(), stream=False)
        reply = one.error(given.status, given.headers, given.body, "req-1")
        found = told(target, reply.status, dict(reply.headers), reply.body)
        assert (found.status, found.name) == expected(failure.kind, target), source.name
        assert failure.message[:60] in found.message or failure.kind == "overflow", source.name
        assert bool(found.wait) == bool(failure.retry_after), source.name


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str, target: str) -> None:
    one = Translation(
        Side(target), Side("ollama" if target != "ollama" else "gemini"), context(), stream=False
    )
    reply = one.failure(Failure(kind, "It did not work.", 418, retry_after=7.0), "req-1")
    found = told(target, reply.status, dict(reply.headers), reply.body)
    assert (found.status, found.name) == expected(kind, target)
    assert "It did not work." in found.message
    assert found.wait == "7"
    if kind == "overflow":
        assert TOO_LONG.get(target, "") in reply.body.decode()


@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_again(kind: str, dialect: str) -> None:
    """What one hop of ours says, the next one understands: kinds survive two translations."""
    codec = codecs.get(dialect)
    status, headers, body = codec.encode_error(Failure(kind, "It did not work.", 418, retry_after=7.0), "r")
    again = codec.decode_error(status, headers, body)
    alike = {"budget": ("budget", "rate_limit"), "internal": ("internal", "upstream")}
    assert again.kind in alike.get(kind, (kind,))
    assert again.retry_after == 7.0
