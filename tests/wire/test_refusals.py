"""Refusals raise the official SDKs' own typed exceptions, whatever the dialect."""

from typing import Any, get_args

import anthropic
import httpx2
import openai
import orjson
import pytest
from botocore.parsers import create_parser
from google.genai import errors as google_errors

from llm_intercept.errors import STATUS_OF, Refusal, RefusalKind, Reply
from llm_intercept.wire import dialects

KINDS: tuple[RefusalKind, ...] = get_args(RefusalKind.__value__)
OPENAI = [name for name in sorted(dialects.names()) if name.startswith("openai_")] + ["observe"]


def refuse(dialect: str, kind: RefusalKind, retry_after: float | None = None) -> Reply:
    refusal = Refusal(kind, "our_code", "Not this time.", retry_after)
    return dialects.get(dialect).refusal(refusal, "0190-abc")


def served(reply: Reply) -> httpx2.Client:
    """A client whose server answers everything with this reply."""
    return httpx2.Client(
        transport=httpx2.MockTransport(
            lambda request: httpx2.Response(reply.status, headers=list(reply.headers), content=reply.body)
        )
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dialect", sorted(dialects.names()))
def test_every_refusal_is_whole(dialect: str, kind: RefusalKind) -> None:
    reply = refuse(dialect, kind, 2.2)
    headers = dict(reply.headers)
    assert headers["x-llm-intercept-request-id"] == "0190-abc"
    assert headers["content-type"] == "application/json"
    assert headers["retry-after"] == "3"
    assert headers["content-length"] == str(len(reply.body))
    assert b"our_code" in reply.body
    assert b"Not this time." in reply.body
    assert 400 <= reply.status < 600


@pytest.mark.parametrize("dialect", sorted(dialects.names()))
def test_our_own_errors_can_be_read_back(dialect: str) -> None:
    kind, message = dialects.get(dialect).read_error(429, refuse(dialect, "rate_limit").body)
    assert message == "Not this time."
    assert kind


OPENAI_RAISES: dict[RefusalKind, type[openai.APIStatusError]] = {
    "invalid_request": openai.BadRequestError,
    "authentication": openai.AuthenticationError,
    "budget": openai.RateLimitError,
    "permission": openai.PermissionDeniedError,
    "not_found": openai.NotFoundError,
    "rate_limit": openai.RateLimitError,
    "internal": openai.InternalServerError,
    "unavailable": openai.InternalServerError,
}


@pytest.mark.parametrize("kind", OPENAI_RAISES)
@pytest.mark.parametrize("dialect", OPENAI)
def test_openai(dialect: str, kind: RefusalKind) -> None:
    with served(refuse(dialect, kind)) as http:
        client = openai.OpenAI(api_key="x", base_url="http://test/v1", max_retries=0, http_client=http)  # type: ignore[arg-type]
        with pytest.raises(OPENAI_RAISES[kind]) as raised:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert raised.value.code == "our_code"
    assert raised.value.request_id == "0190-abc"
    assert "Not this time." in raised.value.message


ANTHROPIC_RAISES: dict[RefusalKind, type[anthropic.APIStatusError]] = {
    "invalid_request": anthropic.BadRequestError,
    "authentication": anthropic.AuthenticationError,
    "budget": anthropic.RateLimitError,
    "permission": anthropic.PermissionDeniedError,
    "not_found": anthropic.NotFoundError,
    "rate_limit": anthropic.RateLimitError,
    "internal": anthropic.InternalServerError,
}


@pytest.mark.parametrize("kind", ANTHROPIC_RAISES)
def test_anthropic(kind: RefusalKind) -> None:
    with served(refuse("anthropic", kind)) as http:
        client = anthropic.Anthropic(api_key="x", base_url="http://test", max_retries=0, http_client=http)  # type: ignore[arg-type]
        with pytest.raises(ANTHROPIC_RAISES[kind]) as raised:
            client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}])
    body: Any = raised.value.body
    assert body["type"] == "error"
    assert body["error"]["code"] == "our_code"
    assert raised.value.request_id == "0190-abc"


GOOGLE_STATUS: dict[RefusalKind, str] = {
    "invalid_request": "INVALID_ARGUMENT",
    "authentication": "UNAUTHENTICATED",
    "budget": "RESOURCE_EXHAUSTED",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "internal": "INTERNAL",
    "unavailable": "UNAVAILABLE",
}


@pytest.mark.parametrize(("kind", "word"), GOOGLE_STATUS.items())
def test_google(kind: RefusalKind, word: str) -> None:
    reply = refuse("gemini", kind, 2.0)
    kind_of_error = google_errors.ClientError if reply.status < 500 else google_errors.ServerError
    error = kind_of_error(reply.status, orjson.loads(reply.body))
    assert (error.code, error.status, error.message) == (STATUS_OF[kind], word, "Not this time.")
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"} in error.details[
        "error"
    ]["details"]


BEDROCK_CODES: dict[RefusalKind, tuple[str, int]] = {
    "invalid_request": ("ValidationException", 400),
    "authentication": ("UnrecognizedClientException", 403),
    "budget": ("ThrottlingException", 429),
    "permission": ("AccessDeniedException", 403),
    "not_found": ("ResourceNotFoundException", 404),
    "timeout": ("ModelTimeoutException", 408),
    "rate_limit": ("ThrottlingException", 429),
    "internal": ("InternalServerException", 500),
    "unavailable": ("ServiceUnavailableException", 503),
}


@pytest.mark.parametrize("dialect", ["bedrock_converse", "bedrock_invoke"])
@pytest.mark.parametrize("kind", BEDROCK_CODES)
def test_bedrock(kind: RefusalKind, dialect: str) -> None:
    reply = refuse(dialect, kind)
    headers = {name.lower(): value for name, value in reply.headers}
    response = {"status_code": reply.status, "headers": headers, "body": reply.body}
    parsed = create_parser("rest-json").parse(response, None)
    assert (parsed["Error"]["Code"], reply.status) == BEDROCK_CODES[kind]
    assert parsed["Error"]["Message"] == "Not this time."
    assert parsed["ResponseMetadata"]["RequestId"] == "0190-abc"


def test_the_small_shapes() -> None:
    assert orjson.loads(refuse("cohere", "permission").body)["message"] == "Not this time."
    assert orjson.loads(refuse("ollama", "permission").body)["error"] == "Not this time."
