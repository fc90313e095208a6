import pytest

from llm_intercept.providers import Registry, paths
from llm_intercept.settings import ProviderSettings

REGISTRY = Registry({})
CHAT = "/v1/chat/completions"
AWS = (
    "AWS4-HMAC-SHA256 Credential=AKID/20261120/eu-west-1/{}/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)
ANTHROPIC = {"anthropic-version": "2023-06-01"}
X_API = {"x-api-key": "k"}
GOOG = {"x-goog-api-key": "k"}
BEARER = {"authorization": "Bearer k"}
API_KEY = {"api-key": "k"}


@pytest.mark.parametrize(
    ("path", "headers", "provider", "own"),
    [
        (CHAT, BEARER, "openai", CHAT),
        (f"{CHAT}?a=b", BEARER, "openai", f"{CHAT}?a=b"),
        ("/v1/responses", {}, "openai", None),
        ("/v1/responses/resp_1", {}, "openai", None),
        ("/v1/embeddings", {}, "openai", None),
        ("/v1/completions", {}, "openai", None),
        ("/v1/images/generations", {}, "openai", None),
        ("/v1/audio/speech", {}, "openai", None),
        ("/v1/files", BEARER, "openai", None),
        ("/v1/files", ANTHROPIC, "anthropic", None),
        ("/v1/moderations", {}, "openai", None),
        ("/v1/realtime", {}, "openai", None),
        ("/chat/completions", {}, "openai", CHAT),
        ("/responses?x=1", {}, "openai", "/v1/responses?x=1"),
        ("/models", {}, "openai", "/v1/models"),
        ("/models", X_API, "anthropic", "/v1/models"),
        ("/v1/messages", {}, "anthropic", None),
        ("/v1/messages?beta=true", {}, "anthropic", "/v1/messages?beta=true"),
        ("/v1/messages/count_tokens", {}, "anthropic", None),
        ("/v1/complete", {}, "anthropic", None),
        ("/v1/models", BEARER, "openai", None),
        ("/v1/models", {**BEARER, **ANTHROPIC}, "anthropic", None),
        ("/v1/models", X_API, "anthropic", None),
        ("/v1/models", GOOG, "gemini", None),
        ("/v1/models?key=k", {}, "gemini", "/v1/models?key=k"),
        ("/v1/models?pageSize=1&key=k", {}, "gemini", "/v1/models?pageSize=1&key=k"),
        ("/v1/models/gpt-5", BEARER, "openai", None),
        ("/v1/models/gemini-2.5-pro:generateContent", GOOG, "gemini", None),
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", {}, "gemini",
         "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        ("/v1beta1/models/gemini-2.5-pro%3AgenerateContent", {}, "gemini", None),
        ("/v1beta/models", {}, "gemini", None),
        ("/v1beta/openai/chat/completions", BEARER, "gemini", None),
        ("/model/us.anthropic.claude-v1:0/converse", {}, "bedrock", None),
        ("/model/a%3A0/invoke-with-response-stream", {}, "bedrock", None),
        ("/inference-profiles?type=SYSTEM_DEFINED", {}, "bedrock", "/inference-profiles?type=SYSTEM_DEFINED"),
        ("/openai/deployments/d/chat/completions?api-version=1", BEARER, "azure",
         "/openai/deployments/d/chat/completions?api-version=1"),
        ("/openai/v1/chat/completions", API_KEY, "azure", None),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict", {}, "vertex", None),
        ("/v1beta1/projects/p/locations/l/publishers/google/models/g:generateContent", {}, "vertex", None),
        ("/v1/projects/p/locations/l/endpoints/openapi/chat/completions", {}, "vertex", None),
        ("/v1/publishers/google/models/g:generateContent", {}, "vertex", None),
        ("/projects/p/locations/l/publishers/anthropic/models/c:rawPredict", {}, "vertex",
         "/v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict"),
        ("/api/chat", {}, "ollama", None),
        ("/api/generate", {}, "ollama", None),
        ("/api/embed", {}, "ollama", None),
        ("/api/tags", {}, "ollama", None),
    ],
)  # fmt: skip
def test_by_path(path: str, headers: dict[str, str], provider: str, own: str | None) -> None:
    found = REGISTRY.by_path(path, headers, "POST")
    assert found is not None
    assert (found[0].name, found[1]) == (provider, own or path)
    bare, _, query = path.partition("?")
    beside = REGISTRY.by_path(bare, headers, "POST", query)
    assert beside is not None
    assert (beside[0].name, beside[1]) == (provider, (own or path).partition("?")[0])


@pytest.mark.parametrize(
    "path", ["/", "", "/health", "/v1", "/v2/chat", "/favicon.ico", "/api", "/modelx/a/converse"]
)
def test_by_path_knows_nothing_of(path: str) -> None:
    assert REGISTRY.by_path(path, {}) is None
    assert REGISTRY.by_prefix(path) is None


@pytest.mark.parametrize(
    ("path", "headers", "provider", "own"),
    [
        (f"/openai{CHAT}", BEARER, "openai", CHAT),
        ("/openai/chat/completions", {}, "openai", CHAT),
        ("/openai/unknown", {}, "openai", "/unknown"),
        ("/openai", {}, "openai", "/"),
        (f"/openai{CHAT}", API_KEY, "azure", f"/openai{CHAT}"),
        (f"/openai{CHAT}?api-version=v1", BEARER, "azure", f"/openai{CHAT}?api-version=v1"),
        ("/openai/deployments/d/chat/completions", {}, "azure", "/openai/deployments/d/chat/completions"),
        (
            "/azure/openai/deployments/d/chat/completions",
            {},
            "azure",
            "/openai/deployments/d/chat/completions",
        ),
        (f"/azure/openai{CHAT}", {}, "azure", f"/openai{CHAT}"),
        (f"/azure{CHAT}", {}, "azure", f"/openai{CHAT}"),
        ("/groq/openai/v1/chat/completions", {}, "groq", "/openai/v1/chat/completions"),
        (f"/groq{CHAT}?a=b", {}, "groq", "/openai/v1/chat/completions?a=b"),
        ("/groq/chat/completions", {}, "groq", "/openai/v1/chat/completions"),
        ("/openrouter/api/v1/chat/completions", {}, "openrouter", "/api/v1/chat/completions"),
        (f"/openrouter{CHAT}", {}, "openrouter", "/api/v1/chat/completions"),
        (f"/zai{CHAT}", {}, "zai", "/api/paas/v4/chat/completions"),
        ("/deepseek/chat/completions", {}, "deepseek", "/chat/completions"),
        ("/anthropic/v1/messages?beta=true", {}, "anthropic", "/v1/messages?beta=true"),
        ("/anthropic/messages", {}, "anthropic", "/v1/messages"),
        ("/gemini/models/g:generateContent", {}, "gemini", "/v1beta/models/g:generateContent"),
        ("/bedrock/model/a:0/converse", {}, "bedrock", "/model/a:0/converse"),
        ("/sim/v1/messages", {}, "sim", "/v1/messages"),
        (
            "/sim/openai/deployments/d/chat/completions",
            API_KEY,
            "sim",
            "/openai/deployments/d/chat/completions",
        ),
        ("/ollama/api/chat", {}, "ollama", "/api/chat"),
    ],
)
def test_by_prefix(path: str, headers: dict[str, str], provider: str, own: str) -> None:
    found = REGISTRY.by_prefix(path, headers)
    assert found is not None
    assert (found[0].name, found[1]) == (provider, own)


def test_the_query_of_an_azure_call_may_stand_beside_the_path() -> None:
    found = REGISTRY.by_prefix(f"/openai{CHAT}", BEARER, "api-version=v1")
    assert found is not None
    assert found[0].name == "azure"
    assert paths.provider_of(f"/openai{CHAT}", BEARER, "") is None


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("api.anthropic.com", "anthropic"),
        ("my-res.openai.azure.com", "azure"),
        ("my-res.services.ai.azure.com", "azure"),
        ("my-res.cognitiveservices.azure.com", "azure"),
        ("bedrock-runtime.eu-central-1.amazonaws.com", "bedrock"),
        ("bedrock-runtime-fips.us-east-1.amazonaws.com", "bedrock"),
        ("bedrock-mantle.us-east-1.api.aws", "bedrock"),
        ("us-east5-aiplatform.googleapis.com", "vertex"),
        ("aiplatform.googleapis.com", "vertex"),
        ("aiplatform.eu.rep.googleapis.com", "vertex"),
        ("generativelanguage.googleapis.com", "gemini"),
        ("api.together.ai", "together"),
        ("chatgpt.com", None),
        ("ab.chatgpt.com", None),
        ("a.b.openai.azure.com", None),
        ("openai.azure.com", None),
        ("bedrock.us-east-1.amazonaws.com", None),
        ("bedrock-runtime.a.b.amazonaws.com", None),
        ("api.openai.com.evil.example", None),
        ("evil-api.openai.com", None),
        ("localhost", None),
        ("", None),
    ],
)
def test_by_host(host: str, provider: str | None) -> None:
    for _ in range(2):  # found, then remembered
        found = REGISTRY.by_host(host)
        assert (found.name if found else None) == provider


