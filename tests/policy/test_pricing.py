from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot

from llm_intercept.policy.pricing import UNPRICED, Priced, Pricing
from llm_intercept.prices import built_in
from llm_intercept.settings import PriceOverride
from llm_intercept.wire.usage import Usage

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)

COUNTERS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "reasoning": "output_reasoning_tokens",
    "audio_input": "input_audio_tokens",
    "audio_output": "output_audio_tokens",
    "audio_cache_read": "cache_audio_read_tokens",
    "image_input": "input_image_tokens",
    "image_output": "output_image_tokens",
    "image_cache_read": "cache_image_read_tokens",
    "web_searches": "web_searches",
}

USAGES: dict[str, Usage] = {
    "plain": Usage(input=1234, output=567),
    "one": Usage(input=1, output=1),
    "cached": Usage(input=10_000, output=500, cache_read=9_000),
    "written": Usage(input=10_000, output=500, cache_read=1_000, cache_write=8_000),
    "written 1h": Usage(input=10_000, output=500, cache_read=1_000, cache_write=8_000, cache_write_1h=3_000),
    "at the tier": Usage(input=200_000, output=500, cache_read=50_000),
    "over 200k": Usage(input=200_001, output=70_000, cache_read=100_000, cache_write=5_000),
    "over 300k": Usage(input=300_000, output=12_345),
    "reasoning": Usage(input=50, output=2_000, reasoning=1_800),
    "audio": Usage(
        input=1_000, output=900, audio_input=700, audio_output=600, cache_read=100, audio_cache_read=60
    ),
    "images": Usage(
        input=1_000, output=5_000, image_input=700, image_output=4_160, cache_read=100, image_cache_read=60
    ),
    "image": Usage(input=20, output=1_290, image_output=1_290),
    "audio, cache unknown": Usage(input=1_000, output=900, audio_input=700, cache_read=100),
    "searched": Usage(input=1_000, output=900, web_searches=3),
    "embedding": Usage(input=77),
    "nothing": Usage(input=0, output=0),
    "part without whole": Usage(output=5, cache_read=5),
    "part over whole": Usage(input=5, output=5, cache_read=50),
    "1h over written": Usage(input=50, output=5, cache_write=5, cache_write_1h=6),
    "negative": Usage(input=-5, output=5),
}

SELLERS = ["openai", "anthropic", "google", "aws", "azure", "mistral", "groq", "deepseek", "x-ai", "cohere"]
MORE_SELLERS = [
    "together",
    "fireworks",
    "cerebras",
    "perplexity",
    "openrouter",
    "voyageai",
    "moonshotai",
    "zai",
]


def library(seller: str, model: str, usage: Usage, context: dict[str, str] | None = None) -> int | None:
    values = {
        theirs: getattr(usage, ours) for ours, theirs in COUNTERS.items() if getattr(usage, ours) is not None
    }
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(**values),
            model,
            provider_id=seller,
            genai_request_timestamp=NOW,
            price_context=context,
        )
    except (LookupError, ValueError):
        return None
    return int((found.total_price * 10**9).to_integral_value(ROUND_HALF_EVEN))


def by_tokens(seller: str, model: str) -> bool:
    """Not charged by the hour, page or character: such costs cannot be known from tokens."""
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(), model, provider_id=seller, genai_request_timestamp=NOW
        )
    except LookupError:  # some families are not found by their own id
        return False
    return any(key.endswith("_mtok") for key in vars(found.model_price))


def models(seller: str) -> list[str]:
    [provider] = [p for p in get_snapshot().providers if p.id == seller]
    return [model.id for model in provider.models]


@pytest.fixture(scope="module")
def pricing() -> Pricing:
    return Pricing([], built_in())


