import pytest

from llm_intercept.errors import ConfigError, NotFound
from llm_intercept.policy.limits import Limit
from llm_intercept.store.control import Control
from llm_intercept.store.limits import checked
from tests.store.conftest import Clock

DAILY = Limit(scope="project", name="demo", measure="cost", amount=5, per="day", timezone="Europe/Berlin")


def test_a_limit(control: Control, clock: Clock) -> None:
    made = control.limits.set(DAILY)
    assert (made.limit, made.enabled, made.id[:4]) == (DAILY, True, "lim_")
    assert control.limits.get(made.id) == made
    clock.now += 60
    changed = control.limits.set(DAILY.model_copy(update={"amount": 6, "name": "DEMO"}))
    assert (changed.id, changed.limit.amount, changed.created_at) == (made.id, 6, made.created_at)
    assert changed.changed_at > made.changed_at
    control.limits.set(DAILY.model_copy(update={"per": "week"}))
    assert len(control.limits.list()) == 2


def test_only_those_in_force_are_in_the_snapshot(control: Control) -> None:
    made = control.limits.set(DAILY)
    control.refresh()
    assert [stored.id for stored in control.limiting] == [made.id]
    control.limits.enable(made.id, False)
    control.refresh()
    assert control.limiting == ()
    assert control.limits.set(DAILY).enabled
    control.limits.remove(made.id)
    control.refresh()
    assert control.limiting == ()


def test_what_is_not_there(control: Control) -> None:
    for act in (control.limits.get, control.limits.remove, control.limits.enable):
        with pytest.raises(NotFound, match="limit list"):
            act("lim_nope")


def test_wrong_words_are_a_sentence() -> None:
    with pytest.raises(ConfigError, match="timezone: 'Mars' is not a time zone"):
        checked({**DAILY.model_dump(), "timezone": "Mars"})
    with pytest.raises(ConfigError, match="concurrency counts calls"):
        checked({**DAILY.model_dump(), "measure": "concurrency"})
