"""An answer goes to a client of another dialect and comes back in its next request: nothing got lost.

Thinking and its signatures are given to the client to carry; on their return they are the provider's own.
"""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.ir import Answer, Message, Request, Thinking, ToolCall, ToolResult
from tests.wire.pair_sources import Source, answered_all, context
from tests.wire.test_pairs_captures import facts

CLIENTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "anthropic": lambda answer: {"messages": [USER, {"role": "assistant", "content": answer["content"]}]},
    "openai_responses": lambda answer: {"input": [USER, *answer["output"]]},
    "gemini": lambda answer: {"contents": [answer["candidates"][0]["content"]]},
    "bedrock_converse": lambda answer: {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}, answer["output"]["message"]]
    },
}
USER = {"role": "user", "content": "hi"}
PAIRS = [(source, client) for source in (*CLIENTS, "openai_chat") for client in CLIENTS if source != client]


def signed(answer: Answer) -> list[Any]:
    thoughts = [p for p in answer.parts if isinstance(p, Thinking) and p.signature and p.origin]
    return [(p.origin, p.signature, p.redacted) for p in thoughts]


def calls(parts: Any) -> list[Any]:
    found = [part for part in parts if isinstance(part, ToolCall) and not part.custom]
    return [(call.name, orjson.loads(call.arguments), call.signature) for call in found]


@pytest.mark.parametrize(("dialect", "client"), PAIRS, ids=lambda name: name)
def test_what_clients_carry_comes_back(dialect: str, client: str) -> None:
    for stream in (True, False):
        for source in answered_all(dialect, stream=stream):
            _carried(source, client)


def _carried(source: Source, client: str) -> None:
    answer = source.outcome()
    if not isinstance(answer, Answer) or not answer.parts:
        return
    speaks = codecs.get(client)
    given = orjson.loads(orjson.dumps(speaks.encode_answer(answer, context())))
    request = speaks.decode_request({"model": "m", **CLIENTS[client](given)}, "m", False)
    parts = [part for message in request.messages if message.role == "assistant" for part in message.parts]
    back = [p for p in parts if isinstance(p, Thinking) and p.signature]
    assert [(p.origin, p.signature, p.redacted) for p in back] == signed(answer), source.name
    assert calls(parts) == calls(answer.parts), source.name
    _accepted(source, answer, parts)


def _accepted(source: Source, answer: Answer, parts: list[Any]) -> None:
    """The provider gets its own signatures again, beside the results of its calls."""
    made = [part for part in parts if isinstance(part, ToolCall)]
    results = tuple(ToolResult(call.id) for call in made)
    turns = (Message("assistant", tuple(parts)), Message("user", results)) if results else ()
    request = Request("m", turns or (Message("assistant", tuple(parts)),))
    found = context(target=facts().target(source.recording.provider, answer.model))
    written = orjson.dumps(codecs.get(source.dialect).encode_request(request, found).body).decode()
    for origin, signature, _ in signed(answer):
        if origin == source.dialect and source.recording.provider != "vercel-gw":  # a gateway we do not know
            assert signature in written, (source.name, found.warnings)
