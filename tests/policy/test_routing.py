import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.errors import ConfigError
from llm_intercept.policy.routing import (
    CallFacts,
    Route,
    RouteTarget,
    choose,
    features,
    filled,
    longer,
    ordered,
    parse_target,
    read_route,
    target_text,
    unmet,
)
from llm_intercept.policy.strategies import MEASURED_AGAIN

CALL = CallFacts(
    model="claude-sonnet-4-5",
    project="demo",
    token="laptop",
    dialect="anthropic",
    operation="messages",
    tokens=1_000,
)


def route(*targets: str, **rest: Any) -> Route:
    return read_route({"name": "r", "targets": list(targets or ("openai/",)), **rest})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("openai/gpt-5-mini", RouteTarget(provider="openai", model="gpt-5-mini")),
        ("openai/", RouteTarget(provider="openai")),
        ("/gpt-5-mini", RouteTarget(model="gpt-5-mini")),
        ("/", RouteTarget()),
        ("openai/@team", RouteTarget(provider="openai", pool="team")),
        (
            "anthropic/claude-sonnet-4-5@pool*3",
            RouteTarget(provider="anthropic", model="claude-sonnet-4-5", pool="pool", weight=3),
        ),
        ("openai/gpt-5*0", RouteTarget(provider="openai", model="gpt-5", weight=0)),
        (
            "openrouter/anthropic/claude-x:free",
            RouteTarget(provider="openrouter", model="anthropic/claude-x:free"),
        ),
        ("ollama/qwen2.5:72b", RouteTarget(provider="ollama", model="qwen2.5:72b")),
        ("cloudflare/@cf/meta/llama", RouteTarget(provider="cloudflare", model="@cf/meta/llama")),
        (
            "vertex/claude-sonnet-4-5@20250929",
            RouteTarget(provider="vertex", model="claude-sonnet-4-5@20250929"),
        ),
        (
            "vertex/claude-sonnet-4-5@20250929@eu*2",
            RouteTarget(provider="vertex", model="claude-sonnet-4-5@20250929", pool="eu", weight=2),
        ),
        ("vertex/gemini@default@", RouteTarget(provider="vertex", model="gemini@default")),
        (" openai/gpt-5 ", RouteTarget(provider="openai", model="gpt-5")),
    ],
)
def test_targets_in_words(text: str, expected: RouteTarget) -> None:
    assert parse_target(text) == expected
    assert parse_target(target_text(expected)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("*/gpt-5", "names one provider"),
        ("gpt-5", "`/gpt-5` for the provider that was called"),
        ("", "PROVIDER/MODEL"),
        ("openai/gpt-*", "not a pattern"),
        ("openai/gpt 5", "not a pattern"),
        ("open ai/gpt-5", "names one provider"),
        ("openai/gpt-5\nx", "more than one line"),
        ("openai/gpt-5*x", "not a pattern"),
        ("openai/gpt-5*99999999", "its weight should be less than or equal to 1000000"),
    ],
)
def test_words_that_are_no_target(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match="is no target") as error:
        parse_target(text)
    assert said in str(error.value)


_CHARACTERS = st.sampled_from("ab1@/:.-")
_TARGETS = st.builds(
    RouteTarget,
    provider=st.sampled_from(("", "openai", "vertex")),
    model=st.text(_CHARACTERS, max_size=12),
    pool=st.sampled_from(("", "a", "team-1")),
    weight=st.integers(0, 20),
)


@given(_TARGETS)
def test_every_target_can_be_written(target: RouteTarget) -> None:
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    ("match", "facts", "missing"),
    [
        ({}, {}, ""),
        ({"models": ["claude-sonnet-4-5"]}, {}, ""),
        ({"models": ["gpt-*", "claude-*"]}, {}, ""),
        ({"models": ["Claude-*"]}, {}, "models"),
        ({"models": ["gpt-5"]}, {}, "models"),
        ({"models": ["*"]}, {"model": ""}, "models"),
        ({"aliases": ["fast"]}, {}, "aliases"),
        ({"aliases": ["gpt-4*"]}, {"alias": "gpt-4*"}, ""),
        ({"aliases": ["*"]}, {"alias": "fast"}, ""),
        ({"tiers": ["middle"]}, {"tier": "middle"}, ""),
        ({"tiers": ["small"]}, {"model": "claude-haiku-4-5"}, ""),
        ({"tiers": ["big"]}, {"model": "claude-opus-4-8", "tier": "small"}, "tiers"),
        ({"tiers": ["small"]}, {"model": "gpt-5"}, "tiers"),
        ({"projects": ["demo"]}, {}, ""),
        ({"projects": ["de*"], "tokens": ["ci", "lap*"]}, {}, ""),
        ({"projects": ["demo"], "tokens": ["ci"]}, {}, "tokens"),
        ({"projects": ["other"]}, {}, "projects"),
        ({"tokens": ["*"]}, {"token": ""}, "tokens"),
        ({"dialects": ["anthropic"]}, {}, ""),
        ({"dialects": ["openai_*"]}, {}, "dialects"),
        ({"min_tokens": 1000}, {}, ""),
        ({"min_tokens": 1001}, {}, "min_tokens"),
        ({"image": True}, {}, "image"),
        ({"image": True}, {"image": True}, ""),
        ({"image": False}, {"image": True}, "image"),
        ({"image": False}, {}, ""),
        ({"web_search": True}, {"web_search": True}, ""),
        ({"background": True}, {}, "background"),
        ({"thinking": True}, {"thinking": True}, ""),
        ({"thinking": True, "image": True}, {"thinking": True}, "image"),
    ],
)
def test_conditions(match: Mapping[str, object], facts: Mapping[str, Any], missing: str) -> None:
    assert unmet(route(match=match).match, replace(CALL, **facts)) == missing


