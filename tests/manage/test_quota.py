"""What is left for whom."""

from collections.abc import Iterator

import pytest

from llm_intercept.home import Home
from llm_intercept.manage.quota import quota
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.limits import Limit
from llm_intercept.policy.windows import FOREVER, Counter
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

NOW = 1_795_000_000.0


@pytest.fixture
def control(tmp_path) -> Iterator[Control]:
    home = Home(tmp_path / "home")
    home.ensure()
    found = Control(home.control_db, Vault.load(home.secret_key, {}))
    found.users.create("ada", role="admin")
    found.users.create("bob")
    found.projects.create("bobs", owner="bob")
    found.projects.create("shared", members=["bob"])
    found.projects.create("others", owner="ada")
    found.tokens.create("others", "bobs-one", user="bob", max_requests=10)
    found.tokens.create("others", "adas", user="ada")
    yield found
    found.close()


def limit(control: Control, **values: object) -> str:
    made = {"measure": "requests", "amount": 100, "per": "total", **values}
    return control.limits.set(Limit.model_validate(made)).id


def used(amount: int, reserved: int = 0) -> Counter:
    counter = Counter()
    counter.add(0, FOREVER, amount)
    counter.hold(0, FOREVER, reserved)
    return counter


def left(control: Control, name: str, counters: dict[str, Counter]) -> set[tuple[str, str, int]]:
    user = control.users.get(name)
    actor = Actor("api_token", f"{name}/ci", user.role, user.id)
    return {(line.who, line.measure, line.remaining) for line in quota(control, counters, actor, NOW)}


def test_every_limit_that_ones_calls_count_against(control: Control) -> None:
    everybody = limit(control, scope="global")
    bobs = limit(control, scope="project", name="bobs", amount=50)
    users = limit(control, scope="user")
    limit(control, scope="user", name="ada", measure="cost", amount=5)
    tokens = limit(control, scope="token", per="day")
    limit(control, scope="token", name="others/adas", amount=7)
    others = limit(control, scope="project", name="others", measure="tokens", amount=9)
    limit(control, scope="project", name="s*", amount=30)
    limit(control, scope="model", amount=1)
    token = control.tokens.get("bobs-one").id
    counters = {
        f"{everybody}:": used(60, 30),
        f"{bobs}:": used(49),
        f"{users}:bob": used(1),
        f"{users}:ada": used(100),
        f"{tokens}:others/adas": used(99),
        f"{others}:": used(20),
        f"{token}:": used(4),
    }
    assert left(control, "bob", counters) == {
        ("everybody together", "requests", 10),
        ("user bob", "requests", 99),
        ("project bobs", "requests", 1),
        ("project s*", "requests", 30),
        ("project others", "tokens", 0),
        ("token others/bobs-one", "requests", 100),
        ("token others/bobs-one", "requests", 6),
    }
    assert ("user ada", "cost", 5) in left(control, "ada", counters)
    control.tokens.revoke("bobs-one")
    assert "project others" not in {who for who, _, _ in left(control, "bob", counters)}


def test_whoever_is_no_user_has_what_everybody_has(control: Control) -> None:
    limit(control, scope="global")
    limit(control, scope="user")
    owner = Actor("session", "owner", "admin")
    assert [line.who for line in quota(control, {}, owner, NOW)] == ["everybody together"]