def test_local_servers_are_known_by_their_port() -> None:
    ollama = REGISTRY.by_host("localhost", 11434)
    assert ollama is not None
    assert ollama.name == "ollama"
    assert REGISTRY.by_host("localhost", 8080) is None


def test_remembered_paths_are_bounded() -> None:
    registry = Registry({})
    provider = registry.providers["sim"]
    for number in range(5000):
        assert registry.endpoint(provider, "POST", f"/x/{number}").operation == "other"
    assert len(registry._endpoints) <= 4096
    held = len(registry._endpoints)
    assert registry.endpoint(provider, "POST", f"/model/{'/a:' * 5000}/converse").operation == "converse"
    assert len(registry._endpoints) == held


def test_remembered_hosts_are_bounded() -> None:
    registry = Registry({})
    for number in range(5000):
        registry.by_host(f"h{number}.example")
    assert len(registry._hosts) <= 4096
    assert registry.by_host("api.openai.com") is registry.providers["openai"]


@pytest.mark.parametrize(
    ("provider", "path", "headers", "host"),
    [
        ("bedrock", "/model/a:0/converse", {}, "bedrock-runtime.us-east-1.amazonaws.com"),
        ("bedrock", "/model/a:0/converse", {"authorization": AWS.format("bedrock")},
         "bedrock-runtime.eu-west-1.amazonaws.com"),
        ("bedrock", "/openai/v1/responses", {"authorization": AWS.format("bedrock-mantle")},
         "bedrock-mantle.eu-west-1.api.aws"),
        ("bedrock", "/v1/responses", {}, "bedrock-mantle.us-east-1.api.aws"),
        ("bedrock", "/anthropic/v1/messages", {}, "bedrock-mantle.us-east-1.api.aws"),
        ("bedrock", "/inference-profiles?type=S", {"authorization": AWS.format("bedrock")},
         "bedrock.eu-west-1.amazonaws.com"),
        ("vertex", "/v1/projects/p/locations/us-east5/publishers/a/models/c:rawPredict", {},
         "us-east5-aiplatform.googleapis.com"),
        ("vertex", "/v1beta1/projects/p/locations/global/publishers/a/x", {}, "aiplatform.googleapis.com"),
        ("vertex", "/v1/projects/p/locations/eu/publishers/a/x", {}, "aiplatform.eu.rep.googleapis.com"),
        ("vertex", "/v1/publishers/google/models/g:generateContent", {}, "aiplatform.googleapis.com"),
        ("vertex", "/v1/projects/p/locations/evil.example%2F/x", {}, "aiplatform.googleapis.com"),
        ("openai", CHAT, {}, "api.openai.com"),
    ],
)  # fmt: skip
def test_upstream_of_base_url_clients(provider: str, path: str, headers: dict[str, str], host: str) -> None:
    assert REGISTRY.upstream(REGISTRY.providers[provider], None, path, headers) == ("https", host, 443, "")


