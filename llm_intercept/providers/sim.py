"""The built-in simulator: it speaks every dialect, so its paths are those of all the others.

    POST /v1/chat/completions                            chat        openai_chat
    POST /v1/responses                                   responses   openai_responses
    POST /v1/messages                                    messages    anthropic
    POST /v1beta/models/sim-echo:streamGenerateContent   generate    gemini
    POST /model/sim-echo/converse                        converse    bedrock_converse
    POST /api/chat                                       chat        ollama
    POST /openai/deployments/sim-echo/chat/completions   chat        openai_chat
    POST /v1/projects/p/locations/l/publishers/google/models/sim-echo:generateContent generate gemini
    GET  /v1/models                                      models      observe
    POST /anything                                       other       observe

It has no host of its own; whoever starts it passes its address. A key is neither needed nor looked at.
"""

from llm_intercept.providers import (
    anthropic,
    azure,
    bedrock,
    cohere,
    endpoints,
    gemini,
    ollama,
    servings,
    vertex,
)
from llm_intercept.providers.base import Provider
from llm_intercept.providers.credentials import bearer

PROVIDER = Provider(
    name="sim",
    title="Simulator",
    dialect="openai_chat",
    hosts=(),
    base_url=None,
    endpoints=(
        *endpoints.openai("/v1", inject=True),
        *anthropic.PROVIDER.endpoints,
        *gemini.ENDPOINTS,
        *bedrock.ENDPOINTS,
        *ollama.NATIVE,
        *azure.PROVIDER.endpoints,
        *vertex.PROVIDER.endpoints,
        *cohere.NATIVE,
    ),
    credential=bearer,
    key_optional=True,
    simulated=True,
    model_prefix="sim/",
    bare="/v1",
    serves=(
        servings.chat("/v1"),
        servings.responses("/v1"),
        servings.completions("/v1"),
        *anthropic.PROVIDER.serves,
        *servings.gemini("/v1beta"),
        *bedrock.NATIVE_SERVES,
        *ollama.SERVES,
        servings.fixed("cohere", "chat", "/v2/chat"),
        servings.embeddings("/v1"),
        servings.fixed("cohere", "embeddings", "/v2/embed"),
    ),
    vendor_models=True,
)
