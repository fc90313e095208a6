import pytest

from llm_intercept.engine.health import Health, TargetKey
from llm_intercept.engine.resets import Resets
from llm_intercept.policy.attempts import Failure
from llm_intercept.settings import BreakerSettings

START = 1_700_000_000.0
A, B = TargetKey("openai", "main", "gpt"), TargetKey("openai", "main", "other")
AT = int(START * 1e6)


@pytest.fixture
def health() -> Health:
    return Health(BreakerSettings(consecutive=1), lambda: START)


def break_(health: Health, *targets: TargetKey) -> None:
    for target in targets:
        health.failed(target, Failure("connect"), {})


def test_each_is_carried_out_once(health: Health) -> None:
    resets = Resets(health)
    assert resets.carry_out({}) == 0
    break_(health, A, B)
    assert resets.carry_out({("openai", "", "gpt"): AT}) == 1
    assert health.open_targets() == [B]
    break_(health, A)
    assert resets.carry_out({("openai", "", "gpt"): AT}) == 0
    assert resets.carry_out({("openai", "", "gpt"): AT + 1, ("", "", ""): AT}) == 2
    assert health.open_targets() == []


def test_what_was_asked_for_while_nobody_ran(health: Health) -> None:
    """A restart restores what is in the database, then sees resets of old and of in between."""
    break_(health, A, B)
    changes = health.changes()
    later = Health(BreakerSettings(consecutive=1), lambda: START + 100)
    later.restore(changes.keys.values(), changes.breakers.values())
    assert Resets(later).carry_out({("openai", "main", "gpt"): AT - 1}) == 0
    assert Resets(later).carry_out({("openai", "main", "gpt"): AT + 1}) == 1
    assert later.open_targets() == [B]


def test_cool_downs_too(health: Health) -> None:
    health.failed(A, Failure("status", 401), {})
    assert Resets(health).carry_out({("", "", ""): AT - 1}) == 0
    assert Resets(health).carry_out({("", "", ""): AT + 1}) == 1
    assert health.state(A).usable


def test_the_same_mapping_costs_nothing(health: Health) -> None:
    asked = {("", "", ""): AT}
    resets = Resets(health)
    resets.carry_out(asked)
    break_(health, A)
    asked["openai", "", ""] = AT + 1  # not noticed: a snapshot is replaced, never changed
    assert resets.carry_out(asked) == 0
    assert health.open_targets() == [A]
