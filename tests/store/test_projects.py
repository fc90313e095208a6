from collections.abc import Callable
from datetime import timedelta

import pytest

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.policy.allow import Policy
from llm_intercept.store.control import Control
from tests.store.conftest import Clock


def test_default_always_exists(control: Control) -> None:
    assert [project.name for project in control.projects.list()] == ["default"]


def test_a_project(control: Control, clock: Clock) -> None:
    made = control.projects.create("Demo.1_x-y", capture="all")
    assert made == control.projects.get("Demo.1_x-y")
    assert (made.capture, made.active, made.tokens) == ("all", True, 0)
    assert made.id.startswith("prj_")
    assert made.created_at == "2026-11-18T11:06:40.000000Z"
    assert [project.name for project in control.projects.list()] == ["default", "Demo.1_x-y"]


def test_working_tokens_are_counted(control: Control, clock: Clock) -> None:
    for name in ("a", "b", "c"):
        control.tokens.create("default", name, lifetime=timedelta(days=1) if name == "c" else None)
    control.tokens.revoke("a")
    assert control.projects.get("default").tokens == 2
    clock.now += 86_400
    assert control.projects.get("default").tokens == 1


def test_changes(control: Control) -> None:
    assert control.projects.set_capture("default", "errors").capture == "errors"
    assert control.projects.set_capture("default", None).capture is None
    assert not control.projects.set_active("default", False).active


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 65, "a\n", "'"])
def test_names_that_are_none(control: Control, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a project"):
        control.projects.create(name)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda p: p.create("default"), Conflict, "named 'default' exists already"),
        (lambda p: p.create("DEFAULT"), Conflict, "exists already"),
        (lambda p: p.get("nope"), NotFound, "llm-intercept project create nope"),
        (lambda p: p.set_active("nope", False), NotFound, "no project named 'nope'"),
        (lambda p: p.set_capture("default", "some"), ConfigError, "none, errors or all"),
        (lambda p: p.create("x", capture="some"), ConfigError, "none, errors or all"),
        (
            lambda p: p.create("x", cache="yes"),
            ConfigError,
            "'yes' is not a way to cache .* off, opt-in or on",
        ),
        (lambda p: p.change("default", cache=""), ConfigError, "off, opt-in or on"),
    ],
)
def test_errors(
    control: Control, act: Callable[[object], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        act(control.projects)


def test_owner_and_members(control: Control) -> None:
    for name in ("ada", "bob", "cleo"):
        control.users.create(name, email=f"{name}@example.com")
    made = control.projects.create("demo", owner="ada@example.com", members=["cleo", "bob"])
    assert (made.owner, made.members) == ("ada", ("bob", "cleo"))
    changed = control.projects.change("demo", owner="bob", add=["ada", "bob"], remove=["cleo"])
    assert (changed.owner, changed.members) == ("bob", ("ada", "bob"))
    assert control.projects.change("demo", owner="").owner == ""
    ada = control.users.get("ada")
    assert [project.name for project in control.projects.of_user(ada.id)] == ["demo"]
    assert control.projects.of_user(control.users.get("cleo").id) == []
    with pytest.raises(NotFound, match="no user 'nobody'"):
        control.projects.change("demo", owner="nobody")
    with pytest.raises(NotFound, match="no user 'nobody'"):
        control.projects.create("other", members=["nobody"])
    assert [project.name for project in control.projects.list()] == ["default", "demo"]


def test_policy_and_hangup(control: Control) -> None:
    policy = Policy(models=("gpt-4o-*",))
    made = control.projects.create("demo", policy=policy, hangup="drain")
    assert (made.policy, made.hangup) == (policy, "drain")
    changed = control.projects.change("demo", policy=Policy(), hangup="cut")
    assert (changed.policy, changed.hangup) == (Policy(), "cut")
    with pytest.raises(ConfigError, match="cut or drain"):
        control.projects.change("demo", hangup="wait")  # type: ignore[arg-type]


def test_which_answers_are_stored(control: Control) -> None:
    assert control.projects.get("default").cache is None
    assert control.projects.create("demo", cache="off").cache == "off"
    assert control.projects.change("demo", cache="opt-in").cache == "opt-in"
    assert control.projects.change("demo", hangup="drain").cache == "opt-in"
    assert control.projects.change("demo", cache="default").cache is None