@pytest.mark.parametrize("seller", SELLERS + MORE_SELLERS)
def test_equals_genai_prices_for_every_model(pricing: Pricing, seller: str) -> None:
    """Every fourth usage in turn for each model: all combinations would take minutes."""
    usages = list(USAGES.items())
    for number, model in enumerate(models(seller)):
        chosen = usages[number % 4 :: 4] if len(models(seller)) > 40 else usages
        for name, usage in chosen:
            expected = library(seller, model, usage) if by_tokens(seller, model) else None
            got = pricing.price(seller, model, usage, NOW)
            assert got.cost_nanos == expected, (seller, model, name)
            assert got.priced == (expected is not None)


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
@pytest.mark.parametrize(
    ("seller", "model"),
    [
        ("anthropic", "claude-sonnet-4-5-20250929"),
        ("anthropic", "claude-opus-4-5"),
        ("openai", "gpt-5.2-2025-12-11"),
        ("openai", "gpt-realtime"),
        ("openai", "text-embedding-3-small"),
        ("google", "gemini-2.5-pro"),
        ("google", "gemini-2.5-flash"),
        ("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("perplexity", "sonar-pro"),
    ],
)
def test_equals_genai_prices(pricing: Pricing, seller: str, model: str, usage: Usage) -> None:
    expected = library(seller, model, usage)
    assert pricing.price(seller, model, usage, NOW).cost_nanos == expected


@pytest.mark.parametrize(
    ("tier", "context"),
    [
        ("flex", {"service_tier": "flex"}),
        ("priority", {"service_tier": "priority"}),
        ("default", {"service_tier": "default"}),
        ("batch", {"service_tier": "batch", "processing": "batch"}),
        ("standard", {"service_tier": "standard"}),
    ],
)
@pytest.mark.parametrize("seller", ["openai", "anthropic", "google"])
def test_service_tiers(pricing: Pricing, seller: str, tier: str, context: dict[str, str]) -> None:
    usage = Usage(input=10_000, output=500, cache_read=9_000, service_tier=tier)
    for model in models(seller):
        if by_tokens(seller, model):
            expected = library(seller, model, usage, context)
            assert pricing.price(seller, model, usage, NOW).cost_nanos == expected, (model, tier)


def test_a_tier_makes_a_difference(pricing: Pricing) -> None:
    costs = {
        tier: pricing.price(
            "openai", "gpt-5", Usage(input=1000, output=1000, service_tier=tier), NOW
        ).cost_nanos
        for tier in (None, "flex", "priority")
    }
    assert len(set(costs.values())) == 3


def test_price_changes_within_a_day_are_seen(pricing: Pricing) -> None:
    """DeepSeek's off-peak hours: the same model and day, another hour."""
    usage = Usage(input=1_000_000, output=1_000_000)
    changing = 0
    for model in models("deepseek"):
        prices = set()
        for hour in range(24):
            when = datetime(2025, 3, 1, hour, 45, tzinfo=UTC)
            expected = genai_prices.calc_price(
                genai_prices.Usage(input_tokens=10**6, output_tokens=10**6),
                model,
                provider_id="deepseek",
                genai_request_timestamp=when,
            )
            cost = pricing.price("deepseek", model, usage, when).cost_nanos
            assert cost == expected.total_price * 10**9
            prices.add(cost)
        changing += len(prices) > 1
    assert changing


@pytest.mark.parametrize(
    ("seller", "model"),
    [
        ("openai", "no-such-model"),
        ("nobody", "gpt-5"),
        ("openai", ""),
        ("openai", "whisper-1"),
        ("ollama", "llama3"),
    ],
)
def test_unknown_is_unpriced_never_zero(pricing: Pricing, seller: str, model: str) -> None:
    assert pricing.price(seller, model, Usage(input=5, output=5), NOW) == UNPRICED


def test_no_usage_is_unpriced(pricing: Pricing) -> None:
    assert pricing.price("openai", "gpt-5", Usage(), NOW) == UNPRICED


def test_the_providers_own_figure_is_preferred(pricing: Pricing) -> None:
    usage = Usage(input=5, output=5, cost_nanos=1_230)
    assert pricing.price("openrouter", "openai/gpt-5", usage, NOW) == Priced(1_230, True, "provider")


def test_a_host_stands_in_for_an_unknown_provider(pricing: Pricing) -> None:
    usage = Usage(input=1000, output=10)
    by_host = pricing.price("my-groq", "llama-3.3-70b-versatile", usage, NOW, "api.groq.com")
    assert by_host == pricing.price("groq", "llama-3.3-70b-versatile", usage, NOW)
    assert by_host.source == "genai-prices llama-3.3-70b-versatile"


def test_the_simulator_has_an_invented_price(pricing: Pricing) -> None:
    assert pricing.price("sim", "sim/echo", Usage(input=1000, output=500), NOW) == Priced(
        2_000_000, True, "built-in"
    )


def override(**values: Any) -> PriceOverride:
    return PriceOverride.model_validate({"model": "*", "input": "1", **values})


@pytest.mark.parametrize(
    ("overrides", "usage", "nanos"),
    [
        ([override(output="2")], Usage(input=10, output=10), 30_000),
        ([override(input="0.0375")], Usage(input=3), 112),  # 112.5 to the even neighbour
        ([override(input="0.0385")], Usage(input=3), 116),  # 115.5 to the even neighbour
        ([override(cache_read="0.1")], Usage(input=10, output=0, cache_read=4), 6_400),
        ([override()], Usage(input=10, output=0, cache_read=4, cache_write=2), 10_000),
        ([override(cache_write="2")], Usage(input=10, cache_write=4, cache_write_1h=4), 14_000),
        (
            [override(cache_write="2", cache_write_1h="4")],
            Usage(input=10, cache_write=4, cache_write_1h=1),
            16_000,
        ),
        ([override(), override(since="2026-11-20", input="3")], Usage(input=1), 3_000),
        ([override(), override(since="2026-11-21", input="3")], Usage(input=1), 1_000),
        ([override(since="2026-01-01", input="5"), override(input="3")], Usage(input=1), 5_000),
        ([override(input="5"), override(model="gpt-*", input="3")], Usage(input=1), 3_000),
        (
            [override(provider="azure", input="3"), override(provider="open*", input="4")],
            Usage(input=1),
            4_000,
        ),
        ([override(input="0")], Usage(input=1), 0),
    ],
)
def test_overrides(overrides: list[PriceOverride], usage: Usage, nanos: int) -> None:
    priced = Pricing(overrides, built_in()).price("openai", "gpt-5", usage, NOW)
    assert priced == Priced(nanos, True, "settings")


def test_an_override_for_another_model_leaves_the_catalogue(pricing: Pricing) -> None:
    mine = Pricing([override(model="other"), override(provider="azure")])
    usage = Usage(input=1, output=1)
    assert mine.price("openai", "gpt-5", usage, NOW) == pricing.price("openai", "gpt-5", usage, NOW)


def test_costs_stay_exact_for_large_counts() -> None:
    pricing = Pricing([override(input=Decimal("0.123456789"))])
    assert pricing.price("x", "y", Usage(input=10**12), NOW).cost_nanos == 123_456_789_000_000
