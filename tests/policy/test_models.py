import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.policy.models import ModelMap, Resolution
from llm_intercept.providers import Registry
from llm_intercept.settings import ModelsSettings, Settings
from llm_intercept.wire.ir import Reasoning

PROVIDERS = Registry({}).providers
KNOWN = {
    "gpt-5", "gpt-4o", "gpt-4o-mini", "o3", "claude-opus-4-8", "claude-sonnet-5", "gemini-2.5-flash",
    "qwen2.5:72b", "deepseek-r1:free", "deepseek-r1", "anthropic.claude-3-sonnet-20240229-v1:0:200k",
    "odd:high", "openai/gpt-5",
}  # fmt: skip
HIGH = Reasoning(enabled=True, effort="high")


def budget(tokens: int) -> Reasoning:
    return Reasoning(enabled=True, budget=tokens)


def mapping(**settings: Any) -> ModelMap:
    return ModelMap(ModelsSettings.model_validate(settings), PROVIDERS, KNOWN.__contains__)


def resolve(
    model: str, called: str = "anthropic", explicit: bool = True, project: str = "p", **settings: Any
) -> Resolution:
    return mapping(**settings).resolve(model, project, called, explicit)


@pytest.mark.parametrize(
    ("model", "expected", "reasoning"),
    [
        ("gpt-5", "gpt-5", None),
        ("gpt-5:high", "gpt-5", HIGH),
        ("gpt-5:HIGH", "gpt-5", HIGH),
        ("o3:xhigh", "o3", Reasoning(enabled=True, effort="xhigh")),
        ("gpt-5:none", "gpt-5", Reasoning(enabled=False, effort="none")),
        ("gpt-5:50000", "gpt-5", budget(50_000)),
        ("gpt-5:350k", "gpt-5", budget(358_400)),
        ("claude-opus-4-8:8k", "claude-opus-4-8", budget(8_192)),
        ("gemini-2.5-flash:16k", "gemini-2.5-flash", budget(16_384)),
        ("gemini-2.5-flash:0", "gemini-2.5-flash", Reasoning(enabled=False)),
        ("never-heard-of:low", "never-heard-of", Reasoning(enabled=True, effort="low")),
        ("qwen2.5:72b", "qwen2.5:72b", None),
        ("llama3:8b", "llama3:8b", None),
        ("deepseek-r1:free", "deepseek-r1:free", None),
        ("unknown:free", "unknown:free", None),
        ("deepseek-r1:free:high", "deepseek-r1:free", HIGH),
        ("qwen2.5:72b:8k", "qwen2.5:72b", budget(8_192)),
        ("odd:high", "odd:high", None),
        ("gpt-5:thinking", "gpt-5:thinking", None),
        ("us.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0", None),
        ("amazon.nova-lite-v1:0:24k", "amazon.nova-lite-v1:0:24k", None),
        ("us.anthropic.claude-sonnet-4-v1:0:high", "us.anthropic.claude-sonnet-4-v1:0", HIGH),
        ("ft:gpt-4o:acme::77", "ft:gpt-4o:acme::77", None),
        ("arn:aws:bedrock:us-east-1:1:x:8000", "arn:aws:bedrock:us-east-1:1:x:8000", None),
        (":high", ":high", None),
        ("", "", None),
    ],
)  # fmt: skip
def test_a_suffix_is_reasoning_only_if_it_can_be_nothing_else(
    model: str, expected: str, reasoning: Reasoning | None
) -> None:
    found = resolve(model, "openai")
    assert (found.model, found.reasoning, found.refusal) == (expected, reasoning, None)
    assert found.asked == (reasoning is not None)
    assert found.provider is None


@pytest.mark.parametrize("model", ["gpt-5:hihg", "claude-opus-4-8:hgh", "o3:8m", "openai/gpt-5:enormous"])
def test_a_misspelt_level_is_refused(model: str) -> None:
    found = resolve(model, "openai", explicit=False)
    assert found.refusal is not None
    assert (found.refusal.status, found.refusal.code) == (400, "reasoning_suffix")
    assert "high" in found.refusal.message


