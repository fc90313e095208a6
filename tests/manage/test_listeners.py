"""Listeners changed by somebody: what is looked up, what goes along, and what the audit log says."""

from typing import Any

import pytest

from llm_intercept.errors import ConfigError, Conflict, InterceptError, NotFound
from llm_intercept.manage import Management
from llm_intercept.policy.limits import Limit
from llm_intercept.store.listeners import Listener
from tests.manage.conftest import ADMIN, count, last


@pytest.fixture(autouse=True)
def _team(manage: Management) -> None:
    manage.projects.create(ADMIN, "Red")
    manage.listeners.create(ADMIN, "team", is_free=lambda _: True, port=8101, provider="GROQ")


def change(manage: Management, name: str = "team", **changes: Any) -> Listener:
    return manage.listeners.change(ADMIN, name, is_free_at=lambda *_: True, **changes)


def test_one_row_says_what_was_changed(manage: Management) -> None:
    before = count(manage)
    changed = change(manage, project="red", provider="OpenAI", new_name="staff")
    assert (changed.name, changed.project, changed.provider) == ("staff", "Red", "openai")
    row = last(manage)
    assert (count(manage), row.action, row.object_name) == (before + 1, "listener.change", "staff")
    assert [found for found in row.changes() if found[0] != "changed_at"] == [
        ("name", "team", "staff"),
        ("provider", "groq", "openai"),
        ("project", "", "Red"),
    ]


def test_a_reverse_proxy_has_the_provider_of_its_url(manage: Management) -> None:
    changed = change(manage, mode="reverse:https://api.anthropic.com")
    assert (changed.provider, changed.mode) == ("anthropic", "reverse:https://api.anthropic.com")
    assert change(manage, provider="").provider == "anthropic", "it can have no other"
    assert change(manage, cache="on").provider == "anthropic"
    assert change(manage, mode="regular").provider == "anthropic", "kept until somebody says another"
    assert change(manage, provider="").provider == ""


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"provider": "nix"}, NotFound, "no provider 'nix'"),
        ({"project": "nix"}, NotFound, "no project named 'nix'"),
        ({"mode": "reverse:https://example.com"}, ConfigError, "example.com is no provider's host"),
        ({"mode": "reverse:https://api.openai.com", "provider": "groq"}, ConfigError, "is OpenAI, not groq"),
    ],
)
def test_what_is_not_known(
    manage: Management, changes: dict[str, str], error: type[InterceptError], message: str
) -> None:
    was = manage.listeners.get(ADMIN, "team")
    with pytest.raises(error, match=message):
        change(manage, cache="on", **changes)
    assert manage.listeners.get(ADMIN, "team") == was
    assert (last(manage).action, last(manage).outcome) == ("listener.change", "failed")


def test_a_limit_holds_the_name(manage: Management) -> None:
    made = manage.limits.set(
        ADMIN, Limit(scope="listener", name="team", measure="requests", amount=5, per="day")
    )
    with pytest.raises(Conflict, match="a limit is set for the listener team"):
        change(manage, "TEAM", new_name="staff")
    assert change(manage, new_name="team", cache="on").cache == "on"
    manage.limits.delete(ADMIN, made.id)
    assert change(manage, new_name="staff").name == "staff"


def test_files_of_wireguard_go_along_and_away(manage: Management) -> None:
    """Those of others, whose names begin in the same way, stay."""
    home = manage.control.path.parent
    for name in ("team", "team.eu"):
        (home / f"wireguard-{name}.conf").write_text("[Interface]")
        (home / f"wireguard-{name}.keys.json").write_text("{}")
    change(manage, new_name="staff")
    found = sorted(path.name for path in home.glob("wireguard-*"))
    names = ("staff.conf", "staff.keys.json", "team.eu.conf", "team.eu.keys.json")
    assert found == [f"wireguard-{name}" for name in names]
    manage.listeners.create(ADMIN, "team", is_free=lambda _: True, port=8102)
    manage.listeners.delete(ADMIN, "team")
    manage.listeners.delete(ADMIN, "staff")
    assert sorted(path.name for path in home.glob("wireguard-*")) == [
        f"wireguard-{name}" for name in names[2:]
    ]
