"""Emoji that a server cuts in two: the client gets them whole, in texts and in arguments."""

import json
from typing import Any

import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.halves import Halves
from llm_intercept.wire.translation import Side, Translation

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
CALL: dict[str, Any] = {"index": 0, "id": "call_1", "type": "function"}


def chunk(finish: str | None = None, **delta: object) -> bytes:
    """As a server writes it that escapes what is not ASCII."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({**CHUNK, "choices": [choice]}).encode() + b"\n\n"


def called(arguments: str, **more: Any) -> bytes:
    return chunk(tool_calls=[{**more, "index": 0, "function": {"name": "f", "arguments": arguments}}])


TEXT = [
    chunk(content="hi \ud83d"),
    chunk(content="\ude00 and \ud83d\ude00 and \ud83c"),
    chunk(content="\udf0d"),
]
ARGUMENTS = [called('{"a":"\ud83d', **CALL), called('\ude00"}')]


@pytest.mark.parametrize(
    "client", ["anthropic", "openai_chat", "openai_responses", "gemini", "bedrock_converse", "ollama"]
)
def test_a_cut_emoji_is_whole_again(client: str) -> None:
    stream = b"".join((*TEXT, *ARGUMENTS, chunk("tool_calls"), b"data: [DONE]\n\n"))
    there = Translation(Side(client), Side("openai_chat"), Context(), stream=True)
    out = there.answer(stream, "text/event-stream")
    back = Translation(Side("openai_chat"), Side(client), Context(), stream=False)
    kind = {"bedrock_converse": "application/vnd.amazon.eventstream", "ollama": "application/x-ndjson"}
    source = back.reply(out, kind.get(client, "text/event-stream"), "r").body
    message = json.loads(source)["choices"][0]["message"]
    assert message["content"] == "hi 😀 and 😀 and 🌍"
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"a": "😀"}


@pytest.mark.parametrize(
    "frame",
    [
        rb'{"a":"\ud83d\ude00"}',  # a whole pair
        rb'{"a":"\\ud83d"}',  # the letters, not the character
        rb'{"a":"\ude00"}',  # a second half alone
        rb'{"a":"\ud83d, and more"}',  # a first half that nothing can follow
    ],
)
def test_what_is_not_cut_is_left_alone(frame: bytes) -> None:
    assert Halves().joined(frame) == frame


def test_a_half_that_nothing_follows_is_lost() -> None:
    halves = Halves()
    assert halves.joined(rb'{"a":"x\ud83d"}') == b'{"a":"x"}'
    assert halves.joined(rb'{"a":"y"}') == b'{"a":"y"}'
    assert halves.joined(rb'{"a":"\\\ude00"}') == rb'{"a":"\\\ud83d\ude00"}'
