"""Errors inside a success: none may reach a client as an answer that says nothing."""

import json
from typing import Any

import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.translation import Side, Translation

DIALECTS = ("anthropic", "openai_chat", "openai_responses", "gemini", "bedrock_converse", "ollama")
TOLD = "the provider is busy"
DOCUMENTS: list[tuple[str, dict[str, Any], int]] = [
    ("anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": TOLD}}, 529),
    ("anthropic", {"type": "error", "error": {"type": "rate_limit_error", "message": TOLD}}, 429),
    ("gemini", {"error": {"code": 429, "message": TOLD, "status": "RESOURCE_EXHAUSTED"}}, 429),
    ("bedrock_converse", {"__type": "ThrottlingException", "message": TOLD}, 429),
    ("openai_chat", {"error": {"code": 429, "message": TOLD}, "user_id": "u"}, 429),
    ("openai_chat", {"error": {"type": "server_error", "message": TOLD}}, 502),
    (
        "openai_chat",
        {"id": "gen-1", "choices": [{"index": 0, "error": {"code": 429, "message": TOLD}, "message": {}}]},
        429,
    ),
    ("openai_responses", {"status": "failed", "error": {"code": "server_error", "message": TOLD}}, 502),
    ("ollama", {"error": TOLD}, 502),
]


def through(client: str, provider: str, stream: bool) -> Translation:
    return Translation(Side(client), Side(provider), Context(), stream=stream)


@pytest.mark.parametrize(("provider", "document", "status"), DOCUMENTS)
@pytest.mark.parametrize("client", DIALECTS)
def test_a_document(client: str, provider: str, document: dict[str, Any], status: int) -> None:
    body = json.dumps(document).encode()
    reply = through("anthropic", provider, stream=False).reply(body, "application/json", "r")
    assert reply.status == status
    reply = through(client, provider, stream=False).reply(body, "application/json", "r")
    assert reply.status >= 400
    assert TOLD.encode() in reply.body
    streamed = through(client, provider, stream=True).answer(body, "application/json")
    assert TOLD.encode() in streamed
    assert not any(word in streamed for word in (b"end_turn", b"message_stop", b'"STOP"', b'"done_reason"'))


CHUNK = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


@pytest.mark.parametrize("done", [b"data: [DONE]\n\n", b""])
@pytest.mark.parametrize("client", DIALECTS)
def test_a_choice_that_broke_off(client: str, done: bytes) -> None:
    """OpenRouter says so in the last choice, after part of the answer."""
    error = {"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502, "message": TOLD}}
    chunks = [{"index": 0, "delta": {"content": "so"}}, error]
    stream = b"".join(b"data: %b\n\n" % json.dumps({**CHUNK, "choices": [c]}).encode() for c in chunks)
    out = through(client, "openai_chat", stream=True).answer(stream + done, "text/event-stream")
    assert TOLD.encode() in out
    assert not any(
        word in out for word in (b"end_turn", b"message_stop", b'"STOP"', b'"finish_reason":"stop"')
    )


def gemini(reason: str, *parts: dict[str, Any]) -> bytes:
    candidate = {"index": 0, "finishReason": reason, "content": {"role": "model", "parts": list(parts)}}
    usage = {"promptTokenCount": 5, "totalTokenCount": 5}
    return b"data: %b\n\n" % json.dumps({"candidates": [candidate], "usageMetadata": usage}).encode()


@pytest.mark.parametrize("client", [name for name in DIALECTS if name != "gemini"])
def test_a_call_that_gemini_could_not_write(client: str) -> None:
    """Nothing was said, so agents have to be told to try again; half an answer stays one."""
    malformed = gemini("MALFORMED_FUNCTION_CALL")
    out = through(client, "gemini", stream=True).answer(malformed, "text/event-stream")
    assert b"the model failed before it said anything" in out
    whole = through(client, "gemini", stream=False)
    assert b"the model failed" in whole.answer(malformed, "text/event-stream")
    said = gemini("MALFORMED_FUNCTION_CALL", {"text": "so far"})
    out = through(client, "gemini", stream=True).answer(said, "text/event-stream")
    assert b"so far" in out
    assert b"the model failed" not in out
