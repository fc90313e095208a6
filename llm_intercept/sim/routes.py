"""Which path is which API. Paths may have any prefix, so that every provider's base URL fits.

aiohttp tries them in this order; the last route of each method group is the catch-all.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from llm_intercept.sim import (
    anthropic,
    anthropic_small,
    azure,
    bedrock_converse,
    bedrock_invoke,
    bedrock_small,
    catalogue,
    cohere,
    file_routes,
    gemini,
    gemini_small,
    media,
    ollama,
    openai_chat,
    openai_completions,
    openai_responses,
    openai_small,
    sockets,
    vertex,
)
from llm_intercept.sim.errors import (
    ErrorShape,
    anthropic_error,
    azure_error,
    bedrock_error,
    cohere_error,
    google_error,
    ollama_error,
    openai_error,
)
from llm_intercept.sim.fate import Failure
from llm_intercept.sim.serve import Call, Surface, generate, refuse

type Answerer = Callable[[Call], Awaitable[web.StreamResponse]]
type Route = tuple[str, str, Answerer, ErrorShape]


def _text(surface: Surface) -> Answerer:
    async def answer(call: Call) -> web.StreamResponse:
        return await generate(call, surface)

    return answer


async def _chat(call: Call) -> web.StreamResponse:
    return await generate(call, azure.CHAT if azure.speaks_azure(call) else openai_chat.SURFACE)


def _socket(answer: Answerer) -> Answerer:
    """A path that is only a WebSocket."""

    async def upgrade(call: Call) -> web.StreamResponse:
        if call.header("upgrade").lower() == "websocket":
            return await answer(call)
        return refuse(call, Failure(426, "invalid", "This path expects a WebSocket upgrade."), openai_error)

    return upgrade


def _shape_of(call: Call) -> ErrorShape:
    """Whose 404 an unknown path gets: by what the client's headers and path look like."""
    path, headers = call.request.path, call.request.headers
    if "anthropic-version" in headers:
        return anthropic_error
    if "x-goog-api-key" in headers or path.startswith(("/v1beta", "/v1/projects/")):
        return google_error
    if path.startswith(("/model/", "/guardrail", "/async-invoke")) or "AWS4-" in headers.get(
        "authorization", ""
    ):
        return bedrock_error
    if path.startswith("/v2/"):
        return cohere_error
    if path.startswith("/api/") and not path.startswith("/api/v1"):
        return ollama_error
    return azure_error if azure.speaks_azure(call) else openai_error


async def _unknown(call: Call) -> web.StreamResponse:
    text = f"Invalid URL ({call.request.method} {call.request.path})"
    return refuse(call, Failure(404, "not_found", text), _shape_of(call))


_BEDROCK: list[Route] = [
    ("POST", "/model/{model:.+}/converse", _text(bedrock_converse.WHOLE), bedrock_error),
    ("POST", "/model/{model:.+}/converse-stream", _text(bedrock_converse.STREAM), bedrock_error),
    ("POST", "/model/{model:.+}/invoke", bedrock_small.invoke, bedrock_error),
    ("POST", "/model/{model:.+}/invoke-with-response-stream", _text(bedrock_invoke.STREAM), bedrock_error),
    ("POST", "/model/{model:.+}/count-tokens", bedrock_small.count_tokens, bedrock_error),
]

_OLLAMA: list[Route] = [
    ("POST", "/api/chat", _text(ollama.CHAT), ollama_error),
    ("POST", "/api/generate", _text(ollama.GENERATE), ollama_error),
    ("POST", "/api/embed", ollama.embed, ollama_error),
    ("POST", "/api/embeddings", ollama.embed, ollama_error),
    ("GET", "/api/tags", ollama.tags, ollama_error),
    ("GET", "/api/version", ollama.version, ollama_error),
]

_COHERE: list[Route] = [
    ("POST", "/v2/chat", _text(cohere.CHAT), cohere_error),
    ("POST", "/v2/embed", cohere.embed, cohere_error),
    ("POST", "/v2/rerank", cohere.rerank, cohere_error),
]