@pytest.mark.parametrize(
    ("model", "called"),
    [
        ("gpt-5:hihg", "openrouter"), ("gpt-5:hihg", "ollama"), ("openrouter/openai/gpt-5:hihg", "openai"),
        ("mystery:hihg", "openai"), ("gpt-4o:hihg", "openai"), ("gpt-5:free", "openai"),
    ],
)  # fmt: skip
def test_where_tags_are_possible_nothing_is_refused(model: str, called: str) -> None:
    assert resolve(model, called).refusal is None


@pytest.mark.parametrize(
    ("model", "called", "explicit", "provider", "expected"),
    [
        ("openai/gpt-5", "anthropic", True, "openai", "gpt-5"),
        ("openai/gpt-5:high", "anthropic", False, "openai", "gpt-5"),
        ("openai/gpt-5:high", "openrouter", True, None, "openai/gpt-5"),
        ("openai/gpt-oss-20b", "groq", True, None, "openai/gpt-oss-20b"),
        ("openai/gpt-oss-20b", "vllm", True, None, "openai/gpt-oss-20b"),
        ("groq/openai/gpt-oss-20b", "openai", False, "groq", "openai/gpt-oss-20b"),
        ("openrouter/anthropic/claude-opus-4", "anthropic", True, "openrouter", "anthropic/claude-opus-4"),
        ("openai/gpt-5", "openrouter", False, "openai", "gpt-5"),
        ("ollama/qwen2.5:72b", "anthropic", True, "ollama", "qwen2.5:72b"),
        ("meta-llama/llama-3", "openai", True, None, "meta-llama/llama-3"),
        ("openai/", "anthropic", True, None, "openai/"),
        ("/x", "anthropic", True, None, "/x"),
        ("sim/echo", "anthropic", True, "sim", "sim/echo"),
        ("sim/echo:high", "openrouter", True, "sim", "sim/echo"),
        ("openai/gpt-5", "sim", True, None, "openai/gpt-5"),
    ],
)  # fmt: skip
def test_a_provider_before_the_model(
    model: str, called: str, explicit: bool, provider: str | None, expected: str
) -> None:
    found = resolve(model, called, explicit)
    assert (found.provider, found.model) == (provider, expected)


ALIASES = {
    "fast": "openai/gpt-4o-mini",
    "thinker": "openai/gpt-5:high",
    "best": "thinker",
    "own": "own:low",
    "gpt-*": "gpt-4o",
    "gpt-4*-mini": "groq/openai/gpt-oss-20b",
    "claude-[12]*": "claude-sonnet-5",
    "openai/o*": "openrouter/openai/o3",
    "qwen2.5:72b": "ollama/qwen2.5:72b",
    "gpt-6": "thinker",
}


@pytest.mark.parametrize(
    ("model", "provider", "expected", "alias", "reasoning"),
    [
        ("fast", "openai", "gpt-4o-mini", "fast", None),
        ("fast:high", "openai", "gpt-4o-mini", "fast", HIGH),
        ("thinker", "openai", "gpt-5", "thinker", HIGH),
        ("thinker:8k", "openai", "gpt-5", "thinker", budget(8192)),
        ("best", "openai", "gpt-5", "best", HIGH),
        ("own", None, "own", "own", Reasoning(enabled=True, effort="low")),
        ("gpt-3.5-turbo", None, "gpt-4o", "gpt-*", None),
        ("gpt-4o", None, "gpt-4o", "gpt-*", None),
        ("gpt-4.1-mini", "groq", "openai/gpt-oss-20b", "gpt-4*-mini", None),
        ("gpt-6", "openai", "gpt-5", "gpt-6", HIGH),
        ("claude-2.1", None, "claude-sonnet-5", "claude-[12]*", None),
        ("claude-3", None, "claude-3", "", None),
        ("openai/o1", "openrouter", "openai/o3", "openai/o*", None),
        ("qwen2.5:72b", "ollama", "qwen2.5:72b", "qwen2.5:72b", None),
        ("FAST", None, "FAST", "", None),
    ],
)  # fmt: skip
def test_aliases(
    model: str, provider: str | None, expected: str, alias: str, reasoning: Reasoning | None
) -> None:
    found = resolve(model, "openrouter", aliases=ALIASES)
    assert (found.provider, found.model, found.alias) == (provider, expected, alias)
    assert found.reasoning == reasoning


