"""Watches one stream with the grammar of its dialect and remembers what was wrong."""

from dataclasses import dataclass
from typing import Literal

from llm_intercept.wire import grammar
from llm_intercept.wire.families import chunks
from llm_intercept.wire.fields import mapping, parse, parse_object, text
from llm_intercept.wire.grammar import Grammar

type Side = Literal["provider", "ours"]

# Nothing waits for a verdict: small frames are looked at this many at a time, by code that is warm then.
_TOGETHER = 32
_LARGE = 4096


@dataclass(frozen=True, slots=True)
class Violation:
    """`event` is the number of the frame that showed it, from 1; 0 for what the end showed."""

    event: int
    sentence: str


class Lint:
    """`side`: whether the provider wrote the stream, or we did (translated)."""

    __slots__ = ("_count", "_found", "_grammar", "_waiting", "dialect", "side")

    def __init__(self, side: Side, dialect: str, rules: Grammar) -> None:
        self.side = side
        self.dialect = dialect
        self._grammar = rules
        self._count = 0
        self._waiting: list[tuple[str, bytes]] = []
        self._found: list[Violation] = []

    def frame(self, event: str, data: bytes) -> None:
        self._waiting.append((event, data))
        if len(self._waiting) >= _TOGETHER or len(data) > _LARGE:
            self._look()

    @property
    def violations(self) -> list[Violation]:
        """What is wrong with the frames so far."""
        self._look()
        return self._found

    def close(self) -> None:
        """For streams that ended by themselves; a stream without any frame is the outcome's business."""
        self._look()
        if self._count:
            self._found += [Violation(0, sentence) for sentence in self._grammar.close()]

    def _look(self) -> None:
        frames, self._waiting = self._waiting, []
        for event, data in frames:
            self._count += 1
            for sentence in self._grammar.feed(event, data):
                self._found.append(Violation(self._count, sentence))


class Chunks:
    """Bedrock's InvokeModelWithResponseStream: each frame has an event of the model's own dialect, in base64.

    Only Anthropic's is described by a grammar; a stream that begins in another way is not judged.
    """

    __slots__ = ("_begun", "_deaf", "_rules")

    def __init__(self, rules: Grammar) -> None:
        self._rules = rules
        self._begun = self._deaf = False

    def feed(self, event: str, data: bytes) -> list[str]:
        inner = self._opened(event, data)
        kind = text(mapping(parse(inner)).get("type"), 60)
        self._deaf = self._deaf or not (self._begun or kind == "message_start")
        if self._deaf:
            return []
        self._begun = True
        return self._rules.feed(kind, inner)

    def close(self) -> list[str]:
        return [] if self._deaf else self._rules.close()

    def _opened(self, event: str, data: bytes) -> bytes:
        """What is in the frame. An exception ends a stream in Amazon's way, not in Anthropic's."""
        self._deaf = self._deaf or chunks.is_exception(event)
        return b"" if self._deaf else chunks.inside(parse_object(data))


_INSIDE = {"bedrock_invoke": "anthropic"}


def watch(side: Side, dialect: str, *, asks_usage: bool) -> Lint | None:
    """None for a dialect that has no grammar."""
    rules = grammar.get(_INSIDE.get(dialect, dialect), asks_usage=asks_usage)
    if rules is None:
        return None
    return Lint(side, dialect, Chunks(rules) if dialect in _INSIDE else rules)
