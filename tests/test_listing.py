"""Which lists of models are answered here, and what they have: all that can be called, nothing else."""

from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from llm_intercept.entry import Arrival, Entry
from llm_intercept.errors import Refusal, Reply
from llm_intercept.exchange import Exchange, Principal
from llm_intercept.listing import Listing
from llm_intercept.policy.facts import Facts
from llm_intercept.policy.models import ModelMap
from llm_intercept.providers import Registry
from llm_intercept.resources import model_catalogue
from llm_intercept.settings import LimitsSettings, ModelsSettings

REGISTRY = Registry({})
FACTS = Facts(REGISTRY.providers, model_catalogue)
ENTRY = Entry(REGISTRY, LimitsSettings(), lambda: (1, "id"))
TOKEN = Principal("demo", "laptop", token_id="t1")
OWN_KEY = Principal("default", "own:1234", own_key=True)
GUEST = Principal("demo", "laptop", token_id="t1", own_key=True)
ALIASES = {"aliases": {"best": "openai/gpt-5", "here": "ollama/qwen3", "lost": "xai/grok-4"}}
TIERS = {"tiers": {"big": {"model": "openai/gpt-5"}}}


@dataclass
class Keys:
    names: tuple[str, ...]

    def keyed(self) -> tuple[str, ...]:
        return self.names


def exchange(path: str, who: Principal, headers: dict[str, str], method: str = "GET") -> Exchange:
    arrival = Arrival("base_url", method, "127.0.0.1", 8080, path, headers, "")
    found = ENTRY.identify(arrival, 0.0)
    assert found is not None
    found.principal = who
    return found


def listing(settings: dict[str, Any], *keys: str) -> Listing:
    models = ModelMap(ModelsSettings.model_validate(settings), REGISTRY.providers, FACTS.known)
    return Listing(REGISTRY.providers, models, FACTS, Keys(keys))


def answer(
    settings: dict[str, Any],
    *keys: str,
    path: str = "/v1/models",
    who: Principal = TOKEN,
    headers: dict[str, str] | None = None,
    method: str = "GET",
) -> Any:
    found = listing(settings, *keys).answer(exchange(path, who, headers or {}, method))
    return orjson.loads(found.body) if isinstance(found, Reply) else found


def ids(document: Any) -> list[str]:
    return [m["id"] for m in document["data"]]


@pytest.mark.parametrize(
    ("settings", "keys", "path", "who"),
    [
        ({}, ("openai",), "/v1/models", TOKEN),
        ({}, (), "/v1/models", OWN_KEY),
        ({}, (), "/v1/models", GUEST),
        ({"aliases": {"gpt-*": "openai/gpt-5"}}, ("openai",), "/v1/models", TOKEN),  # a glob is no name
        (ALIASES, ("openai",), "/lmstudio/v1/models", TOKEN),
        (ALIASES, ("openai",), "/sim/v1/models", TOKEN),
        (ALIASES, ("openai",), "/api/tags", TOKEN),
        (ALIASES, ("openai",), "/cohere/v1/models", TOKEN),
        (ALIASES, ("openai",), "/v1/files", TOKEN),
        (ALIASES, ("openai",), "/v1/publishers/google/models", TOKEN),
    ],
)
def test_the_provider_is_asked(settings: dict[str, Any], keys: tuple[str, ...], path: str, who: Principal):
    assert answer(settings, *keys, path=path, who=who) is None


def test_nothing_is_deleted_here():
    assert answer(ALIASES, "openai", path="/v1/models/ft:mine", method="DELETE") is None


def test_a_token_without_a_key_of_the_provider_sees_the_others():
    found = ids(answer({}, "anthropic", "mistral"))
    assert "anthropic/claude-sonnet-5" in found
    assert "mistral/codestral-latest" in found
    assert not [name for name in found if "gpt" in name]
    assert answer({}) == {"object": "list", "data": []}


