"""Ollama, on this machine by default; ollama.com serves the same API with a key.

POST /api/chat              chat        ollama
POST /api/generate          generate    ollama
POST /api/embed             embeddings  ollama
POST /api/embeddings        embeddings  ollama
GET  /api/tags              models      observe
POST /api/show              models      observe
POST /v1/chat/completions   chat        openai_chat
POST /v1/messages           messages    anthropic
POST /api/pull              other       observe
"""

import re

from llm_intercept.providers import endpoints, servings
from llm_intercept.providers.base import Endpoint, Provider
from llm_intercept.providers.credentials import bearer

NATIVE = (
    # Ollama streams unless the body says `"stream": false`
    Endpoint(re.compile(r"/api/chat"), "chat", "ollama", "body"),
    Endpoint(re.compile(r"/api/generate"), "generate", "ollama", "body"),
    Endpoint(re.compile(r"/api/(?:embed|embeddings)"), "embeddings", "ollama"),
    Endpoint(re.compile(r"/api/(?:tags|ps|show|version)"), "models", "observe", methods=("GET", "POST")),
)

SERVES = (servings.fixed("ollama", "chat", "/api/chat"), servings.fixed("ollama", "embeddings", "/api/embed"))

PROVIDER = Provider(
    name="ollama",
    title="Ollama",
    dialect="ollama",
    hosts=("localhost:11434", "127.0.0.1:11434", "ollama.com"),
    base_url="http://127.0.0.1:11434",
    endpoints=(*NATIVE, *endpoints.openai("/v1", inject=True), *endpoints.anthropic("/v1")),
    credential=bearer,
    not_inference=(re.compile(r"/(?!api/|v1/).*"),),  # ollama.com is a web site, too
    env="OLLAMA_API_KEY",
    key_optional=True,
    bare="/v1",
    # not its newer Anthropic and responses paths: older servers lack them, and a translation needs neither
    serves=(*SERVES, servings.chat("/v1"), servings.embeddings("/v1")),
    vendor_models=True,
)
