"""The beginning of a stream: content, an error, or not known yet. For every dialect, however it is cut."""

import gzip
import json

import pytest

from llm_intercept.wire.holdback import HoldBack
from llm_intercept.wire.tap import Tap
from tests.live import wire
from tests.wire import cuts
from tests.wire.recordings import Recording, successes
from tests.wire.test_farewell import AWS, COHERE, SSE, aws_error

LINES = "application/x-ndjson"
ARRAY = "application/json; charset=UTF-8"
BUSY = {"error": {"message": "busy", "type": "server_error", "code": "overloaded"}}
CREATED = {"type": "response.created", "sequence_number": 0, "response": {"id": "r", "status": "in_progress"}}
PROGRESS = {**CREATED, "type": "response.in_progress", "sequence_number": 1}
FAILED = {"id": "r", "status": "failed", "error": {"code": "server_error", "message": "busy"}}
TEXT = {"type": "response.output_text.delta", "sequence_number": 2, "delta": "a", "output_index": 0}
CALL = {
    "type": "response.function_call_arguments.delta",
    "sequence_number": 2,
    "delta": "{",
    "output_index": 0,
}
THOUGHT = {"type": "response.reasoning_summary_text.delta", "sequence_number": 2, "delta": "a"}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
GOOGLE = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}


def verdicts(dialect: str, kind: str, pieces: list[bytes]) -> list[str]:
    judge = HoldBack(Tap(dialect, "chat", kind))
    return [judge(piece) for piece in pieces]


