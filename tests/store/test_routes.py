import json
import logging
from contextlib import closing
from typing import Any

import pytest
from pydantic import SecretStr

from llm_intercept.errors import ConfigError, NotFound
from llm_intercept.home import Home
from llm_intercept.policy.routing import Route, read_route
from llm_intercept.store.control import Control
from llm_intercept.store.migrate import connect
from llm_intercept.vault import Vault
from tests.store.conftest import Clock


def route(name: str, *targets: str, **rest: Any) -> Route:
    return read_route({"name": name, "targets": list(targets or ("openai/",)), **rest})


def names(control: Control) -> list[str]:
    return [stored.name for stored in control.routes.list()]


def routing(control: Control) -> list[str]:
    control.refresh()
    return [found.name for found in control.routing]


def test_what_is_set_is_what_the_proxy_sees(control: Control, clock: Clock) -> None:
    given = route(
        "long",
        "openai/gpt-5@team*2",
        match={"min_tokens": 60_000, "projects": ["demo"]},
        strategy="weighted",
        longer=["gemini/gemini-2.5-pro"],
    )
    stored = control.routes.set(given)
    assert (stored.position, stored.enabled, stored.route, stored.problem) == (1, True, given, "")
    assert stored.id.startswith("rte_")
    assert stored.created_at == stored.changed_at == "2026-11-18T11:06:40.000000Z"
    control.refresh()
    assert control.routing == (given,)


def test_setting_again_keeps_the_place_and_the_switch(control: Control, clock: Clock) -> None:
    for name in ("a", "b"):
        control.routes.set(route(name))
    control.routes.disable("a")
    clock.now += 60
    changed = control.routes.set(route("A", "groq/"))
    assert (changed.name, changed.position, changed.enabled) == ("A", 1, False)
    assert changed.changed_at > changed.created_at
    assert changed.route is not None
    assert changed.route.targets[0].provider == "groq"
    assert names(control) == ["A", "b"]


@pytest.mark.parametrize(
    ("name", "position", "order"),
    [("c", 1, "cabd"), ("a", 4, "bcda"), ("a", 99, "bcda"), ("b", 2, "abcd"), ("d", 2, "adbc")],
)
def test_moving(control: Control, name: str, position: int, order: str) -> None:
    for letter in "abcd":
        control.routes.set(route(letter))
    control.routes.move(name, position)
    assert "".join(names(control)) == order
    assert [stored.position for stored in control.routes.list()] == [1, 2, 3, 4]
    assert "".join(routing(control)) == order


def test_a_new_one_at_a_position(control: Control) -> None:
    for letter in "ab":
        control.routes.set(route(letter))
    assert control.routes.set(route("c"), 2).position == 2
    assert names(control) == ["a", "c", "b"]
    assert control.routes.set(route("b"), 1).position == 1
    assert names(control) == ["b", "a", "c"]


def test_removing_leaves_no_hole(control: Control) -> None:
    for letter in "abc":
        control.routes.set(route(letter))
    assert control.routes.remove("B").name == "b"
    assert [(stored.name, stored.position) for stored in control.routes.list()] == [("a", 1), ("c", 2)]
    assert control.routes.set(route("d")).position == 3


def test_switching(control: Control) -> None:
    for letter in "ab":
        control.routes.set(route(letter))
    assert not control.routes.disable("a").enabled
    assert routing(control) == ["b"]
    assert control.routes.enable("a").enabled
    assert routing(control) == ["a", "b"]


@pytest.mark.parametrize("act", ["get", "remove", "enable", "disable"])
def test_what_does_not_exist(control: Control, act: str) -> None:
    with pytest.raises(NotFound, match=r"no route 'long'; `llm-intercept route list`"):
        getattr(control.routes, act)("long")
    control.routes.set(route("longer"))
    with pytest.raises(NotFound, match="did you mean 'longer'"):
        getattr(control.routes, act)("long")


def test_positions_begin_with_one(control: Control) -> None:
    control.routes.set(route("a"))
    with pytest.raises(ConfigError, match="begin with 1"):
        control.routes.move("a", 0)
    with pytest.raises(ConfigError, match="begin with 1"):
        control.routes.set(route("b"), 0)
    assert names(control) == ["a"]