_CLAUDE = "/{prefix:.*}publishers/anthropic/models"
_GEMINI = "/{prefix:.*}models/{model:.+}"

_GOOGLE: list[Route] = [
    ("POST", _CLAUDE + "/count-tokens:rawPredict", anthropic_small.count_tokens, anthropic_error),
    ("POST", _CLAUDE + "/{model:.+}:rawPredict", _text(vertex.WHOLE), anthropic_error),
    ("POST", _CLAUDE + "/{model:.+}:streamRawPredict", _text(vertex.STREAM), anthropic_error),
    ("POST", _GEMINI + ":generateContent", _text(gemini.WHOLE), google_error),
    ("POST", _GEMINI + ":streamGenerateContent", gemini_small.stream, google_error),
    ("POST", _GEMINI + ":countTokens", gemini_small.count_tokens, google_error),
    ("POST", _GEMINI + ":embedContent", gemini_small.embed, google_error),
    ("POST", _GEMINI + ":batchEmbedContents", gemini_small.batch_embed, google_error),
    ("POST", _GEMINI + ":predict", gemini_small.predict, google_error),
]

_AZURE = "/{prefix:.*}openai/deployments/{model}"

_OPENAI: list[Route] = [
    ("POST", _AZURE + "/chat/completions", _text(azure.CHAT), azure_error),
    ("POST", _AZURE + "/completions", _text(openai_completions.SURFACE), azure_error),
    ("POST", _AZURE + "/embeddings", openai_small.embeddings, azure_error),
    ("POST", "/{prefix:.*}chat/completions", _chat, openai_error),
    ("POST", "/{prefix:.*}completions", _text(openai_completions.SURFACE), openai_error),
    ("POST", "/{prefix:.*}responses", _text(openai_responses.SURFACE), openai_error),
    ("GET", "/{prefix:.*}responses", _socket(sockets.responses), openai_error),
    ("GET", "/{prefix:.*}realtime", _socket(sockets.realtime), openai_error),
    ("POST", "/{prefix:.*}embeddings", openai_small.embeddings, openai_error),
    ("POST", "/{prefix:.*}moderations", openai_small.moderations, openai_error),
    ("POST", "/{prefix:.*}images/generations", media.images, openai_error),
    ("POST", "/{prefix:.*}images/edits", media.images, openai_error),
    ("POST", "/{prefix:.*}audio/transcriptions", media.transcriptions, openai_error),
    ("POST", "/{prefix:.*}audio/translations", media.transcriptions, openai_error),
    ("POST", "/{prefix:.*}audio/speech", media.speech, openai_error),
    ("POST", "/{prefix:.*}files", file_routes.upload, openai_error),
    ("GET", "/{prefix:.*}files", file_routes.listing, openai_error),
    ("GET", "/{prefix:.*}files/{file}/content", file_routes.content, openai_error),
    ("GET", "/{prefix:.*}files/{file}", file_routes.describe, openai_error),
    ("DELETE", "/{prefix:.*}files/{file}", file_routes.delete, openai_error),
]

_ANTHROPIC: list[Route] = [
    ("POST", "/{prefix:.*}messages", _text(anthropic.SURFACE), anthropic_error),
    ("POST", "/{prefix:.*}messages/count_tokens", anthropic_small.count_tokens, anthropic_error),
    ("POST", "/{prefix:.*}complete", _text(anthropic_small.COMPLETE), anthropic_error),
]

_LISTS: list[Route] = [
    ("GET", "/{prefix:.*}models", catalogue.models, openai_error),
    ("GET", "/{prefix:.*}models/{model:.+}", catalogue.model, openai_error),
    ("*", "/{rest:.*}", _unknown, openai_error),
]

ROUTES: list[Route] = [*_BEDROCK, *_OLLAMA, *_COHERE, *_GOOGLE, *_OPENAI, *_ANTHROPIC, *_LISTS]