@pytest.mark.parametrize(
    "aliases",
    [{"a": "b", "b": "a"}, {"a": "b:high", "b": "c", "c": "b"}, {"a": "b", "b": "c:8k", "c": "a"}],
)
def test_aliases_in_a_loop_are_refused_at_once(aliases: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="is a loop"):
        mapping(aliases=aliases)


TIERS = {
    "big": {"model": "openai/gpt-5:high"},
    "middle": {"model": "best"},
    "small": {"model": "qwen2.5:72b", "provider": "ollama", "effort": "low"},
}


@pytest.mark.parametrize(
    ("model", "tier", "provider", "expected"),
    [
        ("claude-opus-4-8", "big", "openai", "gpt-5"),
        ("claude-3-opus-20240229", "big", "openai", "gpt-5"),
        ("anthropic/claude-opus-4.8", "", "anthropic", "claude-opus-4.8"),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "big", "openai", "gpt-5"),
        ("claude-opus-4@20250514", "big", "openai", "gpt-5"),
        ("claude-3-5-sonnet-latest", "middle", "deepseek", "deepseek-chat"),
        ("claude-sonnet-4-5-20250929", "middle", "deepseek", "deepseek-chat"),
        ("claude-haiku-4-5-20251001", "small", "ollama", "qwen2.5:72b"),
        ("claude-instant-1.2", "small", "ollama", "qwen2.5:72b"),
        ("haiku", "small", "ollama", "qwen2.5:72b"),
        ("claude-fable-5", "middle", "deepseek", "deepseek-chat"),
        ("claude-2.1", "middle", "deepseek", "deepseek-chat"),
        ("gpt-4o", "", None, "gpt-4o"),
        ("my-claude-opus", "", None, "my-claude-opus"),
        ("claudette-opus", "", None, "claudette-opus"),
    ],
)
def test_tiers_by_claude_family(model: str, tier: str, provider: str | None, expected: str) -> None:
    found = resolve(model, tiers=TIERS, aliases={"best": "deepseek/deepseek-chat"})
    assert (found.tier, found.provider, found.model) == (tier, provider, expected)


def test_without_tiers_claude_stays_claude() -> None:
    found = resolve("claude-opus-4-8")
    assert found == Resolution(None, "claude-opus-4-8")


def test_an_alias_can_lead_to_a_tier() -> None:
    found = resolve("clever", tiers=TIERS, aliases={"clever": "claude-opus-4-8"})
    assert (found.alias, found.tier, found.provider, found.model) == ("clever", "big", "openai", "gpt-5")


@pytest.mark.parametrize(
    ("tiers", "model", "expected"),
    [
        ({"big": {"model": "gpt-4o"}}, "claude-sonnet-5", "gpt-4o"),
        ({"big": {"model": "gpt-4o"}}, "claude-haiku-4-5", "claude-haiku-4-5"),
        ({"small": {"model": "gpt-4o"}}, "claude-sonnet-5", "claude-sonnet-5"),
        ({"big": {"model": "gpt-4o"}, "middle": {"effort": "low"}}, "claude-sonnet-5", "gpt-4o"),
        ({"small": {"model": "gpt-4o"}, "other": "small"}, "claude-fable-5", "gpt-4o"),
        ({"middle": {"model": "gpt-4o"}, "other": "none"}, "claude-fable-5", "claude-fable-5"),
        ({"big": {"effort": "low"}}, "claude-opus-4-8", "claude-opus-4-8"),
        ({"big": {"provider": "bedrock"}}, "claude-opus-4-8", "claude-opus-4-8"),
    ],
)
def test_tiers_that_are_not_all_there(tiers: dict[str, Any], model: str, expected: str) -> None:
    assert resolve(model, tiers=tiers).model == expected


def test_a_tier_s_own_provider_takes_its_model_as_it_stands() -> None:
    tiers = {"big": {"model": "openai/gpt-5:8k", "provider": "openrouter"}}
    found = resolve("claude-opus-4-8", tiers=tiers)
    assert (found.provider, found.model, found.reasoning) == ("openrouter", "openai/gpt-5", budget(8192))
    with pytest.raises(ConfigError, match=r"models\.tiers\.big\.provider: there is no provider 'nowhere'"):
        mapping(tiers={"big": {"model": "x", "provider": "nowhere"}})


