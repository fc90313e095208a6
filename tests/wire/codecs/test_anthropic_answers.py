"""Answers and errors for clients of Anthropic's dialect, and what its providers' become."""

import json
from typing import Any

import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs import anthropic
from llm_intercept.wire.ir import (
    Answer,
    Failure,
    Finish,
    Media,
    Opaque,
    Part,
    RefusalText,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.usage import Usage
from tests.wire.codecs.anthropic_sdk import MESSAGES


def encode(
    *parts: Part, finish: Finish = "stop", usage: Usage | None = None, **context: Any
) -> dict[str, Any]:
    answer = Answer("chatcmpl-1", "gpt", parts, finish, usage or Usage())
    body = dict(anthropic.encode_answer(answer, Context(**context)))
    MESSAGES.validate_python(body)
    return body


def test_the_envelope_of_a_message() -> None:
    body = encode(Text("hi"), usage=Usage(input=10, output=2), requested_model="claude-opus-4-8")
    assert body["id"].startswith("msg_")
    assert body == encode(Text("hi"), usage=Usage(input=10, output=2), requested_model="claude-opus-4-8")
    assert (body["type"], body["role"], body["model"]) == ("message", "assistant", "claude-opus-4-8")
    assert body["content"] == [{"type": "text", "text": "hi"}]


def test_ids() -> None:
    body = anthropic.encode_answer(Answer("msg_bdrk_01A", "m", (), "stop"), Context())
    assert body["id"] == "msg_bdrk_01A"
    body = anthropic.encode_answer(Answer("", "m", (), "stop"), Context(mint=lambda n: "x" * n))
    assert body["id"] == "msg_" + "x" * 24


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            Usage(
                input=100,
                output=7,
                cache_read=60,
                cache_write=30,
                cache_write_1h=10,
                reasoning=5,
                web_searches=2,
            ),
            {
                "input_tokens": 10,
                "cache_creation_input_tokens": 30,
                "cache_read_input_tokens": 60,
                "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
                "output_tokens": 7,
                "output_tokens_details": {"thinking_tokens": 5},
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
            },
        ),
        (
            Usage(service_tier="default"),
            {
                "input_tokens": 44,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 0,
            },
        ),
    ],
)
def test_usage_is_complete(usage: Usage, expected: dict[str, Any]) -> None:
    body = encode(Text("x"), usage=usage, input_estimate=44)
    assert body["usage"] == expected
    if usage.known:
        assert anthropic.decode_answer(body).usage == usage


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("stop_sequence", "stop_sequence"),
        ("content_filter", "refusal"),
        ("refusal", "refusal"),
        ("pause", "pause_turn"),
        ("overflow", "model_context_window_exceeded"),
        ("other", "end_turn"),
        ("error", "end_turn"),
    ],
)
def test_finish_reasons(finish: Finish, reason: str) -> None:
    body = encode(Text("x"), finish=finish)
    assert body["stop_reason"] == reason
    if finish not in ("content_filter", "other", "error"):
        assert anthropic.decode_answer(body).finish == finish


