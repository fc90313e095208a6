"""Runs frames through a grammar: what it says of each event, by the event's number from 1."""

from collections.abc import Iterable, Sequence

from llm_intercept.wire import grammar
from llm_intercept.wire.codec import Frame


def violations(
    dialect: str, frames: Iterable[Frame], *, asks_usage: bool = False, closed: bool = True
) -> list[tuple[int, str]]:
    """The number is 0 for what is said at the end."""
    machine = grammar.get(dialect, asks_usage=asks_usage)
    assert machine is not None
    found = [(n, said) for n, frame in enumerate(frames, 1) for said in machine.feed(*frame)]
    return [*found, *((0, said) for said in machine.close())] if closed else found


def sentences(dialect: str, frames: Sequence[Frame], *, asks_usage: bool = False) -> list[str]:
    return [said for _, said in violations(dialect, frames, asks_usage=asks_usage)]