@pytest.mark.parametrize(
    ("model", "tiers_effort", "project", "expected"),
    [
        ("claude-opus-4-8", {"effort": "high"}, {}, "high"),
        ("claude-opus-4-8:max", {"effort": "high"}, {}, "max"),
        ("claude-opus-4-8", {}, {}, "low"),
        ("claude-opus-4-8", {"effort": "high"}, {"effort": "minimal"}, "minimal"),
        ("claude-opus-4-8", {"effort": "high"}, {"tiers": {"big": {"effort": "medium"}}}, "medium"),
        ("gpt-4o", {"effort": "high"}, {}, "low"),
    ],
)
def test_the_more_specific_level_of_reasoning_wins(
    model: str, tiers_effort: dict[str, str], project: dict[str, Any], expected: str
) -> None:
    found = resolve(model, effort="low", tiers={"big": tiers_effort}, projects={"p": project})
    assert found.reasoning is not None
    assert found.reasoning.effort == expected


def test_effort_and_budget_of_two_levels_do_not_mix() -> None:
    found = resolve("m", effort="low", projects={"p": {"budget": 2048}})
    assert found.reasoning == budget(2048)


@pytest.mark.parametrize(
    ("model", "asked"),
    [("claude-opus-4-8", False), ("claude-opus-4-8:low", True), ("thinker", False), ("thinker:low", True)],
)
def test_only_a_client_s_own_word_counts_as_asked(model: str, asked: bool) -> None:
    found = resolve(model, tiers=TIERS, aliases={"best": "a", "thinker": "openai/gpt-5:high"})
    assert found.reasoning is not None
    assert (found.asked, found.reasoning.effort) == (asked, "low" if asked else "high")


PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def test_the_example_of_the_docs() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    settings = Settings.model_validate(tomllib.loads(example))
    settings.models.tiers.small.system_file = ""
    models = ModelMap(settings.models, Registry(settings.providers).providers, KNOWN.__contains__)
    found = {name: models.resolve(name, "p", "anthropic", False) for name in ("fast", "haiku", "gpt-3.5-x")}
    assert [(r.provider, r.model) for r in found.values()] == [
        ("groq", "openai/gpt-oss-20b"), ("house", "Qwen/Qwen3-32B"), ("openai", "gpt-5-mini"),
    ]  # fmt: skip
    assert models.resolve("gpt-99", "research", "openai", True).refusal is not None
    assert models.resolve("fast", "research", "openai", True).model == "gpt-5-mini"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"exclude": True}, Reasoning(visible=False)),
        ({"exclude": True, "effort": "high"}, Reasoning(enabled=True, effort="high", visible=False)),
        ({"exclude": False}, Reasoning(visible=True)),
        ({}, None),
    ],
)
def test_exclude(given: dict[str, Any], expected: Reasoning | None) -> None:
    assert resolve("m", **given).reasoning == expected


def test_headers_and_prompts_of_several_levels() -> None:
    found = resolve(
        "claude-haiku-4-5",
        headers={"X-Team": "all", "X-Title": "t"},
        system="for all",
        tiers={"small": {"headers": {"x-team": "small"}, "verbosity": "low"}},
        projects={"p": {"system": "for p", "system_mode": "prepend"}},
    )
    assert dict(found.control.headers) == {"x-team": "small", "X-Title": "t"}
    assert (found.control.system, found.control.system_mode) == ("for p", "prepend")
    assert found.control.verbosity == "low"
    assert found.control.deep
    assert not resolve("m").control.deep


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        ({"aliases": {"fast": "groq/x"}}, ("groq", "x")),
        ({"aliases": {"*": "groq/y"}}, ("groq", "y")),
        ({"aliases": {"slow": "groq/x"}}, ("openai", "gpt-4o-mini")),
        ({}, ("openai", "gpt-4o-mini")),
    ],
)
def test_a_project_s_aliases_go_first(project: dict[str, Any], expected: tuple[str, str]) -> None:
    models = mapping(aliases={"fast": "openai/gpt-4o-mini"}, projects={"p": project})
    found = models.resolve("fast", "p", "anthropic", True)
    assert (found.provider, found.model) == expected
    other = models.resolve("fast", "other", "anthropic", True)
    assert (other.provider, other.model) == ("openai", "gpt-4o-mini")
    assert models.names("other") == {"fast": "openai/gpt-4o-mini"}


