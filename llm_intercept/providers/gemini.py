"""Google's Gemini API (AI Studio keys). The same models on Google Cloud are the provider `vertex`.

POST /v1beta/models/gemini-2.5-flash:generateContent        generate      gemini
POST /v1/models/gemini-2.5-flash:generateContent            generate      gemini
POST /v1beta1/models/gemini-2.5-flash%3AgenerateContent     generate      gemini
POST /v1beta/models/gemini-2.5-pro:streamGenerateContent    generate      gemini
POST /v1beta/tunedModels/mine:generateContent               generate      gemini
POST /v1beta/models/gemini-2.5-flash:countTokens            count_tokens  gemini
POST /v1beta/models/gemini-embedding-001:batchEmbedContents embeddings    gemini
POST /v1beta/models/imagen-4.0-generate-001:predict         images        observe
POST /v1beta/models/gemini-2.5-flash:batchGenerateContent   batches       observe
GET  /v1beta/models                                         models        observe
GET  /v1beta/models/gemini-2.5-flash                        models        observe
POST /v1beta/openai/chat/completions                        chat          openai_chat
POST /v1beta/openai/embeddings                              embeddings    openai_embeddings
POST /upload/v1beta/files                                   files         observe
POST /v1beta/cachedContents                                 other         observe
GET  /ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent realtime gemini
"""

import re

from pydantic import SecretStr

from llm_intercept.providers import endpoints, servings
from llm_intercept.providers.base import Endpoint, Outgoing, Provider
from llm_intercept.providers.credentials import bearer, google

VERSION = r"/(?:v1beta|v1|v1beta1|v1alpha)"
_MODEL = rf"{VERSION}/(?:models|tunedModels)/(?P<model>[^/:]+?)(?::|%3A)"


def credential(request: Outgoing, secret: SecretStr, now: float) -> None:
    """As Google's own APIs; the OpenAI-compatible paths take the same key as a bearer."""
    if "/openai/" in request.path.partition("?")[0]:
        bearer(request, secret, now)
    else:
        google(request, secret, now)


def operation(verb: str, operation: str, dialect: str = "gemini", stream: str = "never") -> Endpoint:
    return Endpoint(re.compile(_MODEL + verb), operation, dialect, stream)


ENDPOINTS = (
    operation("streamGenerateContent", "generate", stream="path"),
    operation("generateContent", "generate"),
    operation("countTokens", "count_tokens"),
    operation("(?:embedContent|batchEmbedContents)", "embeddings"),
    operation("(?:predict|predictLongRunning)", "images", "observe"),
    operation("(?:batchGenerateContent|asyncBatchEmbedContent)", "batches", "observe"),
    Endpoint(
        re.compile(rf"{VERSION}/(?:models|tunedModels)(?:/[^/:]+)?"), "models", "observe", methods=("GET",)
    ),
    Endpoint(
        re.compile(rf"(?:/upload|/download)?{VERSION}/files(?:[/:].*)?"),
        "files",
        "observe",
        methods=endpoints.ANY,
        upload=True,
    ),
    Endpoint(re.compile(rf"{VERSION}/batches(?:[/:].*)?"), "batches", "observe", methods=endpoints.ANY),
    Endpoint(re.compile(r"/ws/google\.ai\.generativelanguage\..+"), "realtime", "gemini", "path", ("GET",)),
    *endpoints.openai(rf"{VERSION}/openai", inject=True),
)

SERVES = (
    *servings.gemini("/v1beta"),
    servings.chat("/v1beta/openai"),
    servings.embeddings("/v1beta/openai"),
)

PROVIDER = Provider(
    name="gemini",
    title="Google Gemini",
    dialect="gemini",
    hosts=("generativelanguage.googleapis.com",),
    base_url="https://generativelanguage.googleapis.com",
    endpoints=ENDPOINTS,
    credential=credential,
    price_provider="google",
    env="GEMINI_API_KEY",
    bare="/v1beta",
    serves=SERVES,
)
