import re
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.providers import Registry, catalogue
from llm_intercept.settings import ProviderSettings

CHAT = "/v1/chat/completions"


def registry(**providers: dict[str, Any]) -> Registry:
    return Registry({name: ProviderSettings.model_validate(given) for name, given in providers.items()})


def test_a_new_provider_takes_a_few_lines() -> None:
    found = registry(
        corp={"dialect": "openai", "base_url": "https://llm.corp.example/v1", "key_env": "CORP_KEY"}
    )
    provider = found.by_host("llm.corp.example")
    assert provider is not None
    assert (provider.name, provider.title, provider.env, provider.dialect) == (
        "corp",
        "corp",
        "CORP_KEY",
        "openai_chat",
    )
    assert found.endpoint(provider, "POST", CHAT).operation == "chat"
    assert found.covered("llm.corp.example")
    assert found.upstream(provider, None, CHAT, {}) == ("https", "llm.corp.example", 443, "")
    assert found.by_prefix(f"/corp{CHAT}") == (provider, CHAT)
    assert found.by_prefix("/corp/chat/completions") == (provider, "/chat/completions")
    assert found.upstream(provider, None, "/chat/completions", {}) == (
        "https",
        "llm.corp.example",
        443,
        "/v1",
    )


def test_a_new_provider_behind_a_path() -> None:
    found = registry(corp={"dialect": "openai", "base_url": "https://corp.example/ai/llm"})
    provider = found.providers["corp"]
    assert found.endpoint(provider, "POST", f"/ai/llm{CHAT}").operation == "chat"
    assert found.upstream(provider, "corp.example", f"/ai/llm{CHAT}", {}) == (
        "https",
        "corp.example",
        443,
        "",
    )
    assert found.upstream(provider, None, CHAT, {}) == ("https", "corp.example", 443, "/ai/llm")


def test_a_new_anthropic_compatible_provider() -> None:
    found = registry(
        claude={"dialect": "anthropic", "base_url": "http://10.0.0.5:9000", "key_optional": True}
    )
    provider = found.by_host("10.0.0.5", 9000)
    assert provider is not None
    assert provider.key_optional
    assert found.endpoint(provider, "POST", "/v1/messages?beta=true").dialect == "anthropic"
    assert found.upstream(provider, None, "/v1/messages", {}) == ("http", "10.0.0.5", 9000, "")
    assert not found.covered("10.0.0.5")


def test_a_built_in_provider_is_led_elsewhere() -> None:
    found = registry(openai={"base_url": "https://relay.corp.example/openai", "title": "Relay"})
    provider = found.by_host("api.openai.com")
    assert provider is not None
    assert found.by_host("relay.corp.example") is None, "one relay may stand in for several providers"
    assert (provider.title, provider.env) == ("Relay", "OPENAI_API_KEY")
    for host in ("api.openai.com", None):
        assert found.upstream(provider, host, CHAT, {}) == ("https", "relay.corp.example", 443, "/openai")
    assert found.endpoint(provider, "POST", f"/openai{CHAT}").operation == "chat"
    assert found.covered("api.openai.com")


def test_further_hosts_of_a_cloud() -> None:
    found = registry(bedrock={"hosts": ["bedrock-runtime.xx-new-1.amazonaws.com"]})
    assert found.covered("bedrock-runtime.xx-new-1.amazonaws.com")
    assert not Registry({}).covered("bedrock-runtime.xx-new-1.amazonaws.com")
    assert not found.covered("s3.xx-new-1.amazonaws.com")


def test_a_host_pattern() -> None:
    found = registry(
        corp={"dialect": "openai", "base_url": "https://a.llm.example", "hosts": ["*.llm.example"]}
    )
    assert found.by_host("b.llm.example") is found.providers["corp"]
    assert "llm.example" in found.ca_names()


@pytest.mark.parametrize(
    ("providers", "words"),
    [
        ({"corp": {"base_url": "https://x.example"}}, "corp .* needs dialect "),
        ({"corp": {"dialect": "openai"}}, "corp .* needs base_url "),
        ({"corp": {}}, "needs dialect and base_url"),
        ({"opnai": {"key_env": "X"}}, "opnai is no built-in provider"),
        ({"Corp": {"dialect": "openai", "base_url": "https://x.example"}}, "lower-case"),
        ({"v1": {"dialect": "openai", "base_url": "https://x.example"}}, "API path"),
        ({"health": {"dialect": "openai", "base_url": "https://x.example"}}, "API path"),
        ({"corp": {"dialect": "openai", "base_url": "x.example"}}, "'x.example' is no base URL"),
        ({"corp": {"dialect": "openai", "base_url": "https://x.example:port"}}, "no base URL"),
        ({"corp": {"dialect": "openai", "base_url": "https://u:p@x.example"}}, "no base URL"),
        ({"openai": {"base_url": "ftp://x.example"}}, "no base URL for openai"),
        ({"openai": {"dialect": "anthropic"}}, "cannot be changed"),
        ({"openai": {"hosts": ["https://x.example/v1"]}}, "is not a host name"),
        ({"openai": {"hosts": ["*.example"]}}, "whole top-level domain"),
        (
            {"openai": {"hosts": ["api.anthropic.com"]}},
            "belongs to the providers anthropic and openai|openai and anthropic",
        ),
        (
            {"corp": {"dialect": "openai", "base_url": "https://x.openai.azure.com"}},
            "also matches a host pattern of azure",
        ),
        (
            {
                "a": {"dialect": "openai", "base_url": "https://x.example"},
                "b": {"dialect": "openai", "base_url": "https://x.example"},
            },
            "host 'x.example' belongs to the providers a and b",
        ),
    ],
)
def test_mistakes_are_named(providers: dict[str, dict[str, Any]], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        registry(**providers)
    assert re.search(words, str(error.value))


def test_a_password_in_a_base_url_is_not_quoted() -> None:
    with pytest.raises(ConfigError) as error:
        registry(openai={"base_url": "https://user:geheim@x.example"})
    assert "geheim" not in str(error.value)


def test_providers_of_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_llm.py").write_text(
        "from dataclasses import replace\n"
        "from llm_intercept.providers.openai import PROVIDER as openai\n"
        "PROVIDER = replace(openai, name='acme', hosts=('api.acme.example',), ca_names=())\n"
    )
    info = tmp_path / "acme_llm-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-llm\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{catalogue.ENTRY_POINTS}]\nacme = acme_llm:PROVIDER\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = Registry({})
    assert found.by_host("api.acme.example") is found.providers["acme"]
    assert found.covered("api.acme.example")
