"""One call between two dialects, by hand: framings, faults, what only the client's own provider could do."""

import json

import orjson
import pytest

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.translation import Side, Translation, enveloped

CHAT = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}  # fmt: skip
DELTA = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}


def chunk(**delta: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return b"data: " + orjson.dumps({**DELTA, "choices": [choice]}) + b"\n\n"


def one(client: str, upstream: str, *, stream: bool = False, framing: str = "") -> Translation:
    return Translation(
        Side(client, framing), Side(upstream), Context(now=1.0, requested_model="asked"), stream=stream
    )


def test_content_types_of_answers() -> None:
    assert one("anthropic", "openai_chat").content_type == "application/json"
    assert one("anthropic", "openai_chat", stream=True).content_type.startswith("text/event-stream")
    assert one("bedrock_converse", "gemini", stream=True).content_type == "application/vnd.amazon.eventstream"
    assert one("gemini", "anthropic", stream=True, framing="jsonarray").content_type.startswith(
        "application/json"
    )
    assert one("anthropic", "gemini", stream=True, framing="chunks").content_type.endswith("eventstream")


def test_a_whole_answer_for_a_client_that_streams_and_one_that_does_not() -> None:
    whole = one("anthropic", "openai_chat").reply(orjson.dumps(CHAT), "application/json", "r")
    assert whole.status == 200
    message = json.loads(whole.body)
    assert (message["content"][0]["text"], message["model"]) == ("Hello", "asked")
    streamed = one("anthropic", "openai_chat", stream=True).answer(orjson.dumps(CHAT), "application/json")
    assert streamed.endswith(b'data: {"type":"message_stop"}\n\n')


def test_geminis_array_is_an_array_whatever_comes() -> None:
    body = chunk(content="a") + chunk(content="b") + b"data: [DONE]\n\n"
    found = one("gemini", "openai_chat", stream=True, framing="jsonarray").answer(body, "text/event-stream")
    assert "".join(
        p["text"] for c in json.loads(found) for x in c.get("candidates", ()) for p in x["content"]["parts"]
    )
    nothing = one("gemini", "openai_chat", stream=True, framing="jsonarray").answer(b"", "text/event-stream")
    assert json.loads(nothing)[-1]["error"]["code"] == 502


ODD = [
    (b"", "application/json"),
    (b"<html>Bad gateway</html>", "text/html"),
    (b"not json", "application/json"),
    (b"[]", "application/json"),
    (b'{"choices":[]', "application/json"),
    (b"\xff\xfe\x00", "text/event-stream"),
    (b'{"error":{"message":"overloaded","type":"server_error"}}', "application/json"),
]


@pytest.mark.parametrize(("body", "kind"), ODD)
@pytest.mark.parametrize("client", ["anthropic", "gemini", "openai_responses", "bedrock_converse", "ollama"])
def test_what_is_no_answer_is_an_error_with_its_status(client: str, body: bytes, kind: str) -> None:
    reply = one(client, "openai_chat").reply(body, kind, "r")
    assert reply.status >= 500
    assert json.loads(reply.body)


@pytest.mark.parametrize(("late", "kind"), [(True, b"timeout_error"), (False, b"api_error")])
def test_an_abort_says_whether_it_took_too_long(late: bool, kind: bytes) -> None:
    relay = one("anthropic", "openai_chat", stream=True).relay("text/event-stream")
    relay.feed(chunk(content="a"))
    assert b'"type":"' + kind in b"".join(relay.abort("gone", late))


def test_after_an_abort_nothing_comes() -> None:
    relay = one("openai_responses", "openai_chat", stream=True).relay("text/event-stream")
    begun = b"".join(relay.feed(chunk(content="a")))
    ended = b"".join(relay.abort("gone"))
    assert b"response.created" in begun
    assert b"response.failed" in ended
    assert relay.feed(chunk(content="b")) == relay.close() == relay.abort("again") == []


def test_what_the_clients_own_provider_keeps_cannot_be_translated() -> None:
    body = orjson.dumps({"model": "m", "input": "hi", "previous_response_id": "resp_1"})
    with pytest.raises(Untranslatable) as raised:
        one("openai_responses", "anthropic").read(body, "m", False)
    assert raised.value.field == "previous_response_id"
    assert one("openai_responses", "openai_responses").read(body, "m", False).messages


def test_envelopes_are_anthropics() -> None:
    body = {"model": "claude", "max_tokens": 1, "messages": [], "stream": True}
    assert "model" not in enveloped(body, "anthropic", "bedrock")[0]
    assert enveloped(body, "anthropic", "vertex")[0]["anthropic_version"] == "vertex-2023-10-16"
    assert enveloped(body, "gemini", "")[0] is body
