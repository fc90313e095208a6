"""OpenAI. Codex logs in and reports through chatgpt.com, which is no provider host: it stays a blind tunnel.

POST /v1/chat/completions        chat         openai_chat
POST /v1/responses               responses    openai_responses
GET  /v1/responses               responses    openai_responses
GET  /v1/realtime                realtime     openai_responses
POST /v1/completions             completions  openai_completions
POST /v1/embeddings              embeddings   openai_embeddings
POST /v1/images/generations      images       openai_images
POST /v1/images/edits            images       openai_images
POST /v1/audio/transcriptions    audio        openai_audio
POST /v1/audio/speech            audio        openai_audio
POST /v1/moderations             moderations  observe
GET  /v1/models                  models       observe
GET  /v1/models/gpt-5            models       observe
POST /v1/files                   files        observe
GET  /v1/batches/batch_1         batches      observe
GET  /v1/responses/resp_1        other        observe
POST /v1/fine_tuning/jobs        other        observe
"""

import re

from llm_intercept.providers import endpoints, servings
from llm_intercept.providers.base import Provider
from llm_intercept.providers.credentials import bearer

_RESPONSES_ONLY = re.compile(r"codex|-pro(?:-\d{4}|$)|deep-research|computer-use")
"""Models that chat completions do not offer."""
_CHATS = re.compile(rf"^(?!.*(?:{_RESPONSES_ONLY.pattern}))")

PROVIDER = Provider(
    name="openai",
    title="OpenAI",
    dialect="openai_chat",
    # the regional hosts are those of projects with data residency
    hosts=("api.openai.com", "eu.api.openai.com", "us.api.openai.com"),
    base_url="https://api.openai.com",
    endpoints=endpoints.openai("/v1", inject=True),
    credential=bearer,
    ca_names=("api.openai.com",),
    not_inference=(re.compile(r"/(?:oauth|otlp)/.*"),),
    price_provider="openai",
    env="OPENAI_API_KEY",
    bare="/v1",
    serves=(
        servings.responses("/v1", _RESPONSES_ONLY),
        servings.chat("/v1", _CHATS),
        servings.responses("/v1"),
        servings.fixed("openai_responses", "count_tokens", "/v1/responses/input_tokens"),
        servings.completions("/v1"),
        servings.embeddings("/v1"),
    ),
)
