"""Azure OpenAI and Azure AI Foundry: deployments, the v1 API, the model inference API, Claude.

    POST /openai/deployments/my-gpt/chat/completions   chat         openai_chat
    POST /openai/deployments/my-gpt/completions        completions  openai_completions
    POST /openai/deployments/my-gpt/embeddings         embeddings   openai_embeddings
    POST /openai/deployments/dalle/images/generations  images       openai_images
    POST /openai/deployments/w/audio/transcriptions    audio        openai_audio
    POST //openai/deployments/my-gpt/chat/completions  chat         openai_chat
    POST /openai/v1/chat/completions                   chat         openai_chat
    POST /openai/v1/responses                          responses    openai_responses
    POST /openai/responses                             responses    openai_responses
    POST /models/chat/completions                      chat         openai_chat
    POST /models/embeddings                            embeddings   openai_embeddings
    GET  /openai/models                                models       observe
    GET  /openai/realtime                              realtime     openai_responses
    GET  /openai/v1/realtime                           realtime     openai_responses
    POST /openai/files                                 files        observe
    POST /anthropic/v1/messages                        messages     anthropic

Every customer has a host of their own, so base-URL clients need the credential's base URL. In calls that
we write ourselves the model is the deployment's name, the version that of `providers.azure.api_version`.
"""

import re

from llm_intercept.providers import endpoints, servings
from llm_intercept.providers.base import Provider, Serving
from llm_intercept.providers.credentials import Header

# `stream_options` came with 2024-09-01-preview; older versions refuse the whole request for it
_ASKS_USAGE = re.compile(r"(?:^|&)api-version=(?:2024-(?:09|1[0-2])|202[5-9]|20[3-9]\d|v1|preview|latest)")
_DEPLOYMENT = r"/+openai/deployments/(?P<model>[^/]+)(?:/extensions)?"

_VERSION = "2024-10-21"  # the newest that is no preview; what came later is in the v1 API


def _serves(version: str) -> tuple[Serving, ...]:
    query = f"api-version={servings.quoted(version)}"

    def deployed(dialect: str, operation: str, rest: str) -> Serving:
        def path(model: str, stream: bool) -> str:
            return f"/openai/deployments/{servings.quoted(model)}/{rest}?{query}"

        return Serving(dialect, operation, path, models=re.compile("^(?!claude)"))

    return (
        servings.messages("/anthropic/v1", re.compile("^claude")),
        deployed("openai_chat", "chat", "chat/completions"),
        servings.responses("/openai/v1"),
        deployed("openai_completions", "completions", "completions"),
        deployed("openai_embeddings", "embeddings", "embeddings"),
    )


PROVIDER = Provider(
    name="azure",
    title="Azure OpenAI",
    dialect="openai_chat",
    hosts=("*.openai.azure.com", "*.services.ai.azure.com", "*.cognitiveservices.azure.com"),
    base_url=None,
    endpoints=(
        *endpoints.openai(_DEPLOYMENT, inject=True, inject_query=_ASKS_USAGE),
        *endpoints.openai(r"/+openai/v1", inject=True),
        *endpoints.openai(r"(?:/+openai|/models|)", inject=True, inject_query=_ASKS_USAGE),
        *endpoints.anthropic("/anthropic/v1"),
    ),
    credential=Header("api-key"),
    # domains that only Azure's own AI resources live in: each resource is one label below
    ca_names=("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"),
    price_provider="azure",
    env="AZURE_OPENAI_API_KEY",
    bare="/openai",
    serves=_serves(_VERSION),
    serves_version=_serves,
)