@pytest.mark.parametrize(
    ("model", "called", "expected"),
    [
        ("gpt-5", "openai", "gpt-5"),
        ("openai/gpt-5", "anthropic", "gpt-5"),
        ("fast", "openai", "gpt-4o-mini"),
        ("claude-opus-4-8", "anthropic", "from-tier"),
        ("anything", "ollama", "anything"),
        ("gpt-99", "openai", None),
        ("openai/gpt-99", "anthropic", None),
        ("gpt-99:high", "openai", None),
    ],
)
@pytest.mark.parametrize("policy", ["refuse", "default", "pass"])
def test_unknown_models(model: str, called: str, expected: str | None, policy: str) -> None:
    found = resolve(
        model,
        called,
        unknown="refuse" if policy == "pass" else "pass",
        default="openai/gpt-4o",
        aliases={"fast": "gpt-4o-mini"},
        tiers={"big": {"model": "from-tier"}},
        projects={"p": {"unknown": policy}},
    )
    if expected is not None:
        assert (found.model, found.refusal, found.warnings) == (expected, None, ())
    elif policy == "refuse":
        assert found.refusal is not None
        assert (found.refusal.status, found.refusal.code) == (404, "model_unknown")
    elif policy == "default":
        assert (found.provider, found.model, found.alias) == ("openai", "gpt-4o", "default")
        assert found.warnings == ("model: gpt-99 is not known, gpt-4o is used",)
    else:
        assert found.model == "gpt-99"


def test_a_default_needs_a_model() -> None:
    with pytest.raises(ConfigError, match=r"models\.default must name a model"):
        mapping(unknown="default")


def test_answers_are_remembered_and_bounded() -> None:
    models = mapping()
    first = models.resolve("m:high", "p", "openai", True)
    assert models.resolve("m:high", "p", "openai", True) is first
    for number in range(5000):
        models.resolve(f"m{number}", "p", "openai", True)
    assert len(models._memory) <= 4096


class TestRows:
    """Aliases that are set by commands, beside those of the settings."""

    @staticmethod
    def models(rows: dict[str, dict[str, str]], **settings: object) -> ModelMap:
        found = ModelsSettings.model_validate(settings)
        return ModelMap(found, PROVIDERS, KNOWN.__contains__, lambda: rows)

    def test_they_go_before_the_settings(self) -> None:
        models = self.models(
            {"": {"fast": "openai/gpt-5"}}, aliases={"fast": "openai/o3", "slow": "openai/o3"}
        )
        assert models.resolve("fast", "demo", "anthropic", False).model == "gpt-5"
        assert models.resolve("slow", "demo", "anthropic", False).model == "o3"
        assert dict(models.names("demo")) == {"fast": "openai/gpt-5", "slow": "openai/o3"}

    def test_a_projects_own_go_before_all(self) -> None:
        models = self.models({"": {"fast": "openai/gpt-5"}, "demo": {"fast": "openai/o3"}})
        assert models.resolve("fast", "demo", "anthropic", False).model == "o3"
        assert models.resolve("fast", "other", "anthropic", False).model == "gpt-5"

    def test_a_change_counts_for_the_next_call(self) -> None:
        known = [{"": {"fast": "openai/gpt-5"}}]
        models = ModelMap(ModelsSettings(), PROVIDERS, KNOWN.__contains__, lambda: known[-1])
        assert models.resolve("fast", "demo", "anthropic", False).model == "gpt-5"
        known.append({"": {"fast": "openai/o3"}})
        assert models.resolve("fast", "demo", "anthropic", False).model == "o3"
        known.append({})
        assert models.resolve("fast", "demo", "anthropic", False).model == "fast"

    def test_those_that_make_a_loop_with_newer_settings_are_left_out(self) -> None:
        models = self.models({"": {"fast": "slow"}}, aliases={"slow": "fast"})
        assert models.resolve("slow", "demo", "openai", False).model == "fast"
        with pytest.raises(ConfigError, match="loop"):
            ModelMap.check(ModelsSettings(aliases={"slow": "fast"}), PROVIDERS, {"": {"fast": "slow"}})
