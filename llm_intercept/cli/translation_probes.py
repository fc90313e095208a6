"""Runs one small request or answer through the codecs: what `docs/translation.md` tells of a feature is seen.

A probe is written in the dialect of its source, read there, written in that of its target and read again.
What is equal then is kept, what is there in another form is mapped, the rest is dropped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.ir import Answer, Message, Part, Request, Sampling, Text, Tool, ToolResult

type Seen = Callable[[Any], object]
"""What of a request or an answer a probe is about; empty or None where it is not there."""
type Made = Callable[[str], Any]
"""The request or answer, for a source."""

MODEL = "a-model"
# The target is a model that reasons, in a form that is usual for its dialect.
_REASONING = {
    "anthropic": "budget",
    "bedrock_converse": "budget",
    "gemini": "budget",
    "ollama": "effort",
    "openai_chat": "effort",
    "openai_responses": "effort",
}


@dataclass(frozen=True, slots=True)
class Probe:
    title: str
    made: Made
    seen: Seen


@dataclass(slots=True)
class Cell:
    """What became of a feature on the way to one dialect: verdict -> its sources, and what was said of it."""

    verdicts: dict[str, list[str]] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)

    def add(self, source: str, verdict: str, warnings: list[str]) -> None:
        self.verdicts.setdefault(verdict, []).append(source)
        if verdict != "kept":
            told = self.said.setdefault(verdict, [])
            told += [warning for warning in warnings if warning not in told]


def asked(*parts: Part, **more: Any) -> Request:
    return Request(MODEL, (Message("user", parts or (Text("Hello"),)),), **more)


def parts_of(found: Any) -> Iterator[Part]:
    if isinstance(found, Answer):
        yield from found.parts
        return
    for message in found.messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.parts


def of_request(probe: Probe, source: str, target: str) -> tuple[str, list[str]] | None:
    """The verdict and its warnings; None where the source cannot say it."""
    first = _read_again(probe.made(source), source)
    if first is None or not probe.seen(first):
        return None
    context = _context(target)
    context.request = first
    try:
        body = codecs.get(target).encode_request(first, context).body
        again = codecs.get(target).decode_request(_plain(body), MODEL, False)
    except Untranslatable as error:
        return "refused", [str(error)]
    return _verdict(probe, first, again), context.warnings


# What the client had asked: tools and logprobs, so that answers may have them.
REQUEST = asked(tools=(Tool("weather"),), sampling=Sampling(logprobs=True))


def _context(dialect: str) -> Context:
    reasoning = _REASONING.get(dialect, "")
    return Context(target=Target(model=MODEL, reasoning=reasoning, structured=True), now=7.0)


def of_answer(probe: Probe, source: str, target: str) -> tuple[str, list[str]] | None:
    answer = probe.made(source)
    provider, client = codecs.get(source), codecs.get(target)
    first = provider.decode_answer(_plain(provider.encode_answer(answer, Context(now=7.0))))
    if not probe.seen(first) or probe.seen(first) != probe.seen(answer):
        return None
    context = Context(now=7.0, request=REQUEST)
    again = client.decode_answer(_plain(client.encode_answer(first, context)))
    return _verdict(probe, first, again), context.warnings


def _read_again(request: Request, source: str) -> Request | None:
    """As the source's own decoder reads what its encoder makes of it."""
    codec = codecs.get(source)
    try:
        body = codec.encode_request(request, _context(source)).body
        found = codec.decode_request(_plain(body), MODEL, False)
    except Untranslatable:
        return None
    return found if found.tools or not request.tools else None


def _plain(document: Any) -> Any:
    """As it would be on the wire."""
    return orjson.loads(orjson.dumps(document))


def _verdict(probe: Probe, before: Any, after: Any) -> str:
    """What is said in words for want of another way is there in another form: there is more text then."""
    if probe.seen(before) == probe.seen(after):
        return "kept"
    return "mapped" if probe.seen(after) or _words(after) > _words(before) else "dropped"


def _words(found: Any) -> int:
    return sum(len(part.text) for part in parts_of(found) if isinstance(part, Text))
