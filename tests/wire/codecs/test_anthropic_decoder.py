"""Streams of Anthropic's dialect as real servers send them, with all their oddities."""

import base64
import json
import random
from typing import Any

import pytest

from llm_intercept.wire.codecs import anthropic
from llm_intercept.wire.codecs.anthropic import envelope
from llm_intercept.wire.fold import fold
from llm_intercept.wire.framing.eventstream import EventStream, encode
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failed,
    Failure,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
)
from tests.wire.codecs.anthropic_sdk import accumulated, encoded, grammatical, payloads

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1},
    },
}
STOP = {"type": "message_stop"}


def end(reason: str = "end_turn", **usage: Any) -> dict[str, Any]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5, **usage}}


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def more(index: int, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def done(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def read(*events: Any, close: bool = True) -> list[Event]:
    decoder = anthropic.decoder()
    found: list[Event] = []
    for event in events:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        found += decoder.feed(event.get("type", "") if isinstance(event, dict) else "", data)
    return [*found, *decoder.close()] if close else found


def answer_of(*events: Any) -> Answer:
    answer = fold(read(START, *events, end(), STOP))
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize(
    ("events", "parts"),
    [
        # llama.cpp: thinking without its stop, a call without `input`
        (
            (
                begin(0, type="thinking", thinking=""),
                more(0, type="thinking_delta", thinking="hm"),
                begin(1, type="tool_use", id="toolu_1", name="f"),
                more(1, type="input_json_delta", partial_json='{"a"'),
                more(1, type="input_json_delta", partial_json=": 1}"),
                done(0),
                done(1),
            ),
            (Thinking("hm"), ToolCall("toolu_1", "f", '{"a": 1}')),
        ),
        # no deltas at all: arguments in the start, or none
        (
            (begin(0, type="tool_use", id="a", name="f", input={"x": 1}), done(0)),
            (ToolCall("a", "f", '{"x":1}'),),
        ),
        ((begin(0, type="tool_use", id="a", name="f", input={}), done(0)), (ToolCall("a", "f", "{}"),)),
        # calls side by side
        (
            (
                begin(0, type="tool_use", id="a", name="f", input={}),
                begin(1, type="tool_use", id="b", name="g", input={}),
                more(0, type="input_json_delta", partial_json='{"n":'),
                more(1, type="input_json_delta", partial_json='{"m":'),
                more(0, type="input_json_delta", partial_json="1}"),
                more(1, type="input_json_delta", partial_json="2}"),
            ),
            (ToolCall("a", "f", '{"n":1}'), ToolCall("b", "g", '{"m":2}')),
        ),
        # text without a start, thinking in a text block, text that came with the start
        ((more(0, type="text_delta", text="a"), more(0, type="text_delta", text="b")), (Text("ab"),)),
        (
            (begin(0, type="text", text="a"), more(0, type="thinking_delta", thinking="b"), done(0)),
            (Text("a"), Thinking("b")),
        ),
        (
            (begin(0, type="text", text="a"), done(0), more(0, type="text_delta", text="b")),
            (Text("a"), Text("b")),
        ),
        # signatures: our tag, Anthropic's own, that of a call
        (
            (
                begin(0, type="thinking", thinking="", signature=""),
                more(0, type="signature_delta", signature="lli1.gemini.s"),
                done(0),
            ),
            (Thinking("", "s", "gemini"),),
        ),
        (
            (begin(0, type="redacted_thinking", data="d"), done(0)),
            (Thinking("", "d", "anthropic", redacted=True),),
        ),
        (
            (
                begin(0, type="redacted_thinking", data="lli1call.gemini.s"),
                done(0),
                begin(1, type="tool_use", id="a", name="f", input={}),
                done(1),
            ),
            (ToolCall("a", "f", "{}", signature="s", origin="gemini"),),
        ),
        # what only Anthropic understands is put together
        (
            (
                begin(0, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
                more(0, type="input_json_delta", partial_json='{"query":'),
                more(0, type="input_json_delta", partial_json='"q"}'),
                done(0),
            ),
            (
                Opaque(
                    "anthropic",
                    {
                        "type": "server_tool_use",
                        "id": "srvtoolu_1",
                        "name": "web_search",
                        "input": {"query": "q"},
                    },
                ),
            ),
        ),
        (
            (
                begin(0, type="compaction", content=None),
                more(0, type="compaction_delta", content="so far", encrypted_content="E"),
                done(0),
            ),
            (
                Opaque(
                    "anthropic",
                    {"type": "compaction", "content": "so far", "encrypted_content": "E"},
                    "so far",
                ),
            ),
        ),
    ],
)
def test_what_servers_send(events: tuple[Any, ...], parts: tuple[Part, ...]) -> None:
    answer = answer_of(*events)
    assert answer.parts == parts
    message = accumulated(encoded(read(START, *events, end(), STOP)))
    told = anthropic.decode_answer(json.loads(message.to_json()))
    assert [type(part) for part in told.parts] == [type(part) for part in parts]


def test_usage_is_cumulative_and_the_last_value_counts() -> None:
    answer = fold(read(START, end(), end(output_tokens=8, input_tokens=None), STOP))
    assert isinstance(answer, Answer)
    assert (answer.usage.input, answer.usage.cache_read, answer.usage.output) == (13, 4, 8)


def test_members_of_the_end_come_back() -> None:
    last = end("refusal") | {"context_management": {"applied_edits": []}}
    last["delta"] |= {
        "stop_details": {"type": "refusal", "category": None, "explanation": None},
        "container": None,
    }
    frames = payloads(encoded(read(START, last, STOP)))
    again = frames[-2]
    assert again["delta"] == last["delta"]
    assert again["context_management"] == {"applied_edits": []}
    assert again["usage"]["output_tokens"] == 5
    assert frames[0]["message"]["usage"] == START["message"]["usage"]  # type: ignore[index]


def test_a_whole_message_in_place_of_a_stream() -> None:
    message = START["message"] | {"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"}  # type: ignore[operator]
    answer = fold(read(message))
    assert answer == anthropic.decode_answer(message)


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ((), "upstream"),
        ((START,), "upstream"),
        ((START, end()), "upstream"),
        ((START, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}), "unavailable"),
        ((START, {"type": "error", "error": "plain"}), "internal"),
        (({"type": "error"},), "internal"),
    ],
)
def test_failures(events: tuple[Any, ...], kind: str) -> None:
    found = read(*events)
    assert isinstance(found[-1], Failed)
    assert found[-1].failure.kind == kind
    assert [type(event) for event in found].count(Failed) == 1