def test_the_first_that_matches_is_chosen() -> None:
    routes = [
        route(name="long", match={"min_tokens": 60_000}),
        route(name="demo", match={"projects": ["demo"]}),
        route(name="all"),
    ]
    for tokens, project, name in ((60_000, "demo", "long"), (10, "demo", "demo"), (10, "x", "all")):
        chosen = choose(routes, replace(CALL, tokens=tokens, project=project))
        assert chosen is not None
        assert chosen.name == name
    assert choose(routes[:2], replace(CALL, project="x")) is None
    assert choose([], CALL) is None


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ([{}], set()),
        ([{"models": ["a"], "tokens": ["b"]}], set()),
        ([{"min_tokens": 5}], {"tokens"}),
        ([{"image": False}, {"thinking": True, "background": True}], {"image", "thinking", "background"}),
    ],
)
def test_what_only_the_body_tells(match: list[dict[str, object]], found: set[str]) -> None:
    assert features([route(match=one) for one in match]) == found


def test_documents_go_through_json_unchanged() -> None:
    made = route(
        "anthropic/claude-sonnet-4-5@team*3",
        "openai/gpt-5",
        match={"models": ["claude-*"], "image": True},
        longer=["gemini/gemini-2.5-pro"],
        strategy="weighted",
        tries=3,
        budget=5,
        timeouts={"first_byte": 20},
    )
    assert Route.model_validate_json(made.model_dump_json()) == made
    assert Route.model_validate_json(made.model_dump_json(exclude_defaults=True)) == made
    assert (made.targets[0].pool, made.targets[0].weight, made.timeouts.first_byte) == ("team", 3, 20.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"targets": []}, "`targets`"),
        ({"targets": ["gpt-5"]}, "`targets.0` write it as PROVIDER/MODEL"),
        ({"targets": [{"provider": "openai", "key": "x"}]}, "`targets.0.key` is not known"),
        ({"targets": [{"provider": "openai", "overrides": {"model": "x"}}]}, "cannot set `model`"),
        ({"targets": [{"provider": "openai", "weight": -1}]}, "`targets.0.weight`"),
        ({"targets": [{"provider": "openai", "pool": "1 2"}]}, "cannot be the name of a pool"),
        ({"strategy": "random"}, "`strategy` should be 'ordered', 'weighted'"),
        ({"match": {"model": "x"}}, "`match.model` is not known"),
        ({"match": {"tiers": ["huge"]}}, "`match.tiers.0` should be 'big', 'middle' or 'small'"),
        ({"match": {"min_tokens": 0}}, "`match.min_tokens`"),
        ({"name": "a b"}, "`name` takes 1 to 64"),
        ({"tries": 0, "budget": -1}, "`tries` should be greater than or equal to 1; `budget`"),
        ({"timeouts": {"idle": "soon"}}, "`timeouts.idle` should be a valid number"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match="this is no route") as error:
        read_route({"name": "r", "targets": ["openai/"], **change})
    assert said in str(error.value)


@pytest.mark.parametrize("document", [None, [], "x", 1])
def test_what_is_no_object(document: object) -> None:
    with pytest.raises(ConfigError, match="this is no route"):
        read_route(document)


def test_a_missing_name() -> None:
    with pytest.raises(ConfigError, match="`name` is missing; `targets` is missing"):
        read_route({})


