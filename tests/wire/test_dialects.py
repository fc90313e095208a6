"""What each dialect makes of its own wire bytes: small files in `bytes/`, one row of expectations each."""

import ast
import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.wire import codecs, dialects
from llm_intercept.wire.tap import Reading, Tap
from llm_intercept.wire.usage import Usage
from tests.wire import cuts
from tests.wire.recordings import Recording, successes
from tests.wire.test_framing import message

BYTES = Path(__file__).parent / "bytes"
TYPES = {".sse": "text/event-stream", ".json": "application/json", ".ndjson": "application/x-ndjson"}


@dataclass(frozen=True)
class Case:
    file: str
    dialect: str
    usage: Usage
    model: str = ""
    response_id: str = ""
    finish: str = ""
    text: str = ""
    error: tuple[str, str] = ("", "")
    complete: bool = True


CASES = [
    Case(
        "chat_tools.sse",
        "openai_chat",
        Usage(120, 40, cache_read=64, reasoning=21, audio_input=3, audio_output=0, service_tier="default"),
        "gpt-5-mini",
        "chatcmpl-1",
        "tool_calls",
        'get_weather{"city":"Paris"}',
    ),
    Case(
        "chat_deepseek.sse",
        "openai_chat",
        Usage(30, 8, cache_read=25),
        "deepseek-chat",
        "ds-1",
        "stop",
        "Let me think",
    ),
    Case(
        "chat_openrouter.sse", "openai_chat", Usage(10, 2, cost_nanos=1_125_000), "x/y", "gen-1", "stop", "Hi"
    ),
    Case(
        "chat_error.sse",
        "openai_chat",
        Usage(),
        "x/y",
        "gen-2",
        "",
        "Hel",
        ("error", "Provider returned error"),
        complete=False,
    ),
    Case("chat_surrogate.json", "openai_chat", Usage(9, 3), "gpt-4.1", "c-1", "stop", "Hi ? there"),
    Case(
        "messages.sse",
        "anthropic",
        Usage(
            1312,
            55,
            cache_read=1000,
            cache_write=300,
            cache_write_1h=200,
            reasoning=20,
            web_searches=2,
            service_tier="standard",
        ),
        "claude-sonnet-5",
        "msg_1",
        "tool_use",
        'Hm.{"a":1}',
    ),
    Case(
        "messages_overloaded.sse",
        "anthropic",
        Usage(12, 1),
        "claude-sonnet-5",
        "msg_2",
        "",
        "Hel",
        ("overloaded_error", "Overloaded"),
        complete=False,
    ),
    Case(
        "messages_compaction.json",
        "anthropic",
        Usage(60_615, 530, cache_read=15, cache_write=0),
        "claude-opus-5",
        "msg_3",
        "end_turn",
        "Hi",
    ),
    Case("complete.sse", "anthropic", Usage(), "claude-2.1", "compl_1", "stop_sequence", " Hello"),
    Case(
        "responses.sse",
        "openai_responses",
        Usage(50, 16, cache_read=32, cache_write=5, reasoning=16, service_tier="flex"),
        "gpt-5-codex",
        "resp_1",
        "max_output_tokens",
        "Plan. {}",
    ),
    Case(
        "responses_failed.sse",
        "openai_responses",
        Usage(),
        "gpt-5",
        "resp_2",
        "failed",
        error=("server_error", "The model failed."),
    ),
    Case(
        "completions.sse",
        "openai_completions",
        Usage(4, 2),
        "gpt-3.5-turbo-instruct",
        "cmpl-1",
        "stop",
        "Hello",
    ),
    Case("embeddings.json", "openai_embeddings", Usage(7), "text-embedding-3-small"),
    Case("images.json", "openai_images", Usage(20, 100, image_input=0)),
    Case("images.sse", "openai_images", Usage(20, 100)),
    Case("transcription.json", "openai_audio", Usage(14, 4, audio_input=14), text="Hello there"),
    Case("transcription_seconds.json", "openai_audio", Usage(), text="Hello there"),
    Case("transcription.sse", "openai_audio", Usage(14, 4, audio_input=14), text="Hello"),
    Case(
        "gemini.sse",
        "gemini",
        Usage(15, 28, cache_read=4, reasoning=25, service_tier="standard"),
        "gemini-3-flash",
        "r1",
        "STOP",
        "ThinkingHi",
    ),
    Case("gemini_array.json", "gemini", Usage(8, 6), "gemini-2.5-flash", "r2", "STOP", "f"),
    Case("gemini_blocked.json", "gemini", Usage(8), "gemini-2.5-flash", finish="PROHIBITED_CONTENT"),
    Case("vertex_embeddings.json", "gemini", Usage(9)),
    Case("gemini_count.json", "gemini", Usage()),
    Case(
        "converse.json",
        "bedrock_converse",
        Usage(110, 2, cache_read=60, cache_write=40, cache_write_1h=30),
        finish="end_turn",
        text="Hi",
    ),
    Case("cohere_v1.ndjson", "cohere", Usage(70, 2), "", "g-1", "COMPLETE", "Hi"),
    Case("cohere_v2.sse", "cohere", Usage(700, 12, cache_read=64), "", "co-1", "TOOL_CALL", "I will {}"),
    Case("cohere_rerank.json", "cohere", Usage(), "", "co-2"),
    Case("ollama.ndjson", "ollama", Usage(26, 9), "qwen3", "", "stop", "HmHi"),
    Case(
        "ollama_error.ndjson",
        "ollama",
        Usage(),
        error=("error", "model requires more system memory"),
        complete=False,
    ),
    Case("invoke_llama.json", "bedrock_invoke", Usage(11, 3), finish="stop", text="Hi"),
    Case("invoke_mistral.json", "bedrock_invoke", Usage(), finish="length", text=" Hi"),
    Case("chat_tools.sse", "observe", Usage()),
]


