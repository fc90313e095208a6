"""How providers are called when we write the request ourselves: the paths must be ones they know."""

import re
from typing import Any

import pytest
from pydantic import SecretStr

from llm_intercept.errors import ConfigError
from llm_intercept.providers import Registry
from llm_intercept.providers.base import Provider, Serving
from llm_intercept.settings import ProviderSettings

REGISTRY = Registry({})
VERTEX = "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5"
ACCOUNT = SecretStr('{"type": "service_account", "project_id": "acme"}')
MODELS = ("gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro", "meta/llama-4", "openai.gpt-oss-20b")
ENVELOPES = {"bedrock": "bedrock_invoke", "vertex": "anthropic", "": None}


def registry(**providers: dict[str, Any]) -> Registry:
    return Registry({name: ProviderSettings.model_validate(given) for name, given in providers.items()})


def every_serving() -> list[Any]:
    return [
        pytest.param(provider, serving, id=f"{name}-{serving.dialect}-{serving.operation}-{number}")
        for name, provider in REGISTRY.providers.items()
        for number, serving in enumerate(provider.serves)
    ]


@pytest.mark.parametrize(("provider", "serving"), every_serving())
@pytest.mark.parametrize("stream", [False, True])
def test_the_path_means_what_is_served(provider: Provider, serving: Serving, stream: bool) -> None:
    for model in MODELS:
        if serving.models is not None and not serving.models.search(model):
            continue
        path = serving.path(model, stream)
        base = "/v1/projects/p/locations/l" if provider.name == "vertex" else ""
        endpoint = REGISTRY.endpoint(provider, "POST", base + path)
        dialect = ENVELOPES[serving.envelope] or serving.dialect
        operation = "invoke" if serving.envelope == "bedrock" else serving.operation
        assert (endpoint.dialect, endpoint.operation) == (dialect, operation)
        if stream and serving.operation not in ("embeddings", "count_tokens"):
            assert endpoint.stream in ("body", "path")


@pytest.mark.parametrize("provider", REGISTRY.providers.values(), ids=lambda p: p.name)
def test_every_provider_can_be_called(provider: Provider) -> None:
    assert provider.serves
    assert provider.serving("none", "images") is None


