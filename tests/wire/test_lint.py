"""The check of a stream as it passes: over a tap's frames, and over what a translation writes."""

import base64
import json

import pytest

from llm_intercept.wire import lint
from llm_intercept.wire.codec import Context
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.lint import Violation
from llm_intercept.wire.tap import Tap
from llm_intercept.wire.translation import Side, Translation
from tests.wire import cuts
from tests.wire.recordings import Recording, successes

CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":7,"model":"m","choices":[%s]}\n\n'
BEGIN = CHUNK % b'{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null}'
TWICE = CHUNK % b'{"index":0,"delta":{},"finish_reason":"stop"}'
DONE = b"data: [DONE]\n\n"
WRONG = BEGIN + TWICE + TWICE + DONE


def watched(body: bytes, pieces: list[bytes], content_type: str = "text/event-stream") -> list[Violation]:
    tap = Tap("openai_chat", "chat", content_type)
    found = tap.lint = lint.watch("provider", "openai_chat", asks_usage=False)
    assert found is not None
    for piece in pieces:
        tap.feed(piece, 1.0)
    tap.close()
    found.close()
    found.close()  # a row may be made twice
    return found.violations


@pytest.mark.parametrize("pieces", [[WRONG], cuts.by_byte(WRONG), cuts.at_random(WRONG, 3)])
def test_frames_are_counted_however_they_are_cut(pieces: list[bytes]) -> None:
    assert watched(WRONG, pieces) == [Violation(3, "choice 0 has a second finish_reason")]


def test_the_end_counts_as_event_0() -> None:
    body = BEGIN + TWICE
    assert watched(body, [body]) == [Violation(0, "the stream ended without [DONE]")]


def test_a_whole_answer_is_no_stream() -> None:
    body = b'{"id":"c","object":"chat.completion","choices":[]}'
    assert watched(body, [body], "application/json") == []


def test_a_stream_without_a_frame_is_not_judged() -> None:
    assert watched(b"", [b": nothing\n\n"]) == []


def test_dialects_without_a_grammar_are_not_watched() -> None:
    assert lint.watch("provider", "cohere", asks_usage=False) is None


def test_what_a_translation_writes() -> None:
    """Our own streams have no violations, so one is provoked: a grammar of another dialect."""
    for dialect, wrong in (("anthropic", False), ("gemini", True)):
        translation = Translation(Side("anthropic"), Side("openai_chat"), Context(), stream=True)
        found = translation.lint = lint.watch("ours", dialect, asks_usage=False)
        plain = Translation(Side("anthropic"), Side("openai_chat"), Context(), stream=True)
        assert translation.answer(WRONG, "text/event-stream") == plain.answer(WRONG, "text/event-stream")
        assert found is not None
        found.close()
        assert bool(found.violations) is wrong


def chunk(event: object) -> tuple[str, bytes]:
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    return "chunk", json.dumps({"bytes": inner, "p": "abcd"}).encode()


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
STOP = {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}}
LATE = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}
INVOKED: list[tuple[list[tuple[str, bytes]], list[Violation]]] = [
    ([chunk(START), chunk(END), chunk(STOP)], []),
    (
        [chunk(START), chunk(LATE), chunk(END), chunk(STOP)],
        [Violation(2, "content_block_delta for index 0, which is not open")],
    ),
    ([chunk(START), chunk(END)], [Violation(0, "the stream ended without message_stop")]),
    ([chunk(START), ("modelStreamErrorException", b'{"message":"m"}')], []),
    ([chunk({"messageStart": {"role": "assistant"}}), chunk({"messageStop": {}})], []),  # Nova's
    ([chunk({"generation": "a", "stop_reason": None})], []),  # Llama's
    ([("chunk", b"{"), ("chunk", b'{"bytes": "!"}')], []),
]


@pytest.mark.parametrize(("frames", "expected"), INVOKED)
def test_claude_on_bedrock_is_judged_by_anthropic_s_grammar(
    frames: list[tuple[str, bytes]], expected: list[Violation]
) -> None:
    found = lint.watch("provider", "bedrock_invoke", asks_usage=False)
    assert found is not None
    for frame in frames:
        found.frame(*frame)
    found.close()
    assert found.violations == expected


INVOKES = [r for r in successes() if r.stream and r.dialect == "bedrock_invoke"]


@pytest.mark.parametrize("recording", INVOKES, ids=lambda r: r.name)
def test_recorded_invocations(recording: Recording) -> None:
    """Of all families; there is nothing wrong with Claude's, and the others are left alone."""
    framing = choose(recording.content_type, recording.body)
    found = lint.watch("provider", "bedrock_invoke", asks_usage=False)
    assert framing is not None
    assert found is not None
    for frame in (*framing.feed(recording.body), *framing.close()):
        found.frame(*frame)
    found.close()
    assert found.violations == []
