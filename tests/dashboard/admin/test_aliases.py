"""Aliases by their forms: made, led elsewhere, removed; loops are refused."""

import pytest

from tests.dashboard.admin.conftest import Admin, said

EDIT = "/aliases/edit"


def active(admin: Admin) -> dict[str, dict[str, str]]:
    with admin.control() as control:
        return {project: dict(names) for project, names in control.aliases.active().items()}


def test_made_changed_and_removed(admin: Admin) -> None:
    assert "No aliases yet" in admin.get("/aliases")
    text = admin.done(EDIT, name="fast/*", target="openai/gpt-5-mini")
    assert "fast/* leads to openai/gpt-5-mini" in said(text)
    assert "name=fast%2F%2A&amp;project=" in text
    admin.done(EDIT, name="fast", target="sim/echo", project="default")
    admin.done(f"{EDIT}?name=fast%2F%2A&project=", target="openai/gpt-5-nano")
    assert active(admin) == {"": {"fast/*": "openai/gpt-5-nano"}, "default": {"fast": "sim/echo"}}
    assert admin.last_audit().action == "alias.change"
    path = "/aliases/delete?name=fast&project=default"
    assert "sim/echo" in admin.get(path)
    admin.done(path, confirmed="yes")
    assert active(admin) == {"": {"fast/*": "openai/gpt-5-nano"}}
    assert admin.visitor.get(f"/-/llm/manage{EDIT}?name=nothing").status_code == 404


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"name": ""}, "name", "needed"),
        ({"name": "a b"}, "name", "cannot be a model's name"),
        ({"target": ""}, "target", "needed"),
        ({"project": "nothing"}, "project", "no project"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin: Admin, fields: dict[str, str], where: str, words: str
) -> None:
    assert words in admin.refused(EDIT, **({"name": "fast", "target": "sim/echo"} | fields))[where]
    assert active(admin) == {}


def test_a_loop_is_refused(admin: Admin) -> None:
    admin.done(EDIT, name="one", target="two")
    found = admin.refused(EDIT, name="two", target="one")
    assert "one" in next(iter(found.values()))
    assert active(admin) == {"": {"one": "two"}}


def test_those_of_the_settings_are_shown(admin: Admin) -> None:
    (admin.home.path / "config.toml").write_text('[models.aliases]\nquick = "sim/echo"\n')
    assert "quick" in admin.get("/aliases")
