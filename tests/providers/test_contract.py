"""What every provider must satisfy, whether built in or added later: it is found by itself."""

import re
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from llm_intercept.providers import Registry, hosts
from llm_intercept.providers.base import Endpoint, Outgoing, Provider
from llm_intercept.providers.presented import presented, remove

from .examples import Example, all_examples

REGISTRY = Registry({})
EXAMPLES = all_examples()
PROVIDERS = list(REGISTRY.providers.values())
SECRET = "s3cret-of-the-provider"
TOKEN = "lli_project_token"
DIALECTS = {
    "openai_chat", "openai_responses", "openai_completions", "openai_embeddings", "openai_images",
    "openai_audio", "observe", "anthropic", "gemini", "bedrock_converse", "bedrock_invoke", "cohere",
    "ollama",
}  # fmt: skip
OPERATIONS = {
    "chat", "responses", "completions", "embeddings", "models", "images", "audio", "moderations", "files",
    "batches", "messages", "complete", "count_tokens", "generate", "converse", "invoke", "rerank", "realtime",
    "other",
}  # fmt: skip
CLIENT_CREDENTIALS = [
    ("Authorization", f"Bearer {TOKEN}"),
    ("X-Api-Key", TOKEN),
    ("api-key", TOKEN),
    ("x-goog-api-key", TOKEN),
]

by_name = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda p: p.name)


def test_the_issue_s_providers_are_all_there() -> None:
    wanted = (
        "openai anthropic azure bedrock vertex gemini openrouter groq mistral deepseek xai together "
        "fireworks cerebras perplexity cohere huggingface zai moonshot voyage nvidia vercel ollama "
        "lmstudio vllm sim"
    )
    assert set(wanted.split()) <= set(REGISTRY.providers)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.provider}:{e.method}{e.path}")
def test_documented_path(example: Example) -> None:
    provider = REGISTRY.providers[example.provider]
    endpoint = REGISTRY.endpoint(provider, example.method, example.path)
    assert (endpoint.operation, endpoint.dialect) == (example.operation, example.dialect)


@by_name
def test_has_examples_and_reads_them_under_its_prefix(provider: Provider) -> None:
    mine = [example for example in EXAMPLES if example.provider == provider.name]
    assert mine
    for example in mine:
        found = REGISTRY.by_prefix(f"/{provider.name}{example.path}?a=b")
        if not example.path.startswith("/openai/deployments/"):
            assert found == (provider, f"{example.path}?a=b")


@by_name
def test_names_are_known_ones(provider: Provider) -> None:
    assert provider.dialect in DIALECTS
    for endpoint in provider.endpoints:
        assert endpoint.dialect in DIALECTS
        assert endpoint.operation in OPERATIONS
        assert endpoint.stream in ("body", "path", "never")
    assert not provider.bare or provider.bare.startswith("/")


def _sample_hosts(provider: Provider) -> Iterator[str]:
    yield from (host for host in provider.hosts if "*" not in host)
    yield from (
        name for name in provider.ca_names if any(hosts.compiled(h).fullmatch(name) for h in provider.hosts)
    )
    yield from (host.replace("*", "res-1") for host in provider.hosts if host.startswith("*."))


@by_name
def test_hosts_lead_back_and_are_covered(provider: Provider) -> None:
    for host in _sample_hosts(provider):
        name, _, port = host.partition(":")
        assert REGISTRY.by_host(name, int(port) if port else None) is provider
        if not port:
            assert REGISTRY.by_host(f"{name.upper()}.") is provider
            assert REGISTRY.covered(name)


def test_a_root_never_covers_a_whole_cloud() -> None:
    names = REGISTRY.ca_names()
    assert len(names) == len(set(names)) > 100
    for foreign in (
        "s3.us-east-1.amazonaws.com", "bedrock.us-east-1.amazonaws.com", "sts.amazonaws.com", "api.aws",
        "storage.googleapis.com", "accounts.google.com", "oauth2.googleapis.com", "login.microsoftonline.com",
        "blob.core.windows.net", "management.azure.com", "chatgpt.com", "github.com", "huggingface.co",
        "example.com", "localhost",
    ):  # fmt: skip
        assert not REGISTRY.covered(foreign), foreign
        assert REGISTRY.by_host(foreign) is None


def _outgoing(provider: Provider, headers: list[tuple[str, str]], query: str = "") -> Outgoing:
    host = provider.hosts[0].replace("*", "us-east-1") if provider.hosts else "127.0.0.1"
    path = "/v1/anything" + query
    return Outgoing("POST", "https", host, 443, path, [("Host", host), *headers], b"{}")


def _wire(request: Outgoing) -> str:
    return "\n".join([request.path, *(f"{k}: {v}" for k, v in request.headers)])


@by_name
@pytest.mark.parametrize("sent", [[], *[[h] for h in CLIENT_CREDENTIALS], CLIENT_CREDENTIALS], ids=str)
def test_credential_replaces_whatever_the_client_sent(
    provider: Provider, sent: list[tuple[str, str]]
) -> None:
    request = _outgoing(provider, [("Accept", "a"), *sent, ("X-Other", "o")], f"?key={TOKEN}&x=1")
    ours = presented({k.lower(): v for k, v in request.headers}, f"key={TOKEN}&x=1")
    provider.credential(request, SecretStr(SECRET), 1_800_000_000.0)
    remove(request, *ours)
    wire = _wire(request)
    assert wire.count(SECRET) == 1
    assert TOKEN not in wire
    assert request.path == "/v1/anything?x=1"
    assert [h for h in request.headers if h[0] in ("Host", "Accept", "X-Other")] == [
        ("Host", request.host), ("Accept", "a"), ("X-Other", "o"),
    ]  # fmt: skip
    assert request.body == b"{}"
    assert SECRET not in "".join(request.changes)


@by_name
def test_credential_keeps_position_and_spelling(provider: Provider) -> None:
    bare = _outgoing(provider, [])
    provider.credential(bare, SecretStr(SECRET), 1_800_000_000.0)
    header = next(name for name, value in bare.headers if SECRET in value)
    assert bare.changes == [f"credential added: {header}"]
    request = _outgoing(provider, [("Accept", "a"), (header.upper(), TOKEN), ("X-Other", "o")])
    provider.credential(request, SecretStr(SECRET), 1_800_000_000.0)
    assert [name for name, _ in request.headers] == ["Host", "Accept", header.upper(), "X-Other"]
    assert request.changes == []


@by_name
def test_upstream(provider: Provider) -> None:
    own = REGISTRY.upstream(provider, None, "/v1/x", {})
    assert own is None if provider.base_url is None else own is not None and own[3] == ""
    assert REGISTRY.upstream(provider, "api.example", "/v1/x", {}) == ("https", "api.example", 443, "")
    relay = REGISTRY.upstream(provider, "api.example", "/v1/x", {}, "http://relay.corp:81/llm/v1/")
    assert relay == ("http", "relay.corp", 81, "/llm")


def test_unknown_paths_are_other_and_never_none() -> None:
    provider = REGISTRY.providers["openai"]
    for method, path in (
        ("POST", "/"),
        ("PURGE", "/v1/chat/completions"),
        ("GET", ""),
        ("POST", "/v1/chat/\ncompletions"),
    ):
        endpoint: Endpoint = REGISTRY.endpoint(provider, method, path)
        assert (endpoint.operation, endpoint.dialect) == ("other", "observe")
        assert re.fullmatch(endpoint.path, path)
