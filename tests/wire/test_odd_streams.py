"""Streams as servers of chat completions really write them, for clients of every dialect, by their own SDKs.

The same answer comes in many forms; what an application gets is the same for all of them.
"""

import json
from typing import Any

import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.translation import Side, Translation
from tests.wire.pair_oracles import STREAMED, Seen

CLIENTS = [name for name in STREAMED if name != "openai_completions"]
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
DONE = b"data: [DONE]\n\n"


def frame(payload: object) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def say(finish: str | None = None, **delta: object) -> bytes:
    return frame({**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def call(index: int | None = None, **more: Any) -> dict[str, Any]:
    named = {key: more.pop(key) for key in ("name", "arguments") if key in more}
    return {**({} if index is None else {"index": index}), **more, "function": named}


COUNTED = frame({**HEAD, "choices": [], "usage": USAGE})
TEXT = "hi there"
TEXTS: dict[str, bytes] = {
    "plain": say(role="assistant", content="") + say(content="hi ") + say(content="there") + say("stop"),
    "nulls beside": say(content=None, tool_calls=None, refusal=None, function_call=None)
    + say(content="hi there", tool_calls=None)
    + frame({**HEAD, "choices": [{"index": 0, "delta": None}]})
    + frame({"choices": [None]})
    + say("stop", content=None),
    "usage in each chunk": frame({**HEAD, "choices": [], "usage": {**USAGE, "completion_tokens": 1}})
    + say(content="hi there")
    + say("stop"),
    "thinking leaks": say(content="<thi") + say(content="nk>so</think>hi ") + say("stop", content="there"),
    "words after the reason": say(content="hi ") + say("stop") + say(content="there"),
    "keep-alives and junk": b": ping\r\n\r\ndata: nonsense\n\nevent: keepalive\ndata: {}\n\ndata: []\n\n"
    + say(content="hi there").replace(b"\n", b"\r\n")
    + say("stop"),
}
CALLS = [("f", {"x": 1}), ("g", {})]
ONE, TWO = {"id": "call_1", "type": "function"}, {"id": "call_2", "type": "function"}
CALLED: dict[str, bytes] = {
    "in pieces": say(tool_calls=[call(0, name="f", arguments="", **ONE)])
    + say(tool_calls=[call(0, arguments='{"x":')])
    + say(tool_calls=[call(0, arguments=" 1}")])
    + say(tool_calls=[call(1, name="g", arguments="{}", **TWO)])
    + say("tool_calls"),
    "at the same time": say(
        tool_calls=[call(0, name="f", arguments="", **ONE), call(1, name="g", arguments="", **TWO)]
    )
    + say(tool_calls=[call(1, arguments="{")])
    + say(tool_calls=[call(0, arguments='{"x":1'), call(1, arguments="}")])
    + say("tool_calls", tool_calls=[call(0, arguments="}")]),
    "whole, without an index, as objects": say(tool_calls=[call(name="f", arguments={"x": 1}, id="call_1")])
    + say(tool_calls=[call(name="g", arguments={}, id="call_2")])
    + say("stop"),
    "one index for all": say(tool_calls=[call(0, name="f", arguments='{"x":1}', **ONE)])
    + say(tool_calls=[call(0, name="g", arguments="", **TWO)])
    + say("stop"),
    "blanks first": say(tool_calls=[call(0, name="f", arguments=" ", **ONE)])
    + say(tool_calls=[call(0, arguments='\n{"x":1}')])
    + say(tool_calls=[call(1, name="g", arguments="  ", **TWO)])
    + say("tool_calls"),
}


def seen(client: str, stream: bytes, step: int) -> Seen:
    """What the client's SDK makes of the stream, which arrives in chunks of so many bytes."""
    framing = "sse-crlf" if client == "gemini" else ""
    context = Context(include_usage=True, requested_model="m")
    relay = Translation(Side(client, framing), Side("openai_chat"), context, stream=True)
    middle = relay.relay("text/event-stream")
    out = [piece for at in range(0, len(stream), step) for piece in middle.feed(stream[at : at + step])]
    return STREAMED[client](b"".join((*out, *middle.close())))


@pytest.mark.parametrize("step", [7, 1_000_000])
@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize("client", CLIENTS)
def test_words(client: str, form: str, step: int) -> None:
    found = seen(client, TEXTS[form] + COUNTED + DONE, step)
    assert (found.text, found.calls, found.usage[:2], found.error) == (TEXT, [], [10, 5], "")


@pytest.mark.parametrize("step", [7, 1_000_000])
@pytest.mark.parametrize("form", CALLED)
@pytest.mark.parametrize("client", CLIENTS)
def test_calls(client: str, form: str, step: int) -> None:
    found = seen(client, CALLED[form] + COUNTED + DONE, step)
    assert (found.text, found.calls, found.usage[:2]) == ("", CALLS, [10, 5])
    assert found.finish in ("tool_calls", "tool_use", "completed", "STOP", "stop")


@pytest.mark.parametrize(
    ("client", "member"),
    [("anthropic", "arguments"), ("bedrock_converse", "input"), ("gemini", "input"), ("ollama", "input")],
)
@pytest.mark.parametrize("words", ["x=1", '"x"', "[1]"])
def test_arguments_that_are_no_object_are_a_member_of_one(client: str, member: str, words: str) -> None:
    """Anthropic's SDK fails over a call whose input is no JSON."""
    half = len(words) // 2
    pieces = [call(0, name="f", arguments=words[:half], **ONE), call(0, arguments=words[half:])]
    stream = b"".join(say(tool_calls=[piece]) for piece in pieces) + say("tool_calls") + DONE
    ((name, arguments),) = seen(client, stream, 1_000_000).calls
    assert (name, list(arguments)) == ("f", [member])
    assert arguments[member] in (words, json.loads(words) if words != "x=1" else words)
