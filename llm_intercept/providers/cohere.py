"""Cohere.

POST /v2/chat                            chat         cohere
POST /v1/chat                            chat         cohere
POST /v2/embed                           embeddings   cohere
POST /v2/rerank                          rerank       cohere
POST /v1/generate                        generate     cohere
GET  /v1/models                          models       observe
POST /compatibility/v1/chat/completions  chat         openai_chat
POST /v1/tokenize                        other        observe
"""

import re

from llm_intercept.providers import endpoints, servings
from llm_intercept.providers.base import Endpoint, Provider
from llm_intercept.providers.credentials import bearer

NATIVE = (
    Endpoint(re.compile(r"/v[12]/chat"), "chat", "cohere", "body"),
    Endpoint(re.compile(r"/v[12]/embed"), "embeddings", "cohere"),
    Endpoint(re.compile(r"/v[12]/rerank"), "rerank", "cohere"),
    Endpoint(re.compile(r"/v1/(?:generate|summarize|classify)"), "generate", "cohere", "body"),
    Endpoint(re.compile(r"/v1/models(?:/.+)?"), "models", "observe", methods=("GET",)),
)

PROVIDER = Provider(
    name="cohere",
    title="Cohere",
    dialect="cohere",
    hosts=("api.cohere.com", "api.cohere.ai"),
    base_url="https://api.cohere.com",
    endpoints=(*NATIVE, *endpoints.openai("/compatibility/v1", inject=True)),
    credential=bearer,
    price_provider="cohere",
    env="COHERE_API_KEY",
    bare="/v2",
    serves=(
        servings.chat("/compatibility/v1"),
        servings.fixed("cohere", "embeddings", "/v2/embed"),
        servings.embeddings("/compatibility/v1"),
    ),
)
