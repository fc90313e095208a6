"""The codecs, one package for each dialect that can be translated; they never import one another.

A package is the codec; `get` finds it by its name, and mypy checks each one against the protocol.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, cast

from llm_intercept.errors import ConfigError
from llm_intercept.wire.codec import Codec

if TYPE_CHECKING:  # at run time they are found by scanning
    from llm_intercept.wire.codecs import (
        anthropic,
        bedrock_converse,
        gemini,
        ollama,
        openai_chat,
        openai_completions,
        openai_responses,
    )

    CHECKED: list[Codec] = [
        anthropic,
        bedrock_converse,
        gemini,
        ollama,
        openai_chat,
        openai_completions,
        openai_responses,
    ]


@cache
def names() -> frozenset[str]:
    return frozenset(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


@cache
def get(name: str) -> Codec:
    """The codec of a dialect; ConfigError if it cannot be translated."""
    if name not in names():
        raise ConfigError(f"{name} cannot be translated; these can: {', '.join(sorted(names()))}")
    return cast(Codec, import_module(f"{__name__}.{name}"))
