import re
from pathlib import Path
from typing import Any

from llm_intercept.engine.health import Snapshot, TargetKey
from llm_intercept.metrics import MODELS, Metrics
from llm_intercept.store.rows import AttemptRow
from tests.store.example import row

A, B = TargetKey("openai", "main", "gpt"), TargetKey("openai", "main", "other")


def values(metrics: Metrics) -> dict[str, float]:
    lines = metrics.render().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


def metrics_of(*snapshots: Snapshot) -> Metrics:
    waiting = list(snapshots)
    return Metrics(lambda: 0, lambda: 0, lambda: 0.0, lambda: waiting.pop(0))


def breaker(model: str) -> str:
    return f'llm_breaker_state{{credential="main",model="{model}",provider="openai"}}'


def test_breakers_and_cooling_keys() -> None:
    metrics = metrics_of(
        Snapshot(((A, "open"), (B, "half_open")), (("openai", "main"),)), Snapshot(((B, "open"),), ())
    )
    cooling = 'llm_key_cooling{credential="main",provider="openai"}'
    found = values(metrics)
    assert (found[breaker("gpt")], found[breaker("other")], found[cooling]) == (2, 1, 1)
    found = values(metrics)
    assert (found[breaker("gpt")], found[breaker("other")], found[cooling]) == (0, 2, 0)


def test_names_of_models_are_bounded() -> None:
    def snapshot(kind: str) -> Snapshot:
        return Snapshot(
            tuple((TargetKey("openai", "main", f"{kind}-{n}"), "open") for n in range(MODELS)), ()
        )

    metrics = metrics_of(snapshot("a"), snapshot("b"))
    for _ in range(2):
        found = [value for name, value in values(metrics).items() if name.startswith("llm_breaker_state")]
        assert found == [2] * MODELS


def tried(provider: str, credential: str = "main", **more: Any) -> AttemptRow:
    return AttemptRow(0, 1, provider, "host", credential, **more)


def test_tries_and_failovers() -> None:
    metrics = Metrics(lambda: 0, lambda: 0, lambda: 0.0)
    same = [tried("openai", outcome="provider_error"), tried("openai", outcome="ok")]
    other_key = [tried("openai", outcome="client_error"), tried("openai", "spare", outcome="ok")]
    other_model = [tried("openai", model="a", outcome="timeout"), tried("openai", model="b", outcome="ok")]
    far = [tried("openai", outcome="timeout"), tried("x", outcome="timeout"), tried("openai", outcome="ok")]
    metrics.observe(row(n, tries=tries) for n, tries in enumerate([same, other_key, other_model, far, []]))
    found = values(metrics)
    assert found["llm_failovers_total"] == 4
    attempts = {name: value for name, value in found.items() if name.startswith("llm_attempts_total")}
    assert attempts == {
        'llm_attempts_total{outcome="provider_error",provider="openai"}': 1,
        'llm_attempts_total{outcome="client_error",provider="openai"}': 1,
        'llm_attempts_total{outcome="timeout",provider="openai"}': 2,
        'llm_attempts_total{outcome="timeout",provider="x"}': 1,
        'llm_attempts_total{outcome="ok",provider="openai"}': 4,
    }


def test_what_the_cache_did() -> None:
    metrics = Metrics(lambda: 0, lambda: 0, lambda: 0.0)
    calls = [row(0), row(1, cache="stored"), row(2, cache="hit", saved_nanos=250_000_000)]
    metrics.observe([*calls, row(3, cache="hit"), row(4, cache="miss"), row(5, cache="bypass")])
    found = values(metrics)
    assert {name: value for name, value in found.items() if name.startswith("llm_cache_total")} == {
        'llm_cache_total{result="stored"}': 1,
        'llm_cache_total{result="hit"}': 2,
        'llm_cache_total{result="miss"}': 1,
        'llm_cache_total{result="bypass"}': 1,
    }
    assert found["llm_cache_saved_usd_total"] == 0.25


def test_every_metric_is_described() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs/usage-data.md").read_text()
    metrics = metrics_of(Snapshot(((A, "open"),), (("openai", "main"),)))
    names = set(re.findall(r"^# TYPE (\w+)", metrics.render().decode(), re.MULTILINE))
    ours = {name for name in names if not name.endswith("_created")}
    assert len(ours) > 18
    assert ours <= set(re.findall(r"`(llm_\w+)`", page))
