"""Anything at all, from seeds: decoders refuse or read, encoders keep to what the API demands."""

import json
import random
from contextlib import suppress
from typing import Any

import pytest

from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.codecs import anthropic
from llm_intercept.wire.fold import unfold
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.ir import (
    Event,
    Failed,
    Failure,
    Finished,
    Media,
    Message,
    Opaque,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    Reasoning,
    RefusalText,
    Request,
    Role,
    Started,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llm_intercept.wire.usage import Usage
from tests.wire.codecs.anthropic_sdk import encoded, grammatical, messages

SEEDS = range(12)
ODD: list[Any] = [None, 3, -1, "x", "", [], {}, [1], {"type": 4}, {"type": "text"}, True, [{}], 10**30]
PARTS: list[Part] = [
    *(Text(""), Text("a"), RefusalText("no"), Thinking(), Thinking("x", "s", "gemini")),
    Thinking("", "e", "openai_responses", redacted=True),
    *(ToolCall("a", "f", ""), ToolCall("b", "g", "", custom=True), ToolCall("c d", "f", "{}", "s", "gemini")),
    *(ToolResult("a", (Text("r"),)), ToolResult("z", (Media("image", data="x"),)), Media("image", data="x")),
    *(Opaque("gemini", {}, "t"), Opaque("gemini", {})),
    Opaque("anthropic", {"type": "server_tool_use", "id": "s", "name": "n", "input": {"a": 1}}),
    Opaque("anthropic", {"type": "compaction", "content": "c"}),
]
ROLES: list[Role] = ["system", "developer", "user", "assistant"]
FORMS = ["", "budget", "adaptive", "none"]
RECORDED = messages()


def mutated(value: Any, rng: random.Random) -> Any:
    if rng.random() < 0.06:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {name: mutated(inner, rng) for name, inner in value.items() if rng.random() > 0.03}
    return [mutated(inner, rng) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", SEEDS)
def test_requests(seed: int) -> None:
    rng = random.Random(seed)
    for recording in RECORDED:
        body = mutated(json.loads(recording.request), rng)
        target = Target(reasoning=rng.choice(FORMS), structured=rng.choice([None, True, False]))
        with suppress(Untranslatable):
            request = anthropic.decode_request(body if isinstance(body, dict) else {}, "", False)
            again = anthropic.encode_request(request, Context(target=target)).body
            anthropic.decode_request(again, "", False)


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_and_streams(seed: int) -> None:
    rng = random.Random(seed)
    for recording in (r for r in RECORDED if len(r.body) < 8_000):
        if recording.stream:
            grammatical(encoded(_mutated_stream(recording, rng)))
        else:
            body = mutated(json.loads(recording.body), rng)
            answer = anthropic.decode_answer(body if isinstance(body, dict) else {})
            anthropic.encode_answer(answer, Context())
            grammatical(encoded(unfold(answer)))


def _mutated_stream(recording: Any, rng: random.Random) -> list[Event]:
    framing = choose(recording.content_type, recording.body)
    decoder = anthropic.decoder()
    events: list[Event] = []
    for name, data in framing.feed(recording.body) if framing else []:
        if rng.random() > 0.05:
            events += decoder.feed(name, json.dumps(mutated(json.loads(data), rng)).encode())
    return [*events, *decoder.close()]


def _event(rng: random.Random) -> Event:
    index, dice = rng.randrange(4), rng.random()
    if dice < 0.3:
        return PartStarted(index, rng.choice(PARTS))
    if dice < 0.7:
        text, signature = rng.choice(["", "x", "\ud83d"]), rng.choice(["", "s"])
        return PartDelta(index, text, signature, rng.choice(["", "gemini"]))
    if dice < 0.9:
        return PartEnded(index)
    return rng.choice([Started("i", "m"), Finished("stop", Usage()), Failed(Failure("x", "y", 500))])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_grammar_of_streams(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        grammatical(encoded(_event(rng) for _ in range(rng.randrange(14))))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_turns(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        talk = tuple(_message(rng) for _ in range(rng.randrange(8)))
        request = Request("m", talk, reasoning=Reasoning(effort="high"))
        turns = anthropic.encode_request(request, Context()).body["messages"]
        assert turns[0]["role"] == "user"
        _alternate_and_answer(turns)


def _message(rng: random.Random) -> Message:
    """Calls are the model's, results are the user's."""
    role = rng.choice(ROLES)
    strange = ToolResult if role == "assistant" else ToolCall
    parts = [part for part in PARTS if not isinstance(part, strange)]
    return Message(role, tuple(rng.choices(parts, k=rng.randrange(4))))


def _alternate_and_answer(turns: list[dict[str, Any]]) -> None:
    expected: list[str] = []
    for turn, after in zip(turns, [*turns[1:], None], strict=True):
        assert turn["content"]
        assert after is None or after["role"] != turn["role"]
        results = [block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"]
        assert sorted(results) == sorted(expected)
        assert all(block["type"] == "tool_result" for block in turn["content"][: len(expected)])
        expected = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        assert len(set(expected)) == len(expected)
        assert not expected or after is not None
