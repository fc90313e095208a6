"""Errors of OpenAI's followers: what the context window is called, and what only sounds like it."""

import json
from typing import Any

import pytest

from llm_intercept.wire.codecs import ollama, openai_chat, openai_completions
from llm_intercept.wire.ir import Failure

OVERFLOWS = [
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "prompt is too long: 204857 tokens > 200000 maximum",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    "the request exceeds the available context size (4096 tokens), try increasing it",
    "This endpoint's maximum context length is 131072 tokens. However, you requested about 200000 tokens",
    "The input (40000 tokens) is longer than the model's context length (32768 tokens).",
    "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097",
    "Input validation error: `inputs` must have less than 3072 tokens. Given: 5000",
    "Please reduce the length of the messages or completion.",
    "Range of input length should be [1, 30720]",
    "Invalid request: Your request exceeded model token limit: 8192",
    "Prompt exceeds max length",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "Input is too long for requested model.",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "input length exceeds maximum context length",
    "context window exceeds limit (2013)",
    "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with 4096",
    "The number of tokens to keep from the initial prompt is greater than the context length",
]
OTHERS = [
    (
        400,
        "max_tokens is too large: 99999. This model supports at most 4096 completion tokens",
        "invalid_request",
    ),
    (400, "Unknown parameter: 'context'.", "invalid_request"),
    (429, "Request too large for model: tokens per minute (TPM): Limit 6000, too many tokens", "rate_limit"),
    (
        413,
        "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000",
        "too_large",
    ),
    (400, "You exceeded your token quota per day", "invalid_request"),
]


def body(message: str, **more: Any) -> bytes:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", **more}}).encode()


@pytest.mark.parametrize("message", OVERFLOWS)
def test_overflows(message: str) -> None:
    failure = openai_chat.decode_error(400, {}, body(message))
    assert failure.kind == "overflow"
    assert ollama.decode_error(400, {}, json.dumps({"error": message}).encode()).kind == "overflow"
    status, _, written = openai_chat.encode_error(failure, "r")
    error = json.loads(written)["error"]
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "context_length_exceeded")


@pytest.mark.parametrize(("status", "message", "kind"), OTHERS)
def test_what_only_sounds_like_it(status: int, message: str, kind: str) -> None:
    assert openai_chat.decode_error(status, {}, body(message)).kind == kind


CASES: list[tuple[int, dict[str, Any], str]] = [
    (429, {"code": "insufficient_quota"}, "budget"),
    (402, {}, "budget"),
    (429, {}, "rate_limit"),
    (401, {}, "authentication"),
    (403, {}, "permission"),
    (404, {}, "not_found"),
    (422, {}, "invalid_request"),
    (500, {}, "internal"),
    (529, {}, "unavailable"),
    (418, {}, "invalid_request"),
    (599, {"type": "overloaded_error"}, "unavailable"),
]


@pytest.mark.parametrize(("status", "members", "kind"), CASES)
def test_kinds(status: int, members: dict[str, Any], kind: str) -> None:
    failure = openai_chat.decode_error(status, {"Retry-After": "7"}, body("no", **members))
    assert (failure.kind, failure.status, failure.retry_after) == (kind, status, 7.0)


@pytest.mark.parametrize("codec", [openai_chat, openai_completions, ollama])
def test_every_body_is_an_error(codec: Any) -> None:
    for data in (
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"error": null}',
        b'{"error": 3}',
        b"\xff",
        b'{"detail": []}',
    ):
        failure = codec.decode_error(502, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, data)
        assert failure.kind == "upstream"
        assert failure.message
        assert failure.retry_after is None


@pytest.mark.parametrize("codec", [openai_chat, openai_completions, ollama])
def test_errors_of_others_are_written(codec: Any) -> None:
    for kind, status in (("rate_limit", 429), ("unavailable", 503), ("overflow", 400), ("strange", 502)):
        written, headers, data = codec.encode_error(Failure(kind, "why", 500, retry_after=1.2), "r-1")
        assert written == status
        assert headers["retry-after"] == "2"
        assert "why" in data.decode()
        assert codec.decode_error(written, headers, data).kind == (kind if kind != "strange" else "upstream")
