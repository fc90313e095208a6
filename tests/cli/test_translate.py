"""`translate`: what a file holds is told by its contents, the translation goes out, warnings beside it."""

import json
from pathlib import Path

import pytest

from llm_intercept.wire.framing.write import FrameWriter

ASK = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 50,
    "top_k": 4,
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}
    ],
}
CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
HELLO = {**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hello"}}]}
STOP = {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
SSE = f"data: {json.dumps(HELLO)}\n\ndata: {json.dumps(STOP)}\n\ndata: [DONE]\n\n"
LINES = "".join(
    json.dumps({"model": "q", "message": {"role": "assistant", "content": text}, "done": done}) + "\n"
    for text, done in (("hel", False), ("lo", True))
)
GEMINI = [
    {"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"}]}
]


def to(source: str, target: str) -> tuple[str, ...]:
    return ("translate", "--from", source, "--to", target)


def test_a_request_and_its_warnings(cli, tmp_path: Path) -> None:
    file = tmp_path / "ask.json"
    file.write_text(json.dumps(ASK))
    result = cli(*to("anthropic", "openai_chat"), "--provider", "openai", "--model", "o3", str(file))
    body = json.loads(result.stdout)
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert body["max_completion_tokens"] == 50
    assert "warning: top_k: not taken by o3\n" in result.stderr


def test_json_has_kind_translation_and_warnings(cli_json) -> None:
    shown = cli_json(*to("anthropic", "openai_responses"), stdin=json.dumps(ASK))
    assert shown["kind"] == "request"
    assert json.loads(shown["translation"])["max_output_tokens"] == 50
    assert any(warning.startswith("cache_control:") for warning in shown["warnings"])


@pytest.mark.parametrize(
    ("source", "data"), [("openai_chat", SSE), ("ollama", LINES), ("gemini", json.dumps(GEMINI))]
)
def test_a_stream_in_each_framing(cli_json, source: str, data: str) -> None:
    shown = cli_json(*to(source, "anthropic"), stdin=data)
    assert shown["kind"] == "stream"
    assert "".join(_texts(shown["translation"])) == "hello"
    assert shown["translation"].rstrip().endswith('{"type":"message_stop"}')


def test_a_stream_of_amazon_s(cli, tmp_path: Path) -> None:
    written = FrameWriter("eventstream").write(
        [
            ("messageStart", b'{"role":"assistant"}'),
            ("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"hello"}}'),
            ("contentBlockStop", b'{"contentBlockIndex":0}'),
            ("messageStop", b'{"stopReason":"end_turn"}'),
            ("metadata", b'{"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}'),
        ]
    )
    file = tmp_path / "stream.bin"
    file.write_bytes(written)
    out = cli(*to("bedrock_converse", "anthropic"), str(file)).stdout
    assert "".join(_texts(out)) == "hello"


def _texts(stream: str) -> list[str]:
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    return [event["delta"]["text"] for event in events if event.get("delta", {}).get("type") == "text_delta"]


def test_an_answer(cli_json) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
    shown = cli_json(*to("openai_chat", "gemini"), stdin=json.dumps({"id": "x", "choices": [choice]}))
    assert shown["kind"] == "answer"
    assert json.loads(shown["translation"])["candidates"][0]["content"]["parts"] == [{"text": "hello"}]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("anthropic", {"type": "error", "error": {"type": "rate_limit_error", "message": "slowly"}}),
        ("gemini", {"error": {"code": 429, "message": "slowly", "status": "RESOURCE_EXHAUSTED"}}),
        ("bedrock_converse", {"__type": "ThrottlingException", "message": "slowly"}),
        ("openai_chat", {"error": {"code": 429, "message": "slowly"}}),
    ],
)
def test_an_error(cli_json, source: str, error: dict[str, object]) -> None:
    shown = cli_json(*to(source, "openai_chat"), stdin=json.dumps(error))
    assert shown["kind"] == "error"
    told = json.loads(shown["translation"])["error"]
    assert (told["type"], told["message"]) == ("rate_limit_error", "slowly")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "there is nothing to translate"),
        ("hello", "neither a JSON document nor a stream"),
        ('{"id": "x"', "neither one JSON document nor a stream"),
        ('{"foo": 1}', "no request and no answer of openai_chat's"),
        (json.dumps({**ASK, "n": 2}), "n: Anthropic gives one answer to a request"),
        ('{"messages": 3}', "messages: must be a list of messages"),
    ],
)
def test_what_cannot_be_translated_is_said(cli, data: str, words: str) -> None:
    assert words in cli(*to("openai_chat", "anthropic"), stdin=data, code=1).output


def test_a_dialect_that_is_not_known(cli) -> None:
    assert "these can: anthropic, bedrock_converse" in cli(*to("openai", "anthropic"), code=1).output