@pytest.mark.parametrize(
    ("provider", "client", "operation", "model", "served", "path"),
    [
        ("openai", "anthropic", "messages", "gpt-4o", "openai_chat", "/v1/chat/completions"),
        ("openai", "openai_responses", "responses", "gpt-4o", "openai_responses", "/v1/responses"),
        ("openai", "anthropic", "messages", "gpt-5-pro", "openai_responses", "/v1/responses"),
        ("openai", "anthropic", "messages", "gpt-5.3-codex", "openai_responses", "/v1/responses"),
        ("openai", "openai_chat", "chat", "gpt-5-pro", "openai_responses", "/v1/responses"),
        ("openai", "openai_completions", "completions", "g", "openai_completions", "/v1/completions"),
        ("openai", "gemini", "embeddings", "e", "openai_embeddings", "/v1/embeddings"),
        ("anthropic", "openai_chat", "chat", "claude-x", "anthropic", "/v1/messages"),
        ("anthropic", "anthropic", "count_tokens", "c", "anthropic", "/v1/messages/count_tokens"),
        ("gemini", "anthropic", "messages", "gemini-2.5-pro", "gemini",
         "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        ("gemini", "openai_chat", "chat", "g", "openai_chat", "/v1beta/openai/chat/completions"),
        ("gemini", "gemini", "generate", "tunedModels/mine", "gemini",
         "/v1beta/tunedModels/mine:streamGenerateContent?alt=sse"),
        ("gemini", "ollama", "embeddings", "gemini-embedding-001", "gemini",
         "/v1beta/models/gemini-embedding-001:batchEmbedContents"),
        ("vertex", "openai_chat", "chat", "gemini-2.5-pro", "gemini",
         "/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        ("vertex", "openai_chat", "chat", "claude-opus-4@20250514", "anthropic",
         "/publishers/anthropic/models/claude-opus-4@20250514:streamRawPredict"),
        ("vertex", "anthropic", "messages", "meta/llama-4-maverick", "openai_chat",
         "/endpoints/openapi/chat/completions"),
        ("bedrock", "openai_chat", "chat", "amazon.nova-pro-v1:0", "bedrock_converse",
         "/model/amazon.nova-pro-v1%3A0/converse-stream"),
        ("bedrock", "anthropic", "messages", "us.anthropic.claude-sonnet-4-v1:0", "anthropic",
         "/model/us.anthropic.claude-sonnet-4-v1%3A0/invoke-with-response-stream"),
        ("bedrock", "anthropic", "messages", "amazon.nova-pro-v1:0", "bedrock_converse",
         "/model/amazon.nova-pro-v1%3A0/converse-stream"),
        ("azure", "anthropic", "messages", "my gpt", "openai_chat",
         "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"),
        ("azure", "openai_chat", "chat", "claude-opus-4-8", "anthropic", "/anthropic/v1/messages"),
        ("ollama", "anthropic", "messages", "qwen2.5:72b", "ollama", "/api/chat"),
        ("ollama", "openai_chat", "chat", "qwen2.5:72b", "openai_chat", "/v1/chat/completions"),
        ("cohere", "anthropic", "messages", "command-a", "openai_chat", "/compatibility/v1/chat/completions"),
        ("cohere", "openai_embeddings", "embeddings", "e", "openai_embeddings",
         "/compatibility/v1/embeddings"),
        ("cohere", "gemini", "embeddings", "e", "cohere", "/v2/embed"),
        ("groq", "anthropic", "messages", "openai/gpt-oss-20b", "openai_chat", "/openai/v1/chat/completions"),
        ("perplexity", "anthropic", "messages", "sonar", "openai_chat", "/chat/completions"),
        ("deepseek", "anthropic", "messages", "deepseek-chat", "anthropic", "/anthropic/v1/messages"),
        ("openrouter", "gemini", "generate", "a/b", "openai_chat", "/api/v1/chat/completions"),
        ("zai", "anthropic", "messages", "glm-5", "anthropic", "/api/anthropic/v1/messages"),
        ("sim", "gemini", "generate", "sim/x", "gemini",
         "/v1beta/models/sim%2Fx:streamGenerateContent?alt=sse"),
        ("sim", "bedrock_converse", "converse", "x", "bedrock_converse", "/model/x/converse-stream"),
    ],
)  # fmt: skip
def test_what_a_client_gets(
    provider: str, client: str, operation: str, model: str, served: str, path: str
) -> None:
    serving = REGISTRY.providers[provider].serving(client, operation, model)
    assert serving is not None
    assert (serving.dialect, serving.path(model, True)) == (served, path)


def test_what_cannot_change_its_dialect_stays() -> None:
    providers = REGISTRY.providers
    assert providers["openai"].serving("anthropic", "count_tokens") is None
    assert providers["anthropic"].serving("openai_embeddings", "embeddings") is None
    assert providers["voyage"].serving("openai_chat", "chat") is None


def test_azure_calls_carry_the_version_that_is_set() -> None:
    azure = registry(azure={"api_version": "2025-04-01-preview"}).providers["azure"]
    serving = azure.serving("openai_chat", "chat")
    assert serving is not None
    assert serving.path("d", False).endswith("/d/chat/completions?api-version=2025-04-01-preview")
    with pytest.raises(ConfigError, match=r"providers\.groq\.api_version: Groq has no such versions"):
        registry(groq={"api_version": "1"})


def openai(base_url: str) -> dict[str, Any]:
    return {"dialect": "openai", "base_url": base_url}


def anthropic(base_url: str) -> dict[str, Any]:
    return {"dialect": "anthropic", "base_url": base_url}


@pytest.mark.parametrize(
    ("given", "path", "expected"),
    [
        (openai("https://r.example"), "/v1/chat/completions", "/v1/chat/completions"),
        (openai("https://r.example/v1"), "/chat/completions", "/v1/chat/completions"),
        (openai("https://r.example/ai"), "/chat/completions", "/ai/chat/completions"),
        (anthropic("https://r.example"), "/v1/messages", "/v1/messages"),
        (anthropic("https://r.example/a/v1"), "/v1/messages", "/a/v1/messages"),
    ],
)  # fmt: skip
def test_a_new_provider_is_called_under_its_base_url(given: dict[str, Any], path: str, expected: str) -> None:
    found = registry(relay=given)
    relay = found.providers["relay"]
    serving = relay.serving("gemini", "generate")
    assert serving is not None
    written = serving.path("m", False)
    assert written == path
    upstream = found.upstream(relay, None, written, {}, found.base_for(relay, None, None))
    assert upstream is not None
    assert upstream[3] + written == expected
    assert relay.vendor_models == (given["dialect"] == "openai")


@pytest.mark.parametrize(
    ("base_url", "secret", "expected"),
    [
        (VERTEX, SecretStr("ya29.x"), VERTEX),
        (VERTEX.replace("/v1/", "/"), None, VERTEX),
        (f"{VERTEX}/publishers/google/models/gemini-2.5-pro:generateContent?alt=sse", None, VERTEX),
        (None, ACCOUNT, "https://aiplatform.googleapis.com/v1/projects/acme/locations/global"),
        ("https://us-east5-aiplatform.googleapis.com", ACCOUNT,
         "https://us-east5-aiplatform.googleapis.com/v1/projects/acme/locations/us-east5"),
        ("https://aiplatform.eu.rep.googleapis.com/v1", ACCOUNT,
         "https://aiplatform.eu.rep.googleapis.com/v1/projects/acme/locations/eu"),
        (None, SecretStr("AIzaX"), "https://aiplatform.googleapis.com/v1"),
    ],
)  # fmt: skip
def test_vertex_knows_project_and_location(
    base_url: str | None, secret: SecretStr | None, expected: str
) -> None:
    assert REGISTRY.base_for(REGISTRY.providers["vertex"], base_url, secret) == expected


@pytest.mark.parametrize("secret", [None, SecretStr("ya29.token"), SecretStr('{"type": "x"}')])
def test_vertex_says_what_is_missing(secret: SecretStr | None) -> None:
    with pytest.raises(ConfigError, match=r"--base-url .*/projects/PROJECT"):
        REGISTRY.base_for(REGISTRY.providers["vertex"], None, secret)


def test_a_vertex_call_ends_at_its_location() -> None:
    vertex = REGISTRY.providers["vertex"]
    serving = vertex.serving("anthropic", "messages", "claude-opus-4-8")
    assert serving is not None
    path = serving.path("claude-opus-4-8", False)
    found = REGISTRY.upstream(vertex, None, path, {}, REGISTRY.base_for(vertex, VERTEX, None))
    assert found is not None
    assert found[1] == "us-east5-aiplatform.googleapis.com"
    assert re.fullmatch(r"/v1/projects/p/locations/us-east5/publishers/.+:rawPredict", found[3] + path)


@pytest.mark.parametrize(
    ("base_url", "secret", "expected"),
    [
        (None, SecretStr("AKIA:secret"), None),
        (None, None, None),
        (None, SecretStr('{"access_key_id": "a", "secret_access_key": "b", "region": "eu-west-1"}'),
         "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ("https://vpce.example", SecretStr("AKIA:secret"), "https://vpce.example"),
    ],
)  # fmt: skip
def test_bedrock_s_region_may_be_in_the_key(
    base_url: str | None, secret: SecretStr | None, expected: str | None
) -> None:
    assert REGISTRY.base_for(REGISTRY.providers["bedrock"], base_url, secret) == expected


def test_a_base_url_of_settings_counts() -> None:
    found = registry(openai={"base_url": "https://relay.example/v1"})
    assert found.base_for(found.providers["openai"], None, None) == "https://relay.example/v1"
    assert found.base_for(found.providers["openai"], "https://mine", None) == "https://mine"


def test_vertex_names_the_model_of_a_count_in_the_body() -> None:
    path = "/v1/projects/p/locations/us-east5/publishers/anthropic/models/count-tokens:rawPredict"
    found = REGISTRY.endpoint(REGISTRY.providers["vertex"], "POST", path)
    assert (found.operation, found.dialect, found.path.groupindex) == ("count_tokens", "anthropic", {})


@pytest.mark.parametrize(
    ("provider", "client", "model", "path"),
    [
        ("openai", "openai_responses", "gpt-5", "/v1/responses/input_tokens"),
        ("openai", "anthropic", "gpt-5", None),
        (
            "bedrock",
            "bedrock_converse",
            "amazon.nova-lite-v1:0",
            "/model/amazon.nova-lite-v1%3A0/count-tokens",
        ),
        ("anthropic", "gemini", "claude-sonnet-5", None),
        ("anthropic", "anthropic", "claude-sonnet-5", "/v1/messages/count_tokens"),
    ],
)
def test_counts_are_asked_only_in_the_client_s_dialect(
    provider: str, client: str, model: str, path: str | None
) -> None:
    found = REGISTRY.providers[provider].serving(client, "count_tokens", model)
    assert (found.path(model, False) if found else None) == path


@pytest.mark.parametrize(
    ("model", "verb"),
    [
        ("text-embedding-005", "predict"),
        ("text-multilingual-embedding-002", "predict"),
        ("gemini-embedding-001", "predict"),
        ("gemini-embedding-2", "embedContent"),
        ("gemini-embedding-2-preview", "embedContent"),
        ("publishers/google/models/gemini-embedding-2", "embedContent"),
    ],
)
def test_vertex_embeds_where_the_model_is_served(model: str, verb: str) -> None:
    found = REGISTRY.providers["vertex"].serving("openai_embeddings", "embeddings", model)
    assert found is not None
    short = model.rpartition("/")[2]
    assert found.path(model, False) == f"/publishers/google/models/{short}:{verb}"
