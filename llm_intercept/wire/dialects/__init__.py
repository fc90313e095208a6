"""What frames mean: one module per wire format, each a `Dialect`. Dialects never import one another.

A module is the dialect; `get` finds it by its name, and mypy checks each one against the protocol.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol, cast

from llm_intercept.errors import ConfigError, Refusal, Reply
from llm_intercept.wire.facts import RequestFacts
from llm_intercept.wire.reading import Payload, Reading

MALFORMED = (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError, OverflowError)
"""What a dialect may raise over a member of a type that nobody would expect there. Readers pass over it."""


class Dialect(Protocol):
    """Everything but `refusal` reads what somebody else wrote, so it accepts anything."""

    def refusal(self, refusal: Refusal, request_id: str) -> Reply:
        """The refusal in the provider's own error format, so that its SDK raises its own typed exception."""

    def read_request(self, body: bytes) -> RequestFacts: ...

    def prompt_text(self, body: bytes) -> str:
        """The words of the prompt, for estimates; images and other media excluded."""

    def read_error(self, status: int, body: bytes) -> tuple[str, str]:
        """(type, message) of an error answer."""

    def read_answer(self, reading: Reading, payload: Payload) -> None:
        """A whole JSON answer."""

    def read_event(self, reading: Reading, event: str, payload: Payload) -> None:
        """One frame of a streamed answer; `event` is the framing's own name of it, or ""."""


if TYPE_CHECKING:  # at run time they are found by scanning
    from llm_intercept.wire.dialects import (
        anthropic,
        bedrock_converse,
        bedrock_invoke,
        cohere,
        gemini,
        observe,
        ollama,
        openai_audio,
        openai_chat,
        openai_completions,
        openai_embeddings,
        openai_images,
        openai_responses,
    )

    CHECKED: list[Dialect] = [
        anthropic,
        bedrock_converse,
        bedrock_invoke,
        cohere,
        gemini,
        observe,
        ollama,
        openai_audio,
        openai_chat,
        openai_completions,
        openai_embeddings,
        openai_images,
        openai_responses,
    ]


@cache
def names() -> frozenset[str]:
    return frozenset(module.name for module in iter_modules(__path__))


@cache
def get(name: str) -> Dialect:
    if name not in names():
        raise ConfigError(f"no dialect {name!r}; there are {', '.join(sorted(names()))}")
    return cast(Dialect, import_module(f"{__name__}.{name}"))
