"""The same law for answers: what a provider says reaches the client, or a warning names what does not."""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import orjson
import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context
from llm_intercept.wire.fold import unfold
from llm_intercept.wire.ir import (
    Answer,
    Opaque,
    RefusalText,
    Request,
    Sampling,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.usage import Usage
from tests.wire.said import ELSEWHERE, IMAGE, MODEL

ASKED = Request(MODEL, (), sampling=Sampling(logprobs=True, top_logprobs=1), stream=True)
BASE = Answer("id_1", MODEL, (Text("a"),), "stop", Usage(30, 20), 7)
SCORES = ({"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []},)
CITED = Text("a", ({"type": "char_location", "cited_text": "a"},), extras={ELSEWHERE: {}})
SERVED = Opaque(ELSEWHERE, {"type": "server_search", "query": "weather"})
CALL = ToolCall("call_abcdefgh1", "weather", "{}")
# Money is not told to clients: prices belong to the row.
COUNTERS: dict[str, Any] = {
    **{f.name: 8 for f in fields(Usage) if f.name not in ("input", "output", "cost_nanos", "service_tier")},
    "service_tier": "priority",
}


def of(*parts: Any, **more: Any) -> Answer:
    return replace(BASE, parts=parts, **more)


def counting(name: str) -> Answer:
    usage = replace(BASE.usage, **{name: COUNTERS[name]})
    if name == "cache_write_1h":
        usage.cache_write = 8
    if name == "audio_cache_read":
        usage.cache_read = usage.audio_input = 8
    return replace(BASE, usage=usage)


def without(name: str) -> Answer:
    usage = replace(BASE.usage)
    if name == "cache_write_1h":
        usage.cache_write = 8
    if name == "audio_cache_read":
        usage.cache_read = usage.audio_input = 8
    return replace(BASE, usage=usage)


THOUGHT = Thinking("Hm.")
SIGNED = Thinking("Hm.", "c2ln", "anthropic")
SAYINGS: dict[str, tuple[Answer, Answer, str]] = {
    **{f"usage.{name}": (without(name), counting(name), f"usage.{name}") for name in COUNTERS},
    "thinking": (BASE, of(THOUGHT, *BASE.parts), "thinking"),
    "signature": (of(THOUGHT, Text("a")), of(SIGNED, Text("a")), "signature|thinking"),
    "redacted": (BASE, of(Thinking("", "c2ln", "anthropic", redacted=True), Text("a")), "signature|thinking"),
    "signature of a call": (of(CALL), of(replace(CALL, signature="c2ln", origin="gemini")), "signature|call"),
    "a call": (BASE, of(Text("a"), CALL, finish="tool_calls"), "call"),
    "a refusal": (BASE, of(Text("a"), RefusalText("No."), finish="refusal"), "refusal"),
    "citations": (BASE, of(CITED), "citation"),
    "an image": (BASE, of(Text("a"), IMAGE), "image"),
    "what only one dialect knows": (BASE, of(Text("a"), SERVED), "server_search"),
    "logprobs": (BASE, replace(BASE, logprobs=SCORES), "logprobs"),
    "the stop sequence": (
        replace(BASE, finish="stop_sequence"),
        replace(BASE, finish="stop_sequence", stop_sequence="END"),
        "stop_sequence",
    ),
}
# Audio is counted within the input and the output, a search is an item of OpenAI responses' output.
QUIET = {(n, c) for n in COUNTERS if n.startswith(("audio", "image")) for c in codecs.names()}
QUIET.add(("web_searches", "openai_responses"))


def whole(answer: Answer, client: str) -> tuple[bytes, list[str]]:
    context = Context(now=7.0, request=ASKED)
    return orjson.dumps(codecs.get(client).encode_answer(answer, context)), context.warnings


def streamed(answer: Answer, client: str) -> tuple[bytes, list[str]]:
    context = Context(now=7.0, request=ASKED, include_usage=True)
    encoder = codecs.get(client).encoder(context)
    frames = [frame for event in unfold(answer) for frame in encoder.feed(event)]
    return b"\n".join(data for _, data in [*frames, *encoder.close()]), context.warnings


@pytest.mark.parametrize("client", sorted(codecs.names()))
@pytest.mark.parametrize("name", SAYINGS)
@pytest.mark.parametrize("how", [whole, streamed], ids=lambda how: how.__name__)
def test_nothing_is_dropped_in_silence(
    name: str, client: str, how: Callable[[Answer, str], tuple[bytes, list[str]]]
) -> None:
    before, said, words = SAYINGS[name]
    body, warnings = how(said, client)
    named = any(re.search(words, warning) for warning in warnings)
    quiet = (name.removeprefix("usage."), client) in QUIET
    assert named or quiet or body != how(before, client)[0], warnings
