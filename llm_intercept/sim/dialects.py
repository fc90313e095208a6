"""The dialect that a path speaks, for scenarios; the names are those of `wire/dialects/`."""

import re

_BY_PATH = (
    (re.compile(r"^/model/.+/converse(-stream)?$"), "bedrock_converse"),
    (re.compile(r"^/model/.+/(invoke|count-tokens)"), "bedrock_invoke"),
    (re.compile(r"^/api/(?!v1/)"), "ollama"),
    (re.compile(r"^/v2/(chat|embed|rerank)$"), "cohere"),
    (re.compile(r"publishers/anthropic/models[/:]|/messages(/count_tokens)?$|/complete$"), "anthropic"),
    (re.compile(r"/models/.+:\w+$"), "gemini"),
    (re.compile(r"/chat/completions$"), "openai_chat"),
    (re.compile(r"/completions$"), "openai_completions"),
    (re.compile(r"/responses$"), "openai_responses"),
    (re.compile(r"/embeddings$"), "openai_embeddings"),
    (re.compile(r"/images/\w+$"), "openai_images"),
    (re.compile(r"/audio/\w+$"), "openai_audio"),
)
NAMES = tuple(sorted({name for _, name in _BY_PATH} | {"observe"}))


def dialect_of(path: str) -> str:
    """`observe` where it is none of a model's."""
    return next((name for pattern, name in _BY_PATH if pattern.search(path)), "observe")