@pytest.mark.parametrize(
    "document",
    ['{"name": "new", "targets": ["openai/"], "later": 1}', '{"name": "new", "targets": [', "[]"],
)
def test_a_document_of_a_newer_version_is_left_out(
    home: Home, control: Control, caplog: pytest.LogCaptureFixture, document: str
) -> None:
    for name in ("new", "old"):
        control.routes.set(route(name))
    with closing(connect(home.control_db)) as other:
        other.execute("UPDATE routes SET document = ? WHERE name = 'new'", (document,))
    with caplog.at_level(logging.WARNING):
        assert routing(control) == ["old"]
        control.projects.create("x")
        assert routing(control) == ["old"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert said[0].startswith("the route new is left out: it cannot be read here")
    stored = control.routes.get("new")
    assert stored.route is None
    assert "cannot be read here" in stored.problem
    assert control.routes.disable("new").enabled is False
    assert control.routes.set(route("new")).problem == ""
    assert control.routes.remove("new").name == "new"


def test_documents_hold_what_was_said(home: Home, control: Control) -> None:
    control.routes.set(route("a", "openai/gpt-5", match={"image": True}))
    with closing(connect(home.control_db, readonly=True)) as other:
        (document,) = other.execute("SELECT document FROM routes").fetchone()
    assert json.loads(document) == {
        "name": "a",
        "match": {"image": True},
        "targets": [{"provider": "openai", "model": "gpt-5"}],
    }


def test_another_connection_sees_it_at_once(home: Home, vault: Vault, control: Control, clock: Clock) -> None:
    with closing(Control(home.control_db, vault, clock=clock)) as other:
        other.routes.set(route("a"))
        assert routing(control) == ["a"]
        before = control.routing
        control.refresh()
        assert control.routing is before
        other.breakers.ask("openai")
        control.refresh()
        assert list(control.resets) == [("openai", "", "")]


def test_resets(control: Control, clock: Clock) -> None:
    control.breakers.ask()
    control.breakers.ask("openai", "default", "gpt-5")
    first = control.breakers.asked()
    assert first == {
        ("", "", ""): 1_795_000_000_000_000,
        ("openai", "default", "gpt-5"): 1_795_000_000_000_000,
    }
    control.breakers.ask()
    assert control.breakers.asked()["", "", ""] == 1_795_000_000_000_001
    clock.now += 1
    control.breakers.ask()
    control.refresh()
    assert control.resets["", "", ""] == 1_795_000_001_000_000
    assert control.resets["openai", "default", "gpt-5"] == 1_795_000_000_000_000


def test_the_keys_of_a_provider(control: Control, clock: Clock) -> None:
    for name, weight, pool in (("first", 1, ""), ("second", 3, "team"), ("third", 2, "")):
        control.credentials.add("openai", SecretStr(f"sk-{name}"), name=name, weight=weight, pool=pool)
        clock.now += 1
    control.credentials.add("groq", SecretStr("gsk-x"))
    control.refresh()
    found = control.keys("openai")
    assert [(key.name, key.weight, key.pool, key.secret.get_secret_value()) for key in found] == [
        ("first", 1, "", "sk-first"),
        ("second", 3, "team", "sk-second"),
        ("third", 2, "", "sk-third"),
    ]
    assert control.keys("openai") is found
    assert control.credential("openai") is found[0]
    assert control.keys("mistral") == ()
    assert control.keyed() == {"openai", "groq"}
    control.credentials.disable("openai", "first")
    control.refresh()
    assert [key.name for key in control.keys("openai")] == ["second", "third"]


def test_a_key_is_decrypted_when_it_is_used(home: Home, control: Control) -> None:
    """One that cannot be opened does not keep the others from being used."""
    for name in ("first", "second"):
        control.credentials.add("openai", SecretStr(f"sk-{name}"), name=name)
    with closing(connect(home.control_db)) as other:
        other.execute("UPDATE credentials SET secret = x'00' WHERE name = 'second'")
    control.refresh()
    stored = control.credential("openai")
    assert stored is not None
    assert stored.name == "first"
    with pytest.raises(ConfigError):
        control.keys("openai")


def test_weight_and_pool(control: Control) -> None:
    added = control.credentials.add("openai", SecretStr("sk-x"))
    assert (added.weight, added.pool) == (1, "")
    assert control.credentials.set_weight("openai", "default", 5).weight == 5
    assert control.credentials.set_pool("openai", "default", "team").pool == "team"
    assert control.credentials.set_pool("openai", "default", "").pool == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weight": 0}, "a number from 1"),
        ({"weight": 10_000_000}, "to 1,000,000"),
        ({"pool": "1st"}, "cannot be the name of a pool"),
        ({"pool": "a b"}, "cannot be the name of a pool"),
    ],
)
def test_weights_and_pools_that_are_none(control: Control, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        control.credentials.add("openai", SecretStr("sk-x"), **change)
    assert control.credentials.list() == []