@pytest.mark.parametrize(
    ("base_url", "path", "expected"),
    [
        ("https://relay.corp/openai", CHAT, ("https", "relay.corp", 443, "/openai")),
        ("https://relay.corp/openai/", f"{CHAT}?a=b", ("https", "relay.corp", 443, "/openai")),
        ("https://relay.corp/openai/v1", CHAT, ("https", "relay.corp", 443, "/openai")),
        ("https://api.openai.com/v1", CHAT, ("https", "api.openai.com", 443, "")),
        ("http://127.0.0.1:9", CHAT, ("http", "127.0.0.1", 9, "")),
        ("http://[::1]:9/x", CHAT, ("http", "::1", 9, "/x")),
        ("https://relay.corp/v", "/v1/x", ("https", "relay.corp", 443, "/v")),
    ],
)
def test_base_urls_keep_their_path(base_url: str, path: str, expected: tuple[str, str, int, str]) -> None:
    provider = REGISTRY.providers["openai"]
    assert REGISTRY.upstream(provider, "api.openai.com", path, {}, base_url) == expected


def test_the_credential_s_base_url_counts_before_that_of_settings() -> None:
    registry = Registry({"openai": ProviderSettings(base_url="https://relay.corp/x")})
    provider = registry.providers["openai"]
    assert registry.upstream(provider, "api.openai.com", CHAT, {}) == ("https", "relay.corp", 443, "/x")
    assert registry.upstream(provider, None, CHAT, {}, "https://a.b") == ("https", "a.b", 443, "")