def read(case: Case, pieces: list[bytes]) -> Reading:
    tap = Tap(case.dialect, "", TYPES[Path(case.file).suffix])
    for piece in pieces:
        tap.feed(piece, 1.0)
    return tap.close()


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.dialect}-{c.file}")
def test_reading(case: Case) -> None:
    body = (BYTES / case.file).read_bytes()
    for pieces in (cuts.whole(body), cuts.by_event(body), cuts.by_byte(body)):
        reading = read(case, pieces)
        assert reading.usage == case.usage
        assert (reading.model, reading.response_id) == (case.model, case.response_id)
        assert (reading.finish_reason, reading.text_parts) == (case.finish, case.text)
        assert (reading.error_type, reading.error_message) == case.error
        assert reading.complete is case.complete


def chunk(body: dict[str, object]) -> bytes:
    data = base64.b64encode(orjson.dumps(body)).decode()
    return message(orjson.dumps({"bytes": data, "p": "abc"}), event_type="chunk", message_type="event")


METRICS = {
    "inputTokenCount": 20,
    "outputTokenCount": 7,
    "cacheReadInputTokenCount": 5,
    "cacheWriteInputTokenCount": 0,
}
INVOKED = [
    pytest.param(
        [
            {
                "type": "message_start",
                "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 20}},
            },
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
            {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
        ],
        Usage(20, 9),
        "end_turn",
        id="anthropic: its own counters",
    ),
    pytest.param(
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "Hi"}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {
                "metadata": {"usage": {"inputTokens": 20, "outputTokens": 7}},
                "amazon-bedrock-invocationMetrics": METRICS,
            },
        ],
        Usage(25, 7, cache_read=5, cache_write=0),
        "end_turn",
        id="nova",
    ),
    pytest.param(
        [
            {"generation": "Hi", "prompt_token_count": 20, "generation_token_count": 1, "stop_reason": None},
            {
                "generation": "",
                "prompt_token_count": None,
                "generation_token_count": 7,
                "stop_reason": "stop",
            },
        ],
        Usage(20, 7),
        "stop",
        id="llama",
    ),
    pytest.param(
        [
            {"completion": "Hi", "stop_reason": None},
            {"completion": "", "stop_reason": "max_tokens", "amazon-bedrock-invocationMetrics": METRICS},
        ],
        Usage(25, 7, cache_read=5, cache_write=0),
        "max_tokens",
        id="metrics alone",
    ),
]


@pytest.mark.parametrize(("chunks", "usage", "finish"), INVOKED)
def test_invoke_stream(chunks: list[dict[str, object]], usage: Usage, finish: str) -> None:
    tap = Tap("bedrock_invoke", "invoke", "application/vnd.amazon.eventstream")
    tap.feed(b"".join(map(chunk, chunks)), 3.0)
    reading = tap.close()
    assert reading.usage == usage
    assert (reading.text_parts, reading.finish_reason, reading.first_token) == ("Hi", finish, 3.0)