def test_what_a_target_leaves_open_is_filled_in() -> None:
    given = route("openai/", "/gpt-5-mini@team", longer=["/"])
    made = filled(given, "anthropic", "claude-sonnet-4-5")
    assert [target_text(t) for t in made.targets] == [
        "openai/claude-sonnet-4-5",
        "anthropic/gpt-5-mini@team",
    ]
    assert target_text(made.longer[0]) == "anthropic/claude-sonnet-4-5"
    assert filled(made, "x", "y") is made
    assert [(ranked.target, ranked.reason) for ranked in longer(made)] == [
        (made.longer[0], "for a longer conversation")
    ]


@dataclass
class Known:
    """A view from tables by model; what is not in one is not known."""

    speeds: dict[str, float] = field(default_factory=dict)
    prices: dict[str, str] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    def ttft_ms(self, target: RouteTarget) -> float | None:
        return self.speeds.get(target.model)

    def price(self, target: RouteTarget) -> Decimal | None:
        found = self.prices.get(target.model)
        return None if found is None else Decimal(found)

    def busy(self, target: RouteTarget) -> int:
        return self.calls.get(target.model, 0)


def never() -> float:
    return 0.999


@pytest.mark.parametrize(
    ("strategy", "view", "expected"),
    [
        ("ordered", Known(), "a first in order; b number 2 in order; c number 3 in order"),
        (
            "latency",
            Known(speeds={"a": 400.4, "b": 210, "c": 300}),
            "b fastest: 210 ms to the first token; c 300 ms to the first token; a 400 ms to the first token",
        ),
        (
            "latency",
            Known(speeds={"a": 400, "b": 210}),
            "c not measured yet; b 210 ms to the first token; a 400 ms to the first token",
        ),
        (
            "cheapest",
            Known(prices={"b": "1.50", "c": "0.375"}),
            "c cheapest: $0.375 per M tokens; b $1.5 per M tokens; a without a known price",
        ),
        ("cheapest", Known(prices={"b": "0"}), "b cheapest: $0 per M tokens; a w; c w"),
        ("cheapest", Known(), "a without a known price; b w; c w"),
        ("cheapest", Known(prices={"a": "100", "b": "20", "c": "30"}), "b cheapest: $20 per M tokens; c; a"),
        ("busy", Known(calls={"a": 3, "b": 1}), "c least busy: 0 under way; b 1 under way; a 3 under way"),
        ("busy", Known(), "a least busy: 0 under way; b 0 under way; c 0 under way"),
    ],
)
def test_strategies(strategy: str, view: Known, expected: str) -> None:
    found = ordered(route("p/a", "p/b", "p/c", strategy=strategy), view, never)
    for ranked, words in zip(found, expected.split("; "), strict=True):
        model, _, reason = words.partition(" ")
        assert ranked.target.model == model
        assert ranked.reason.startswith(reason)


@pytest.mark.parametrize("strategy", ["ordered", "weighted", "latency", "cheapest", "busy"])
def test_one_target_needs_no_strategy(strategy: str) -> None:
    (ranked,) = ordered(route("p/a", strategy=strategy), Known(), never)
    assert (ranked.target.model, ranked.reason) == ("a", "the only target")


def test_slow_targets_are_measured_again_now_and_then() -> None:
    chances = iter((MEASURED_AGAIN / 2, 0.9))
    view = Known(speeds={"a": 400, "b": 210, "c": 300})
    found = ordered(route("p/a", "p/b", "p/c", strategy="latency"), view, lambda: next(chances))
    assert [ranked.target.model for ranked in found] == ["a", "b", "c"]
    assert found[0].reason == "to measure it again: 400 ms to the first token"


def test_weights_are_shares() -> None:
    chance = random.Random(1).random
    weighted = route("p/a*3", "p/b*1", "p/c*0", strategy="weighted")
    orders = Counter(
        tuple(ranked.target.model for ranked in ordered(weighted, Known(), chance)) for _ in range(4_000)
    )
    assert set(orders) == {("a", "b", "c"), ("b", "a", "c")}
    assert 0.72 < orders[("a", "b", "c")] / 4_000 < 0.78
    reasons = [ranked.reason for ranked in ordered(weighted, Known(), lambda: 0.0)]
    assert reasons == ["weight 3 of 4", "weight 1 of 4", "weight 0: after all others"]


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=6),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=8, max_size=8),
    st.sampled_from(("ordered", "weighted", "latency", "cheapest", "busy")),
)
def test_every_target_is_ranked_once(weights: list[int], chances: list[float], strategy: str) -> None:
    targets = [f"p/m{place}*{weight}" for place, weight in enumerate(weights)]
    drawn = iter(chances)
    view = Known(speeds={"m0": 1.0, "m1": 2.0}, prices={"m1": "3"})
    found = ordered(route(*targets, strategy=strategy), view, lambda: next(drawn))
    assert sorted(str(ranked.target) for ranked in found) == sorted(str(parse_target(t)) for t in targets)
    assert all(ranked.reason for ranked in found)