def chat_delta(**delta: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return wire.event({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def block(**content: object) -> bytes:
    return wire.event(
        {"type": "content_block_start", "index": 0, "content_block": content}, "content_block_start"
    )


def delta(**content: object) -> bytes:
    return wire.event({"type": "content_block_delta", "index": 0, "delta": content}, "content_block_delta")


def gemini(**part: object) -> bytes:
    return wire.event({"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]})


BEGINNINGS = [
    pytest.param(
        "openai_chat", SSE, [b": keep-alive\n\n", chat_delta(role="assistant", content="")], "", id="chat"
    ),
    pytest.param("openai_chat", SSE, [chat_delta(content="a")], "content", id="chat text"),
    pytest.param("openai_chat", SSE, [chat_delta(reasoning_content="a")], "content", id="chat thought"),
    pytest.param(
        "openai_chat",
        SSE,
        [chat_delta(tool_calls=[{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{"}}])],
        "content",
        id="chat call",
    ),
    pytest.param("openai_chat", SSE, [wire.event(BUSY)], "error", id="chat error"),
    pytest.param(
        "openai_chat", SSE, [chat_delta(role="assistant"), wire.event(BUSY)], "error", id="chat late error"
    ),
    pytest.param("openai_chat", SSE, [wire.event(BUSY, "error")], "error", id="chat named error"),
    pytest.param("openai_chat", SSE, [wire.DONE], "content", id="chat nothing"),
    pytest.param("openai_responses", SSE, [wire.event(CREATED), wire.event(PROGRESS)], "", id="responses"),
    pytest.param(
        "openai_responses", SSE, [wire.event(CREATED), wire.event(TEXT)], "content", id="responses text"
    ),
    pytest.param(
        "openai_responses", SSE, [wire.event(CREATED), wire.event(CALL)], "content", id="responses call"
    ),
    pytest.param(
        "openai_responses", SSE, [wire.event(CREATED), wire.event(THOUGHT)], "content", id="responses thought"
    ),
    pytest.param(
        "openai_responses",
        SSE,
        [
            wire.event(CREATED),
            wire.event({"type": "error", "code": "server_error", "message": "busy"}, "error"),
        ],
        "error",
        id="responses error",
    ),
    pytest.param(
        "openai_responses",
        SSE,
        [wire.event(CREATED), wire.event({"type": "response.failed", "response": FAILED}, "response.failed")],
        "error",
        id="responses failed",
    ),
    pytest.param(
        "anthropic",
        SSE,
        [wire.message_start(), wire.event({"type": "ping"}, "ping"), block(type="text", text="")],
        "",
        id="messages",
    ),
    pytest.param(
        "anthropic",
        SSE,
        [block(type="text", text=""), wire.message_delta("a")],
        "content",
        id="messages text",
    ),
    pytest.param(
        "anthropic", SSE, [delta(type="thinking_delta", thinking="a")], "content", id="messages thought"
    ),
    pytest.param(
        "anthropic", SSE, [delta(type="input_json_delta", partial_json="{")], "content", id="messages call"
    ),
    pytest.param(
        "anthropic",
        SSE,
        [wire.message_start(), wire.event(OVERLOADED, "error")],
        "error",
        id="messages error",
    ),
    pytest.param("gemini", SSE, [gemini(text="a")], "content", id="gemini text"),
    pytest.param(
        "gemini", SSE, [gemini(functionCall={"name": "f", "args": {}})], "content", id="gemini call"
    ),
    pytest.param("gemini", SSE, [wire.event(GOOGLE)], "error", id="gemini error"),
    pytest.param("gemini", ARRAY, [b"[" + json.dumps(GOOGLE).encode()], "error", id="gemini array error"),
    pytest.param("gemini", ARRAY, wire.gemini_array()[:1], "content", id="gemini array"),
    pytest.param("bedrock_converse", AWS, wire.converse_stream()[:1], "", id="converse"),
    pytest.param("bedrock_converse", AWS, wire.converse_stream()[:2], "content", id="converse text"),
    pytest.param(
        "bedrock_converse",
        AWS,
        [*wire.converse_stream()[:1], aws_error("busy")],
        "error",
        id="converse error",
    ),
    pytest.param("bedrock_invoke", AWS, [aws_error("busy")], "error", id="invoke error"),
    pytest.param("cohere", SSE, COHERE[:1], "", id="cohere"),
    pytest.param("cohere", SSE, COHERE, "content", id="cohere text"),
    pytest.param("ollama", LINES, [b'{"error":"busy"}\n'], "error", id="ollama error"),
    pytest.param(
        "ollama", LINES, [b'{"message":{"content":"a"},"done":false}\n'], "content", id="ollama text"
    ),
    pytest.param("openai_chat", "application/json", [json.dumps(BUSY).encode()], "", id="a document"),
    pytest.param("observe", "audio/mpeg", [b"\xff\xfb\x90"], "", id="sound"),
]


@pytest.mark.parametrize(("dialect", "kind", "pieces", "expected"), BEGINNINGS)
def test_verdicts(dialect: str, kind: str, pieces: list[bytes], expected: str) -> None:
    found = verdicts(dialect, kind, pieces)
    assert found[-1] == expected
    assert not any(found[:-1])


@pytest.mark.parametrize(("dialect", "kind", "pieces", "expected"), BEGINNINGS)
def test_verdicts_byte_by_byte(dialect: str, kind: str, pieces: list[bytes], expected: str) -> None:
    found = verdicts(dialect, kind, cuts.by_byte(b"".join(pieces)))
    assert next((one for one in found if one), "") == expected


STREAMS = [r for r in successes() if r.stream and r.dialect != "observe"]


@pytest.mark.parametrize("recording", STREAMS, ids=lambda r: r.name)
def test_a_recorded_stream_is_content(recording: Recording) -> None:
    """Also when all of it comes at once, and an error only where there was one."""
    judge = HoldBack(Tap(recording.dialect, recording.surface, recording.content_type))
    found = next((one for one in map(judge, cuts.by_event(recording.body)) if one), "")
    tap = Tap(recording.dialect, recording.surface, recording.content_type)
    tap.feed(recording.body, 1.0)
    assert found == "content" or tap.close().error_type


def test_what_it_says_is_kept() -> None:
    judge = HoldBack(Tap("openai_chat", "chat", SSE))
    assert judge(wire.event(BUSY)) == "error"
    assert (judge.reading.error_type, judge.reading.error_message) == ("server_error", "busy")


def test_compressed() -> None:
    judge = HoldBack(Tap("openai_chat", "chat", SSE, "gzip"))
    assert judge(gzip.compress(wire.event(BUSY))) == "error"


def test_a_fault_of_ours_lets_it_pass() -> None:
    class Faulty(Tap):
        def feed(self, chunk: bytes, now: float) -> None:
            raise ValueError("no type that anybody expects")

    assert HoldBack(Faulty("openai_chat", "chat", SSE))(b"data: {}\n\n") == "content"