def test_bedrock_s_chunks_and_exceptions() -> None:
    events = [
        START,
        begin(0, type="text", text=""),
        more(0, type="text_delta", text="é"),
        done(0),
        end(),
        STOP,
    ]
    frames = [envelope.chunk((event["type"], json.dumps(event).encode())) for event in events]
    wire = b"".join(encode(name, payload) for name, payload in frames)
    framing, decoder = EventStream(), anthropic.decoder()
    found = [
        e for at in range(0, len(wire), 7) for f in framing.feed(wire[at : at + 7]) for e in decoder.feed(*f)
    ]
    assert fold(found) == fold(read(*events))
    failed = anthropic.decoder().feed("throttlingException", b'{"message":"slow"}')
    assert failed == [Failed(Failure("rate_limit", "slow", 429, "throttlingException"))]
    broken = base64.b64encode(b"{").decode()
    assert anthropic.decoder().feed("chunk", json.dumps({"bytes": broken}).encode()) == []


@pytest.mark.parametrize("seed", range(30))
def test_decoding_is_total(seed: int) -> None:
    """Members of the wrong type, events in the wrong order: an answer or a failure."""
    rng = random.Random(seed)
    odd: list[Any] = [None, 3, "x", [], {}, [1], {"type": 4}, True, -1, 0, 1]
    kinds = ["text", "thinking", "tool_use", "redacted_thinking", "server_tool_use", None, "new"]
    deltas = ["text_delta", "thinking_delta", "input_json_delta", "signature_delta", "citations_delta", ""]
    events: list[Any] = [b"{", b"", b"[]", b'"x"', START, STOP, end(), {"type": "ping"}]
    for _ in range(60):
        block = {
            "type": rng.choice(kinds),
            "text": rng.choice(odd),
            "input": rng.choice(odd),
            "name": rng.choice(odd),
        }
        events.append(begin(rng.choice(odd), **block))
        delta = {"type": rng.choice(deltas), "text": rng.choice(odd), "partial_json": rng.choice(odd)}
        events.append(more(rng.choice(odd), **delta))
        events.append(
            {"type": rng.choice(["content_block_start", "message_delta", "message_start"]), "index": 0}
        )
        events.append(done(rng.choice(odd)))
    rng.shuffle(events)
    grammatical(encoded(read(*events)))