def test_aliases_tiers_and_own_models():
    found = ids(answer({**ALIASES, **TIERS}, "openai"))
    assert {"best", "here", "opus", "sonnet", "gpt-4o"} <= set(found)
    assert not {"lost", "haiku", "openai/gpt-4o", "grok-4"} & set(found)
    assert len(found) == len(set(found))


def test_a_tier_without_a_model_is_no_name():
    assert "opus" not in ids(answer({**ALIASES, "tiers": {"big": {"effort": "high"}}}, "openai"))


def test_anthropic_s_shape_has_claude_s_names_even_without_its_key():
    found = answer(TIERS, "openai", headers={"anthropic-version": "2023-06-01"}, path="/v1/models?limit=1000")
    names = ids(found)
    assert {"claude-opus-4-8", "claude-sonnet-5", "openai/gpt-4o"} <= set(names)
    assert "claude-haiku-4-5" not in names, "the small tier leads nowhere, and no key is stored"
    first = found["data"][0]
    assert (first["type"], first["lifecycle"], first["max_input_tokens"]) == ("model", "active", 400_000)


def test_gemini_s_shape_has_no_slashes():
    found = answer(ALIASES, "openai", "gemini", path="/v1beta/models?pageSize=1000")
    names = [m["name"] for m in found["models"]]
    assert {"models/best", "models/gemini-2.5-flash"} <= set(names)
    assert all(name.count("/") == 1 for name in names)
    compatible = answer(ALIASES, "openai", "gemini", path="/v1beta/openai/models")
    assert "openai/gpt-4o" in ids(compatible)


def test_a_client_with_a_key_of_its_own():
    """It calls the provider itself; what takes a stored key is not for it."""
    settings = {"aliases": {"fast": "gpt-4o-mini", **ALIASES["aliases"]}}
    found = ids(answer(settings, "openai", "anthropic", who=OWN_KEY))
    assert {"fast", "best", "here", "gpt-4o"} <= set(found)
    other = ids(
        answer(settings, "openai", who=OWN_KEY, path="/v1/models?limit=1000", headers={"x-api-key": "k"})
    )
    assert "claude-sonnet-5" in other
    assert not {"best", "openai/gpt-4o"} & set(other)


def test_models_of_a_router_are_its_own():
    """`openai/gpt-4o` means OpenRouter's there."""
    found = ids(answer(ALIASES, "openrouter", "openai", path="/openrouter/v1/models"))
    assert "anthropic/claude-sonnet-5" in found
    more = ids(answer(ALIASES, "openrouter", "openai", "mistral", path="/openrouter/v1/models"))
    assert more == found, "`mistral/...` is no name of ours there"


def test_projects_have_lists_of_their_own():
    settings = {"projects": {"demo": ALIASES}}
    assert "best" in ids(answer(settings, "openai"))
    assert answer(settings, "openai", who=Principal("else", "t", token_id="t2")) is None


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("best", "openai"),
        ("anthropic/claude-sonnet-5", "anthropic"),
        ("gpt-4o", "openai"),
    ],
)
def test_single_models(name: str, owner: str):
    assert answer(ALIASES, "openai", "anthropic", path=f"/v1/models/{name}")["owned_by"] == owner


def test_a_glob_can_be_asked_for_by_any_name_it_matches():
    settings = {"aliases": {"claude-*": "openai/gpt-5", "best": "openai/gpt-5"}}
    assert answer(settings, "openai", path="/v1/models/claude-anything")["owned_by"] == "openai"


def test_single_models_that_are_not_known():
    assert answer(ALIASES, "openai", path="/v1/models/ft:mine") is None, "the provider may know"
    refused = answer(ALIASES, "anthropic", path="/v1/models/gpt-4o")
    assert isinstance(refused, Refusal)
    assert (refused.kind, refused.code) == ("not_found", "model_not_found")
    unknown = answer({**ALIASES, "unknown": "refuse"}, "anthropic", path="/v1/models/gpt-none")
    assert isinstance(unknown, Refusal)
