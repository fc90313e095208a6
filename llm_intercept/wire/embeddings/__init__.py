"""Embeddings between the shapes of OpenAI, Gemini and Vertex, Cohere and Ollama, through one small model.

One module for each shape, named as its dialect; they never import one another.
"""

from functools import cache
from importlib import import_module
from typing import cast

from llm_intercept.errors import ConfigError
from llm_intercept.wire.embeddings.model import Shape

NAMES = ("cohere", "gemini", "ollama", "openai_embeddings")


@cache
def get(name: str) -> Shape:
    """The shape of a dialect's embeddings; ConfigError if they cannot be translated."""
    if name not in NAMES:
        raise ConfigError(f"embeddings of {name} cannot be translated; these can: {', '.join(NAMES)}")
    return cast(Shape, import_module(f"{__name__}.{name}"))
