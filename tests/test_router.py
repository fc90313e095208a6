"""Which targets a call may go to, with a real control.db: routes, pools, cool-downs, breakers, homes."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from llm_intercept.engine.affinity import Affinity
from llm_intercept.engine.health import Health, TargetKey
from llm_intercept.engine.resets import Resets
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange, Principal, Target
from llm_intercept.home import Home
from llm_intercept.policy.attempts import Failure
from llm_intercept.policy.models import ModelMap
from llm_intercept.policy.routing import CallFacts, Route
from llm_intercept.providers import Registry
from llm_intercept.router import Router
from llm_intercept.settings import Settings
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

BREAKER = {"consecutive": 2, "rate": 0, "open_for": 30.0}
PROVIDERS = {"mistral": {"timeouts": {"first_byte": 7.0}}}
MODELS = {"aliases": {"fast": "groq/llama-3.3-70b-versatile"}}


@dataclass
class Bench:
    """A router, and what it looks at."""

    control: Control
    health: Health
    affinity: Affinity
    router: Router
    clock: list[float]
    drawn: list[float] = field(default_factory=list)

    def keys(self, provider: str, *names: str, **more: Any) -> None:
        for name in names:
            secret = SecretStr(f"sk-{provider}-{name}-0123456789abcdef")
            self.control.credentials.add(provider, secret, name=name, **more)

    def route(self, name: str, *targets: object, **more: Any) -> None:
        route = {"name": name, "match": {"models": [f"{name}*"]}, "targets": targets, **more}
        self.control.routes.set(Route.model_validate(route))

    def set_out(
        self, model: str, *, own: bool = False, body: object = None
    ) -> "tuple[Exchange, Refusal | None]":
        self.control.refresh()
        found = an_exchange(model, own=own)
        refusal = self.router.set_out(found, orjson.dumps(body or {"model": model, "messages": []}))
        return found, refusal

    def targets(self, model: str, **more: Any) -> list[str]:
        """What would be tried, in order."""
        exchange, refusal = self.set_out(model, **more)
        assert refusal is None, refusal
        assert exchange.course is not None
        return [f"{c.provider}/{c.model}@{c.credential}" for c in exchange.course.candidates]

    def fail(self, provider: str, key: str, model: str, status: int, times: int = 1, **headers: str) -> None:
        target = TargetKey(provider, key, model)
        for _ in range(times):
            self.health.failed(target, Failure("status", status, message="no"), headers)


def an_exchange(model: str, *, own: bool = False) -> Exchange:
    provider = Registry({}).providers["openai"]
    who = Principal("demo", "own:1" if own else "laptop", token_id="" if own else "t1", own_key=own)
    return Exchange(
        id=1,
        request_id="r",
        entry="base_url",
        provider=provider,
        endpoint=provider.endpoints[0],
        method="POST",
        host="api.openai.com",
        path="/v1/chat/completions",
        client_ip="127.0.0.1",
        dialect="openai_chat",
        operation="chat",
        model=model,
        principal=who,
    )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with benched(tmp_path) as made:
        yield made


@contextlib.contextmanager
def benched(folder: Path) -> Iterator[Bench]:
    home = Home(folder)
    home.ensure()
    control = Control(home.control_db, Vault.load(home.secret_key, {}))
    settings = Settings.model_validate({"breaker": BREAKER, "models": MODELS, "providers": PROVIDERS})
    registry = Registry(settings.providers)
    clock, drawn = [1_800_000_000.0], []
    health = Health(settings.breaker, lambda: clock[0])
    affinity = Affinity()
    prices = {"llama": Decimal(1), "gpt-4o": Decimal(5)}
    router = Router(
        control,
        registry,
        ModelMap(settings.models, registry.providers, lambda name: False),
        health,
        Resets(health),
        affinity,
        settings,
        lambda provider, model: prices.get(model),
        lambda: drawn.pop(0) if drawn else 0.5,
        lambda: clock[0],
    )
    yield Bench(control, health, affinity, router, clock, drawn)
    control.close()


# --- without a route


def test_one_key(bench: Bench) -> None:
    bench.keys("openai", "main")
    assert bench.targets("gpt-4o") == ["openai/gpt-4o@main"]


def test_a_client_s_own_key_is_the_only_one(bench: Bench) -> None:
    bench.keys("openai", "main", "spare")
    exchange, refusal = bench.set_out("gpt-4o", own=True)
    assert refusal is None
    assert exchange.course is not None
    assert [c.credential for c in exchange.course.candidates] == [None]
    assert exchange.course.rules.own


def test_weights_decide_how_often_a_key_is_first(bench: Bench) -> None:
    bench.keys("openai", "heavy", weight=9)
    bench.keys("openai", "light", weight=1)
    draws = [(n % 10 + 0.5) / 10 for n in range(100)]
    first = []
    for one in draws:
        for other in draws[:10]:
            bench.drawn[:] = [one, other]
            first.append(bench.targets("gpt-4o")[0])
    share = first.count("openai/gpt-4o@heavy") / len(first)
    assert 0.85 < share < 0.95


def test_a_conversation_stays_with_the_key_that_has_cached_it(bench: Bench) -> None:
    bench.keys("openai", *(f"k{n}" for n in range(5)))

    def first(text: str, *more: object) -> str:
        turns = [{"role": "user", "content": text}, *more]
        bench.drawn[:] = [0.1, 0.9, 0.3, 0.7, 0.5]
        return bench.targets("gpt-4o", body={"model": "gpt-4o", "messages": turns})[0]

    later = ({"role": "assistant", "content": "a"}, {"role": "user", "content": "b"})
    assert {first("hello"), first("hello", *later)} == {first("hello")}
    assert len({first(f"conversation {n}") for n in range(40)}) == 5


def test_a_key_that_cools_down_is_left_out(bench: Bench) -> None:
    bench.keys("openai", "main", "spare")
    bench.fail("openai", "main", "gpt-4o", 429, **{"retry-after": "60"})
    assert bench.targets("gpt-4o") == ["openai/gpt-4o@spare"]
    bench.clock[0] += 61
    assert len(bench.targets("gpt-4o")) == 2


def test_when_all_cool_down_the_provider_decides(bench: Bench) -> None:
    bench.keys("openai", "main", "spare")
    for key in ("main", "spare"):
        bench.fail("openai", key, "gpt-4o", 429, **{"retry-after": "60"})
    assert len(bench.targets("gpt-4o")) == 2


def test_breakers_that_are_open_are_not(bench: Bench) -> None:
    bench.keys("openai", "main", "spare")
    for key in ("main", "spare"):
        bench.fail("openai", key, "gpt-4o", 503, times=2)
    bench.clock[0] += 10
    _, refusal = bench.set_out("gpt-4o")
    assert refusal is not None
    assert (refusal.status, refusal.code, refusal.retry_after) == (503, "no_target_available", 20.0)
    assert "breaker open until" in refusal.message
    assert "503: no" in refusal.message
    assert len(bench.targets("gpt-4o-mini")) == 2  # another model is another target
    bench.clock[0] += 21
    assert len(bench.targets("gpt-4o")) == 2


def test_a_reset_counts_for_the_very_next_call(bench: Bench) -> None:
    bench.keys("openai", "main", "spare")
    bench.targets("gpt-4o")
    bench.fail("openai", "main", "gpt-4o", 503, times=2)
    assert bench.targets("gpt-4o") == ["openai/gpt-4o@spare"]
    bench.control.breakers.ask("openai", "main", "gpt-4o")
    assert len(bench.targets("gpt-4o")) == 2


# --- routes


def test_targets_in_order_each_with_its_keys(bench: Bench) -> None:
    bench.keys("openai", "main")
    bench.keys("groq", "main")
    bench.route("r", "openai/gpt-4o", "groq/", "anthropic/claude-sonnet-5")
    assert bench.targets("r1") == ["openai/gpt-4o@main", "groq/r1@main"]  # no key for the third
    exchange, _ = bench.set_out("r1")
    assert exchange.route == "r"


def test_pools(bench: Bench) -> None:
    bench.keys("openai", "team", pool="team")
    bench.keys("openai", "other", pool="other")
    bench.keys("openai", "common")
    bench.route("one", "openai/gpt-4o@team")
    bench.drawn[:] = [0.9, 0.1]
    assert bench.targets("one") == ["openai/gpt-4o@team", "openai/gpt-4o@common"]


def test_a_key_of_two_targets_is_tried_once(bench: Bench) -> None:
    bench.keys("openai", "team", pool="team")
    bench.keys("openai", "common")
    bench.route("two", "openai/gpt-4o@team", "openai/gpt-4o@other", "openai/gpt-4o", longer=["openai/gpt-4o"])
    bench.drawn[:] = [0.9, 0.1]
    assert bench.targets("two") == ["openai/gpt-4o@team", "openai/gpt-4o@common"]


def test_overrides_make_it_another_candidate(bench: Bench) -> None:
    bench.keys("openai", "main")
    cold = {"provider": "openai", "model": "gpt-4o", "overrides": {"temperature": 0}}
    bench.route("cold", "openai/gpt-4o", cold)
    assert bench.targets("cold") == ["openai/gpt-4o@main"] * 2


def test_longer_ones_come_last(bench: Bench) -> None:
    bench.keys("openai", "main")
    bench.keys("gemini", "main")
    bench.route("long", "openai/gpt-4o", longer=["gemini/gemini-2.5-pro"])
    exchange, _ = bench.set_out("long")
    assert exchange.course is not None
    assert [c.longer for c in exchange.course.candidates] == [False, True]


def test_strategies(bench: Bench) -> None:
    bench.keys("openai", "main")
    bench.keys("groq", "main")
    bench.route("cheap", "openai/gpt-4o", "groq/llama", strategy="cheapest")
    bench.route("quick", "openai/gpt-4o", "groq/llama", strategy="latency")
    bench.route("idle", "openai/gpt-4o", "groq/llama", strategy="busy")
    assert bench.targets("cheap")[0] == "groq/llama@main"
    bench.health.succeeded(TargetKey("openai", "main", "gpt-4o"), {}, 900.0)
    bench.health.succeeded(TargetKey("groq", "main", "llama"), {}, 90.0)
    assert bench.targets("quick")[0] == "groq/llama@main"
    bench.health.started(TargetKey("openai", "main", "gpt-4o"))
    assert bench.targets("idle")[0] == "groq/llama@main"


def test_an_alias_leads_through_a_route(bench: Bench) -> None:
    bench.keys("openai", "main")
    bench.keys("groq", "main")
    route = {"name": "a", "match": {"aliases": ["fast"]}, "targets": ["openai/gpt-4o", {}]}
    bench.control.routes.set(Route.model_validate(route))
    assert bench.targets("fast") == ["openai/gpt-4o@main", "groq/llama-3.3-70b-versatile@main"]


def test_no_target_has_a_key(bench: Bench) -> None:
    bench.route("none", "groq/llama", "mistral/m")
    _, refusal = bench.set_out("none")
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("no_credential", 403)
    assert "'none'" in refusal.message


def test_rules_and_limits_of_a_route(bench: Bench) -> None:
    bench.keys("mistral", "main")
    bench.route("slow", "mistral/m", tries=7, budget=3.0, timeouts={"idle": 2.0})
    exchange, _ = bench.set_out("slow")
    course = exchange.course
    assert course is not None
    assert (course.rules.tries, course.rules.budget, course.rules.again) == (7, 3.0, 1)
    limits = bench.router.limits(course.route, "mistral")
    assert (limits.connect, limits.first_byte, limits.idle, limits.total) == (15.0, 7.0, 2.0, 0.0)
    assert bench.router.limits(None, "openai").first_byte == 600.0


def test_changes_count_for_the_next_call(bench: Bench) -> None:
    bench.keys("openai", "main")
    bench.keys("groq", "main")
    bench.route("r", "openai/gpt-4o")
    assert bench.targets("r") == ["openai/gpt-4o@main"]
    bench.route("r", "groq/llama")
    assert bench.targets("r") == ["groq/llama@main"]
    bench.control.routes.disable("r")
    assert bench.targets("r") == ["openai/r@main"]


# --- conversations that are bound


def bound_body(file_id: str) -> dict[str, Any]:
    part = {"type": "file", "file": {"file_id": file_id}}
    return {"model": "r", "messages": [{"role": "user", "content": [part]}]}


def _issued(bench: Bench, provider: str, key: str, file_id: str) -> None:
    bench.affinity.remember("demo", (file_id,), "", provider, key)


def test_a_file_is_only_known_to_its_key(bench: Bench) -> None:
    bench.keys("openai", "a", "b", "c")
    bench.keys("groq", "main")
    bench.route("r", "groq/llama", "openai/gpt-4o")
    _issued(bench, "openai", "b", "file-1")
    assert bench.targets("r", body=bound_body("file-1")) == ["openai/gpt-4o@b"]
    assert len(bench.targets("r", body=bound_body("file-unknown"))) == 4


def test_its_key_is_tried_even_while_it_cools_down(bench: Bench) -> None:
    bench.keys("openai", "a", "b")
    _issued(bench, "openai", "b", "file-1")
    bench.fail("openai", "b", "r", 429, **{"retry-after": "60"})
    assert bench.targets("r", body=bound_body("file-1")) == ["openai/r@b"]


def test_a_home_that_is_gone_binds_nothing(bench: Bench) -> None:
    bench.keys("openai", "a", "b")
    _issued(bench, "openai", "gone", "file-1")
    assert len(bench.targets("r", body=bound_body("file-1"))) == 2


def test_another_project_s_files_are_none_of_its_business(bench: Bench) -> None:
    bench.keys("openai", "a", "b", "c")
    bench.affinity.remember("other", ("file-1",), "", "openai", "b")
    assert len(bench.targets("r", body=bound_body("file-1"))) == 3


def test_longer_targets_stay_behind_for_bound_conversations(bench: Bench) -> None:
    bench.keys("openai", "a")
    bench.keys("groq", "main")
    bench.route("r", "openai/gpt-4o", "groq/llama", longer=["openai/gpt-4.1"])
    _issued(bench, "openai", "a", "file-1")
    assert bench.targets("r", body=bound_body("file-1")) == ["openai/gpt-4o@a", "openai/gpt-4.1@a"]


def test_who_answered_is_remembered(bench: Bench) -> None:
    bench.keys("openai", "a", "b")
    exchange, _ = bench.set_out(
        "gpt-4o", body={"model": "gpt-4o", "messages": [{"role": "user", "content": "a"}]}
    )
    exchange.target = Target("https", "api.openai.com", 443, "", "b", SecretStr("sk"))
    bench.router.remember(exchange, "file-9")
    assert bench.targets("r", body=bound_body("file-9")) == ["openai/r@b"]


# --- for people


def test_explain(bench: Bench) -> None:
    bench.keys("openai", "main")
    bench.keys("groq", "main")
    bench.route("r", "openai/gpt-4o", "groq/", longer=["openai/gpt-4.1"])
    bench.fail("openai", "main", "gpt-4o", 503, times=2)
    bench.control.refresh()
    told = bench.router.explain(CallFacts("r1", project="demo", token="laptop"), "openai_chat", "openai")
    assert (told.route, told.resolution, told.refusal) == ("r", "", "")
    lines = [(c.provider, c.model, state.usable) for c, state in told.candidates if state is not None]
    assert lines == [("openai", "gpt-4o", False), ("groq", "r1", True), ("openai", "gpt-4.1", True)]
    broken = told.candidates[0][1]
    assert broken is not None
    assert "breaker open until" in broken.reason


def test_explain_takes_nothing(bench: Bench) -> None:
    bench.keys("openai", "main")
    bench.fail("openai", "main", "gpt-4o", 503, times=2)
    bench.clock[0] += 31
    bench.control.refresh()
    facts = CallFacts("gpt-4o", project="demo", token="laptop")
    for _ in range(2):
        [(_, state)] = bench.router.explain(facts, "openai_chat", "openai").candidates
        assert state is not None
        assert (state.usable, state.reason) == (True, "a trial of an open breaker")
    assert bench.health.admit(TargetKey("openai", "main", "gpt-4o"))
    assert not bench.health.admit(TargetKey("openai", "main", "gpt-4o"))


def test_explain_an_alias_and_a_client_s_own_key(bench: Bench) -> None:
    bench.keys("groq", "main")
    bench.control.refresh()
    told = bench.router.explain(CallFacts("fast", project="demo", token="laptop"), "openai_chat", "openai")
    assert told.resolution == "fast -> groq/llama-3.3-70b-versatile"
    [(candidate, state)] = bench.router.explain(CallFacts("gpt-4o"), "openai_chat", "openai").candidates
    assert (candidate.credential, state) == (None, None)


@pytest.mark.parametrize(
    ("method", "path", "creates"),
    [
        ("POST", "/v1/files", True),
        ("POST", "/v1/batches", True),
        ("POST", "/v1/fine_tuning/jobs", True),
        ("GET", "/v1/batches", False),
        ("DELETE", "/v1/files/file-1", False),
        ("POST", "/v1/moderations", False),
        ("POST", "/v1/images/generations", False),
        ("POST", "/v1/chat/completions", False),
    ],
)
def test_what_creates_something(bench: Bench, method: str, path: str, creates: bool) -> None:
    bench.keys("openai", "a")
    bench.control.refresh()
    exchange, registry = an_exchange(""), Registry({})
    exchange.method, exchange.path = method, path
    exchange.endpoint = registry.endpoint(exchange.provider, method, path)
    exchange.operation = exchange.endpoint.operation
    assert bench.router.set_out(exchange, b"{}") is None
    assert exchange.course is not None
    assert exchange.course.rules.creates is creates