def test_an_intercepted_plain_http_server_keeps_its_port() -> None:
    provider = REGISTRY.providers["ollama"]
    found = REGISTRY.upstream(provider, "localhost", "/api/chat", {}, scheme="http", port=11434)
    assert found == ("http", "localhost", 11434, "")


@pytest.mark.parametrize(
    ("provider", "path", "expected"),
    [
        ("anthropic", "/api/event_logging/v2/batch", True),
        ("anthropic", "/api/eval/sdk-1", True),
        ("anthropic", "/api/claude_code/settings?x=1", True),
        ("anthropic", "/api/claude_code/metrics", True),
        ("anthropic", "/api/claude_cli/bootstrap?entrypoint=sdk-cli", True),
        ("anthropic", "/api/claude_code_penguin_mode", True),
        ("anthropic", "/api/oauth/claude_cli/client_data", True),
        ("anthropic", "/v1/oauth/token", True),
        ("anthropic", "/mcp-registry/v0/servers?version=latest", True),
        ("anthropic", "/v1/messages?beta=true", False),
        ("anthropic", "/v1/models", False),
        ("anthropic", "/v1/new", False),
        ("openrouter", "/chat", True),
        ("openrouter", "/api/v1/chat/completions", False),
        ("ollama", "/library/llama3", True),
        ("ollama", "/api/chat", False),
        ("openai", "/v1/organization/costs", False),
    ],
)
def test_not_inference(provider: str, path: str, expected: bool) -> None:
    assert REGISTRY.not_inference(REGISTRY.providers[provider], path) is expected


@pytest.mark.parametrize(
    ("path", "inject"),
    [
        ("/openai/deployments/d/chat/completions?api-version=2024-12-01-preview", True),
        ("/openai/deployments/d/chat/completions?x=1&api-version=2025-04-01-preview", True),
        ("/openai/deployments/d/chat/completions?api-version=2024-02-01", False),
        ("/openai/deployments/d/chat/completions", False),
        ("/openai/v1/chat/completions", True),
    ],
)
def test_azure_versions_that_know_stream_options(path: str, inject: bool) -> None:
    endpoint = REGISTRY.endpoint(REGISTRY.providers["azure"], "POST", path)
    assert (endpoint.operation, endpoint.inject_usage) == ("chat", inject)


def test_a_get_of_responses_is_a_websocket() -> None:
    endpoint = REGISTRY.endpoint(REGISTRY.providers["openai"], "GET", "/v1/responses")
    assert (endpoint.operation, endpoint.dialect, endpoint.stream) == (
        "responses",
        "openai_responses",
        "path",
    )