def test_reasons_of_tomorrow_come_back() -> None:
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    body |= {
        "stop_reason": "compaction",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    assert anthropic.decode_answer(body).finish == "pause"
    assert anthropic.encode_answer(anthropic.decode_answer(body), Context()) == body


@pytest.mark.parametrize(
    ("part", "blocks"),
    [
        (ToolCall("call_1", "f", ""), [{"type": "tool_use", "id": "call_1", "name": "f", "input": {}}]),
        (
            ToolCall("a", "f", "not json"),
            [{"type": "tool_use", "id": "a", "name": "f", "input": {"arguments": "not json"}}],
        ),
        (
            ToolCall("a", "f", "sql", custom=True),
            [{"type": "tool_use", "id": "a", "name": "f", "input": {"input": "sql"}}],
        ),
        (
            ToolCall("a", "f", "{}", signature="s", origin="gemini"),
            [
                {"type": "redacted_thinking", "data": "lli1call.gemini.s"},
                {"type": "tool_use", "id": "a", "name": "f", "input": {}},
            ],
        ),
        (
            Thinking("hm", "s", "gemini"),
            [{"type": "thinking", "thinking": "hm", "signature": "lli1.gemini.s"}],
        ),
        (Thinking("hm", "s", "anthropic"), [{"type": "thinking", "thinking": "hm", "signature": "s"}]),
        (Thinking("hm"), [{"type": "thinking", "thinking": "hm", "signature": ""}]),
        (
            Thinking("", "e", "openai_responses", redacted=True),
            [{"type": "redacted_thinking", "data": "lli1.openai_responses.e"}],
        ),
        (Thinking(), []),
        (Text(""), []),
        (RefusalText("no"), [{"type": "text", "text": "no"}]),
        (Opaque("gemini", {}, "42"), [{"type": "text", "text": "42"}]),
        (Media("image", "image/png", data="x"), []),
    ],
)
def test_parts(part: Part, blocks: list[dict[str, Any]]) -> None:
    body = encode(part)
    assert body["content"] == blocks
    assert body["stop_reason"] == ("tool_use" if isinstance(part, ToolCall) else "end_turn")
    back = anthropic.decode_answer(body).parts
    if isinstance(part, Thinking | ToolCall) and blocks and not (isinstance(part, ToolCall) and part.custom):
        again = encode(*back)
        assert again["content"] == blocks


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": None},
        {"content": "plain"},
        {"content": [None, 3, {"type": None}, {"type": []}]},
        {"content": [{"type": "text"}, {"type": "tool_use", "input": None}], "usage": [], "stop_reason": {}},
        {"content": [{"type": "text", "text": 5, "citations": 7}], "id": 3, "model": None},
    ],
)
def test_decoding_answers_is_total(body: dict[str, Any]) -> None:
    answer = anthropic.decode_answer(body)
    anthropic.encode_answer(answer, Context())


ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
GOOGLE = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota"}}


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "message"),
    [
        (529, {}, ERROR, "unavailable", "Overloaded"),
        (429, {"Retry-After": "7"}, GOOGLE, "rate_limit", "Quota"),
        (
            400,
            {"x-amzn-ErrorType": "ValidationException:http://x"},
            {"message": "bad"},
            "invalid_request",
            "bad",
        ),
        (429, {"x-amzn-errortype": "ThrottlingException"}, {"message": "slow"}, "rate_limit", "slow"),
        (400, {}, {"message": "Input is too long for requested model."}, "overflow", "Input is too long"),
        (
            400,
            {},
            {
                "error": {
                    "type": "invalid_request_error",
                    "message": "prompt is too long: 5 tokens > 4 maximum",
                }
            },
            "overflow",
            "prompt is too long",
        ),
        (
            400,
            {},
            {"error": {"type": "exceed_context_size_error", "message": "exceeds the available context size"}},
            "overflow",
            "exceeds",
        ),
        (402, {}, {"error": {"type": "billing_error", "message": "pay"}}, "budget", "pay"),
        (413, {}, {"error": {"type": "request_too_large", "message": "big"}}, "too_large", "big"),
        (418, {}, "teapot", "invalid_request", "teapot"),
        (502, {}, "<html>", "upstream", "<html>"),
    ],
)
def test_decoding_errors(status: int, headers: dict[str, str], body: Any, kind: str, message: str) -> None:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    failure = anthropic.decode_error(status, headers, data)
    assert failure.kind == kind
    assert message in failure.message
    assert failure.retry_after == (7 if "Retry-After" in headers else None)


@pytest.mark.parametrize(
    ("failure", "status", "kind", "message"),
    [
        (Failure("rate_limit", "slow", 429, retry_after=1.2), 429, "rate_limit_error", "slow"),
        (Failure("unavailable", "busy", 503), 529, "overloaded_error", "busy"),
        (Failure("timeout", "late", 408), 504, "timeout_error", "late"),
        (Failure("upstream", "cut", 502), 502, "api_error", "cut"),
        (Failure("something", "odd", 500), 500, "api_error", "odd"),
        (
            Failure("overflow", "maximum context length is 8192 tokens, your messages have 9000 tokens", 400),
            400,
            "invalid_request_error",
            "prompt is too long: 9000 tokens > 8192 maximum",
        ),
        (
            Failure("overflow", "The input is too long", 413),
            400,
            "invalid_request_error",
            "prompt is too long: The input is too long",
        ),
    ],
)
def test_encoding_errors(failure: Failure, status: int, kind: str, message: str) -> None:
    code, headers, body = anthropic.encode_error(failure, "req_7")
    assert code == status
    assert headers.get("retry-after") == ("2" if failure.retry_after else None)
    assert json.loads(body) == {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_7",
    }
