"""Recorded calls as material for translation: which dialect each speaks, what it asked, what came back.

Recordings of OpenAI-compatible hosts are chat completions; Anthropic's messages count wherever they went.
"""

import json
import os
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context
from llm_intercept.wire.fold import fold
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failure,
    Media,
    Opaque,
    Part,
    RefusalText,
    Request,
    Text,
    Thinking,
    ToolResult,
)
from tests.wire.recordings import Recording, recordings

FULL = os.environ.get("LLM_INTERCEPT_TEST_ALL_PAIRS") == "1"
"""All recordings in place of one for each combination of features."""

NAMES = (
    "openai_chat",
    "openai_responses",
    "anthropic",
    "gemini",
    "bedrock_converse",
    "openai_completions",
    "ollama",
)
_CONTENT = ("messages", "input", "contents", "prompt")
_SURFACES = {
    "chat.completions": "openai_chat",
    "responses": "openai_responses",
    "messages": "anthropic",
    "rawPredict": "anthropic",
    "streamRawPredict": "anthropic",
    "invoke": "anthropic",
    "invoke-stream": "anthropic",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "converse": "bedrock_converse",
    "converse-stream": "bedrock_converse",
    "completions": "openai_completions",
    "ollama.chat": "ollama",
}


@dataclass(frozen=True)
class Source:
    """A recorded call of a dialect that can be translated."""

    recording: Recording
    dialect: str

    @property
    def name(self) -> str:
        return self.recording.name

    @property
    def model(self) -> str:
        """As the path says it; dialects with the model in the body do not look."""
        path = unquote(self.recording.path).partition("?")[0]
        if "/model/" in path:
            return path.partition("/model/")[2].rpartition("/")[0]
        return path.rpartition("/")[2].partition(":")[0]

    @property
    def streamed(self) -> bool:
        """Gemini streams a JSON array to clients that do not ask for events."""
        return self.recording.stream or self.recording.surface == "streamGenerateContent"

    @property
    def body(self) -> Any:
        return json.loads(self.recording.request)

    def request(self) -> Request:
        return codecs.get(self.dialect).decode_request(self.body, self.model, self.streamed)

    def events(self) -> list[Event]:
        return read_stream(self.dialect, self.recording.content_type, self.recording.body)

    def outcome(self) -> Answer | Failure:
        """What its own codec makes of the recorded answer."""
        if self.streamed:
            return fold(self.events())
        return codecs.get(self.dialect).decode_answer(json.loads(self.recording.body))


def read_stream(dialect: str, content_type: str, data: bytes) -> list[Event]:
    framing, decoder = choose(content_type, data), codecs.get(dialect).decoder()
    assert framing is not None
    frames = [*framing.feed(data), *framing.close()]
    return [*(event for frame in frames for event in decoder.feed(*frame)), *decoder.close()]


def _dialect(recording: Recording) -> str:
    dialect = _SURFACES.get(recording.surface, "")
    old = dialect == "anthropic" and b'"prompt": ' in recording.request
    foreign = recording.surface.startswith("invoke") and "anthropic" not in recording.path
    anthropics = recording.surface == "completions" and recording.provider == "anthropic"
    return "" if old or foreign or anthropics else dialect


@cache
def sources() -> tuple[Source, ...]:
    found = ((r, _dialect(r)) for r in recordings())
    return tuple(Source(r, dialect) for r, dialect in found if dialect)


@cache
def asked(dialect: str) -> list[Source]:
    """Recorded requests that the dialect's own codec takes."""
    return [s for s in sources() if s.dialect == dialect and isinstance(s.body, dict) and not _refused(s)]


def _refused(source: Source) -> bool:
    body = source.body
    several = (body.get("n") or 1) > 1 or (isinstance(body.get("prompt"), list) and len(body["prompt"]) != 1)
    return several or not any(body.get(name) for name in _CONTENT) or source.recording.status == 400


@cache
def answered_all(dialect: str, *, stream: bool) -> list[Source]:
    """Recorded answers; streams that end in an error are among them."""
    return [
        s
        for s in sources()
        if s.dialect == dialect
        and s.recording.status == 200
        and s.streamed is stream
        and _is_clean(s.recording)
    ]


@cache
def answered(dialect: str, *, stream: bool) -> list[Source]:
    """A sample of them."""
    return _sampled(answered_all(dialect, stream=stream), lambda s: answer_features(s.outcome()))


def _is_clean(recording: Recording) -> bool:
    """One recording still has the chunks of its transfer coding."""
    return not recording.body[:8].split(b"\r\n")[0].isalnum() or b"\r\n" not in recording.body[:8]


def refused(dialect: str) -> list[Source]:
    return [s for s in sources() if s.dialect == dialect and s.recording.status >= 400]


def _sampled(found: list[Source], features: Any) -> list[Source]:
    """The smallest recording of each that shows a feature, or two together, that none before it did."""
    if FULL:
        return found
    seen: set[Hashable] = set()
    kept = []
    for source in sorted(found, key=lambda s: (len(s.recording.request) + len(s.recording.body), s.name)):
        marks = features(source)
        if not marks <= seen:
            seen |= marks
            kept.append(source)
    return kept


def answer_features(outcome: Answer | Failure) -> frozenset[Hashable]:
    if isinstance(outcome, Failure):
        return frozenset([("failure", outcome.kind)])
    kinds = [_kind(part) for part in outcome.parts]
    usage = outcome.usage
    counters = [n for n in ("cache_read", "cache_write", "reasoning") if getattr(usage, n)]
    order = tuple(kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind)
    return frozenset([("finish", outcome.finish), ("order", order), *counters, *kinds, len(kinds) > 1])


def _kind(part: Part) -> Hashable:
    match part:
        case Media():
            form = next(n for n in ("data", "url", "file_id", "text", "kind") if getattr(part, n))
            return part.kind, form
        case Thinking():
            return "thinking", bool(part.signature), part.redacted, part.summary
        case Opaque():
            return "opaque", bool(part.text)
        case Text():
            return "text", bool(part.citations), part.cache is not None
        case RefusalText():
            return "refusal"
        case ToolResult():
            return "result", part.is_error, len(part.parts) > 1
    return "call", part.custom


def context(request: Request | None = None, **members: Any) -> Context:
    return Context(now=1_700_000_000.0, include_usage=True, request=request, **members)
