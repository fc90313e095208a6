"""What a call may take at most, known before it is made: an estimate of its input, the longest answer that it
allows, both at the dearest price that can apply. That is what is reserved.

The input is estimated generously (three bytes of UTF-8 for one token; images and documents by their size):
what tokenizers make of prose, code and Chinese stays below it. Text that looks like noise can exceed it.
"""

import math
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal

from llm_intercept.policy.callfacts import searches_web
from llm_intercept.policy.worst_media import answers, media
from llm_intercept.providers.base import GENERATION
from llm_intercept.wire import dialects, estimate
from llm_intercept.wire.fields import count, objects, parse_object, text

BYTES_PER_TOKEN = 3
UNKNOWN_OUTPUT = 32_000  # tokens of an answer whose model is in no list and whose length nobody limited
FREE = frozenset(("moderations",))  # operations that no provider charges for
UNMETERED = frozenset(("models", "count_tokens"))  # questions about models and lengths: no limit is for them
MEDIA = frozenset(("images", "audio"))
SEARCHES = 10  # of the web in one call, where nobody limited them
_ASKING = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))  # looking things up takes nothing
# Marks in a body, by what they have in common: looking for that alone is how most bodies are done with.
_CACHING = (b"cache", (b"cache_control", b"cachePoint", b"cache_point"))
_AN_HOUR = (b'"', (b'"1h"', b'"ONE_HOUR"'))
_SEARCHING = (b"earch", (b'"web_search', b'"googleSearch"', b'"google_search"'))
_AUDIO = (b"audio", (b'"audio"', b"input_audio", b"audio/"))
_GEMINI_AUDIO = (b'"AUDIO"', (b'"AUDIO"',))


@dataclass(frozen=True, slots=True)
class Terms:
    """What of a request decides which prices can apply."""

    caching: bool = False
    caching_for_an_hour: bool = False
    audio: bool = False
    service_tier: str = ""
    searches: int = 0  # of the web, at most


@dataclass(frozen=True, slots=True)
class Worst:
    """Tokens at most. `nanos` None: no price is known; `input_nanos` is the input's part of it.

    `asked`: the client has said how long the answer may be, and its provider keeps to that. `stream`: what is
    answered comes in pieces, so that it can be stopped.
    """

    input: int
    output: int
    nanos: int | None = None
    input_nanos: int = field(default=0, compare=False)
    asked: bool = field(default=False, compare=False)
    stream: bool = field(default=False, compare=False)

    @property
    def tokens(self) -> int:
        return self.input + self.output

    def first(self, output: int | None) -> "Worst":
        """With no more than so much of the output, if the rest can be reserved while it comes."""
        if output is None or not self.stream or output >= self.output:
            return self
        nanos = self.nanos
        if nanos is not None:
            nanos = self.input_nanos + math.ceil((nanos - self.input_nanos) * output / self.output)
        return replace(self, output=output, nanos=nanos)


def is_metered(operation: str, method: str, *, websocket: bool) -> bool:
    """Whether limits are for this call at all."""
    return operation not in UNMETERED and (websocket or method not in _ASKING)


def assess(dialect: str, operation: str, body: bytes, max_output: int | None) -> tuple[Worst, Terms]:
    """`body` is what will be sent, in `dialect`; `max_output` is the model's own longest answer."""
    asked = dialects.get(dialect).read_request(body)
    longest = asked.max_output
    if operation not in GENERATION:
        longest = 0 if longest is None else longest
    elif longest is None:
        longest = max_output or UNKNOWN_OUTPUT
    choices = answers(body, asked.choices) if operation == "completions" else asked.choices
    said, output = estimate.tokens(dialect, body, _count), longest * max(1, choices)
    if operation in MEDIA:
        given, made = media(operation, body, said)
        said, output = said + given, max(output, made)
    return Worst(said, output, asked=asked.max_output is not None), _terms(body, asked.service_tier)


def _terms(body: bytes, service_tier: str) -> Terms:
    caching = _has(body, _CACHING)
    an_hour = caching and _has(body, _AN_HOUR)
    audio = _has(body, _AUDIO) or _has(body, _GEMINI_AUDIO)
    return Terms(caching, an_hour, audio, service_tier, _searches(body))


def _has(body: bytes, marks: tuple[bytes, tuple[bytes, ...]]) -> bool:
    common, each = marks
    return common in body and any(mark in body for mark in each)


def _searches(body: bytes) -> int:
    """As many as the client allows (Anthropic's `max_uses`); a tool of the client's own is none."""
    if not _has(body, _SEARCHING):
        return 0
    asked = parse_object(body)
    if not searches_web(asked):
        return 0
    tools = (t for t in objects(asked.get("tools")) if text(t.get("type")).startswith("web_search"))
    return sum(count(tool.get("max_uses")) or 0 for tool in tools) or SEARCHES


def at_ceiling(tokens: int, usd_per_million: Decimal) -> int:
    """nano-USD of so many tokens at a price that somebody has settled on."""
    return int((tokens * usd_per_million * 1000).to_integral_value(ROUND_CEILING))


def _count(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)
