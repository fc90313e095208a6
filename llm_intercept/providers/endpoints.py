"""The path lists of APIs that several providers offer, each under a prefix of its own.

A prefix is a regular expression; it may carry the group `model` (Azure's deployments). What one
provider alone has belongs in that provider's file.
"""

import re

from llm_intercept.providers.base import Endpoint

ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")
READ = ("GET", "DELETE")

OTHER = Endpoint(re.compile(r".*", re.DOTALL), "other", "observe", methods=ANY)
"""What an unknown path of a known provider is: relayed, recorded, not read."""


def _inference(prefix: str, inject: bool, inject_query: re.Pattern[str] | None) -> tuple[Endpoint, ...]:
    def usage(path: str, operation: str, dialect: str) -> Endpoint:
        pattern = re.compile(prefix + path)
        return Endpoint(pattern, operation, dialect, "body", inject_usage=inject, inject_query=inject_query)

    return (
        usage(r"/chat/completions", "chat", "openai_chat"),
        Endpoint(re.compile(rf"{prefix}/responses(?:/compact)?"), "responses", "openai_responses", "body"),
        Endpoint(re.compile(rf"{prefix}/embeddings"), "embeddings", "openai_embeddings"),
        usage(r"/completions", "completions", "openai_completions"),
        # a GET of the collection is a WebSocket upgrade; single responses have an id
        Endpoint(re.compile(rf"{prefix}/responses"), "responses", "openai_responses", "path", ("GET",)),
        Endpoint(re.compile(rf"{prefix}/realtime"), "realtime", "openai_responses", "path", ("GET",)),
        Endpoint(re.compile(rf"{prefix}/responses/input_tokens"), "count_tokens", "openai_responses"),
    )


def _media(prefix: str) -> tuple[Endpoint, ...]:
    def media(path: str, operation: str, stream: str = "never", upload: bool = False) -> Endpoint:
        return Endpoint(re.compile(prefix + path), operation, f"openai_{operation}", stream, upload=upload)

    return (
        media(r"/images/generations", "images", "body"),
        media(r"/images/(?:edits|variations)", "images", upload=True),
        media(r"/audio/speech", "audio"),
        media(r"/audio/(?:transcriptions|translations)", "audio", upload=True),
    )


def _observed(prefix: str) -> tuple[Endpoint, ...]:
    return (
        Endpoint(re.compile(rf"{prefix}/models(?:/.+)?"), "models", "observe", methods=READ),
        Endpoint(re.compile(rf"{prefix}/moderations"), "moderations", "observe"),
        Endpoint(
            re.compile(rf"{prefix}/(?:files|uploads)(?:/.*)?"), "files", "observe", methods=ANY, upload=True
        ),
        Endpoint(re.compile(rf"{prefix}/batches(?:/.*)?"), "batches", "observe", methods=ANY),
        Endpoint(re.compile(rf"{prefix}/realtime/.+"), "realtime", "observe", methods=ANY),
    )


def openai(
    prefix: str, *, inject: bool = False, inject_query: re.Pattern[str] | None = None
) -> tuple[Endpoint, ...]:
    """The OpenAI API under `prefix`, the most frequent paths first."""
    return (*_inference(prefix, inject, inject_query), *_media(prefix), *_observed(prefix))


def anthropic(prefix: str) -> tuple[Endpoint, ...]:
    """The Anthropic API; `prefix` includes its `/v1`."""
    return (
        Endpoint(re.compile(rf"{prefix}/messages"), "messages", "anthropic", "body"),
        Endpoint(re.compile(rf"{prefix}/messages/count_tokens"), "count_tokens", "anthropic"),
        Endpoint(re.compile(rf"{prefix}/complete"), "complete", "anthropic", "body"),
        Endpoint(re.compile(rf"{prefix}/messages/batches(?:/.*)?"), "batches", "observe", methods=ANY),
        Endpoint(re.compile(rf"{prefix}/models(?:/.+)?"), "models", "observe", methods=("GET",)),
        Endpoint(re.compile(rf"{prefix}/files(?:/.*)?"), "files", "observe", methods=ANY, upload=True),
    )
