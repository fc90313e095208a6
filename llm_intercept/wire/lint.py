"""Watches one stream with the grammar of its dialect and remembers what was wrong."""

from dataclasses import dataclass
from typing import Literal

from llm_intercept.wire import grammar
from llm_intercept.wire.grammar import Grammar

type Side = Literal["provider", "ours"]


@dataclass(frozen=True, slots=True)
class Violation:
    """`event` is the number of the frame that showed it, from 1; 0 for what the end showed."""

    event: int
    sentence: str


class Lint:
    """`side`: whether the provider wrote the stream, or we did (translated)."""

    __slots__ = ("_count", "_grammar", "dialect", "side", "violations")

    def __init__(self, side: Side, dialect: str, rules: Grammar) -> None:
        self.side = side
        self.dialect = dialect
        self.violations: list[Violation] = []
        self._grammar = rules
        self._count = 0

    def frame(self, event: str, data: bytes) -> None:
        self._count += 1
        for sentence in self._grammar.feed(event, data):
            self.violations.append(Violation(self._count, sentence))

    def close(self) -> None:
        """For streams that ended by themselves; a stream without any frame is the outcome's business."""
        if self._count:
            self.violations += (Violation(0, sentence) for sentence in self._grammar.close())


def watch(side: Side, dialect: str, *, asks_usage: bool) -> Lint | None:
    """None for a dialect that has no grammar."""
    rules = grammar.get(dialect, asks_usage=asks_usage)
    return Lint(side, dialect, rules) if rules is not None else None