@pytest.mark.parametrize("dialect", ["bedrock_invoke", "bedrock_converse"])
def test_an_exception_in_a_bedrock_stream(dialect: str) -> None:
    tap = Tap(dialect, "", "application/vnd.amazon.eventstream")
    tap.feed(message(b'{"message":"slow down"}', exception_type="throttlingException"), 1.0)
    reading = tap.close()
    assert (reading.error_type, reading.error_message) == ("throttlingException", "slow down")


def test_headers_count_what_a_body_does_not() -> None:
    headers = {
        "x-amzn-bedrock-input-token-count": "6",
        "x-amzn-bedrock-output-token-count": "43",
        "x-amzn-bedrock-cache-read-input-token-count": "4",
    }
    tap = Tap("bedrock_invoke", "invoke", "application/json", headers=headers)
    tap.feed(b'{"generations":[{"text":"Hi","finish_reason":"COMPLETE"}]}', 1.0)
    assert tap.close().usage == Usage(10, 43, cache_read=4)
    odd = Tap(
        "bedrock_invoke", "invoke", "application/json", headers={"x-amzn-bedrock-input-token-count": "²"}
    )
    assert odd.close().usage == Usage()


def test_error_answers_are_read_by_status() -> None:
    headers = {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/"}
    tap = Tap("bedrock_converse", "converse", "application/json", status=429, headers=headers)
    tap.feed(b'{"message":"Too many requests"}', 1.0)
    reading = tap.close()
    assert (reading.error_type, reading.error_message) == ("ThrottlingException", "Too many requests")


def test_the_first_token_is_content() -> None:
    body = (BYTES / "messages.sse").read_bytes()
    tap = Tap("anthropic", "messages", "text/event-stream")
    for at, event in enumerate(cuts.by_event(body)):
        tap.feed(event, float(at))
    assert tap.close().first_token == 3.0


def test_what_is_kept_is_decoded_and_bounded() -> None:
    tap = Tap("openai_chat", "chat", "text/event-stream", keep=10)
    tap.feed(b"data: {}", 1.0)
    tap.feed(b"\n\ndata: {}\n\n", 1.0)
    assert tap.kept == b"data: {}\n\n"


def test_text_is_bounded() -> None:
    tap = Tap("openai_chat", "chat", "text/event-stream")
    line = b'data: {"choices":[{"delta":{"content":"' + b"x" * 600_000 + b'"}}]}\n\n'
    for _ in range(5):
        tap.feed(line, 1.0)
    assert len(tap.close().text_parts) == 1_000_000


def test_close_is_idempotent() -> None:
    tap = Tap("openai_chat", "chat", "application/json")
    tap.feed(b'{"id":"a"}', 1.0)
    assert tap.close() is tap.close()


def test_large_documents_are_summarised() -> None:
    body = b'{"data":["' + b"A" * 5_000_000 + b'"],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}'
    tap = Tap("openai_embeddings", "embeddings", "application/json")
    tap.feed(body, 1.0)
    reading = tap.close()
    assert (reading.usage, reading.model) == (Usage(5), "m")


def test_names() -> None:
    with pytest.raises(ConfigError, match="no dialect 'nonsense'; there are anthropic"):
        dialects.get("nonsense")
    assert Tap("nonsense", "", "").dialect is dialects.get("observe")


CLAUDE_ON_BEDROCK = [r for r in successes() if r.surface.startswith("invoke") and "anthropic" in r.path]


@pytest.mark.parametrize("recording", CLAUDE_ON_BEDROCK, ids=lambda r: r.name)
def test_anthropic_in_amazons_frames_is_read_as_by_amazons_own_client(recording: Recording) -> None:
    """A call that is translated to Claude on Bedrock is Anthropic's in Amazon's event stream."""
    seen = []
    for dialect, operation in (("anthropic", "messages"), ("bedrock_invoke", "invoke")):
        tap = Tap(dialect, operation, recording.content_type)
        tap.feed(recording.body, 1.0)
        reading = tap.close()
        usage = (reading.usage.input, reading.usage.output, reading.usage.cache_read)
        seen.append((usage, reading.finish_reason, reading.complete, reading.error_type))
    legacy = b'"completion"' in recording.body or b'"prompt"' in recording.request
    assert legacy or (seen[0] == seen[1] and seen[0][0][1])


@pytest.mark.parametrize("package", [dialects, codecs], ids=lambda package: package.__name__)
def test_mypy_checks_every_module_against_its_protocol(package: Any) -> None:
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    lists = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.List)
    ]
    checked = {
        item.id
        for node in lists
        if isinstance(node.value, ast.List)
        for item in node.value.elts
        if isinstance(item, ast.Name)
    }
    assert checked == package.names()
