"""The ways of calling a provider that several have in common, each under a prefix of its own.

A prefix is plain text here, not a pattern: these paths are written, not read.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import quote

from llm_intercept.providers.base import Serving


def quoted(model: str) -> str:
    """A model's id as one path segment; Vertex writes versions with a bare `@`."""
    return quote(model, safe="@")


def fixed(dialect: str, operation: str, path: str, models: re.Pattern[str] | None = None) -> Serving:
    """A path that says neither model nor stream: the body does."""
    return Serving(dialect, operation, lambda model, stream: path, models=models)


def chat(prefix: str, models: re.Pattern[str] | None = None) -> Serving:
    return fixed("openai_chat", "chat", f"{prefix}/chat/completions", models)


def responses(prefix: str, models: re.Pattern[str] | None = None) -> Serving:
    return fixed("openai_responses", "responses", f"{prefix}/responses", models)


def completions(prefix: str) -> Serving:
    """The legacy API: only for clients that speak it, so it is never a provider's first choice."""
    return fixed("openai_completions", "completions", f"{prefix}/completions")


def embeddings(prefix: str) -> Serving:
    return fixed("openai_embeddings", "embeddings", f"{prefix}/embeddings")


def messages(prefix: str, models: re.Pattern[str] | None = None) -> Serving:
    return fixed("anthropic", "messages", f"{prefix}/messages", models)


def count_tokens(prefix: str) -> Serving:
    return fixed("anthropic", "count_tokens", f"{prefix}/messages/count_tokens")


def gemini(version: str) -> tuple[Serving, ...]:
    """`version` is the path's first segment; a tuned model's id begins with `tunedModels/`."""

    def method(verb: str, model: str) -> str:
        kind = "tunedModels" if model.startswith("tunedModels/") else "models"
        return f"{version}/{kind}/{quoted(model.removeprefix(f'{kind}/'))}:{verb}"

    def generate(model: str, stream: bool) -> str:
        return method("streamGenerateContent?alt=sse" if stream else "generateContent", model)

    return (
        Serving("gemini", "generate", generate),
        Serving("gemini", "count_tokens", lambda model, stream: method("countTokens", model)),
        Serving("gemini", "embeddings", lambda model, stream: method("batchEmbedContents", model)),
    )


BY_DIALECT: Mapping[str, Callable[[str], Serving]] = MappingProxyType(
    {
        "openai_chat": chat,
        "openai_responses": responses,
        "openai_completions": completions,
        "openai_embeddings": embeddings,
        "anthropic": messages,
    }
)
"""prefix -> serving, for providers that are data."""
