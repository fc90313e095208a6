"""What frames mean: one module per wire format, each a `Dialect`. Dialects never import one another.

A module is the dialect (mypy checks modules against the protocol); `get` finds it by its name.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from llm_intercept.errors import ConfigError, Refusal, Reply
from llm_intercept.wire.facts import RequestFacts
from llm_intercept.wire.reading import Payload, Reading

MALFORMED = (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError, OverflowError)
"""What a dialect may raise over a member of a type that nobody would expect there. Readers pass over it."""


class Dialect(Protocol):
    """Everything but `refusal` reads what somebody else wrote, so it accepts anything."""

    @staticmethod
    def refusal(refusal: Refusal, request_id: str) -> Reply:
        """The refusal in the provider's own error format, so that its SDK raises its own typed exception."""

    @staticmethod
    def read_request(body: bytes) -> RequestFacts: ...

    @staticmethod
    def prompt_text(body: bytes) -> str:
        """The words of the prompt, for estimates; images and other media excluded."""

    @staticmethod
    def read_error(status: int, body: bytes) -> tuple[str, str]:
        """(type, message) of an error answer."""

    @staticmethod
    def read_answer(reading: Reading, payload: Payload) -> None:
        """A whole JSON answer."""

    @staticmethod
    def read_event(reading: Reading, event: str, payload: Payload) -> None:
        """One frame of a streamed answer; `event` is the framing's own name of it, or ""."""


@cache
def names() -> frozenset[str]:
    return frozenset(module.name for module in iter_modules(__path__))


@cache
def get(name: str) -> Dialect:
    if name not in names():
        raise ConfigError(f"no dialect {name!r}; there are {', '.join(sorted(names()))}")
    return cast(Dialect, import_module(f"{__name__}.{name}"))
