"""Failures leave a row too, and a row never outlives what it is about."""

import json
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.manage import Management
from llm_intercept.manage.accounts import Accounts
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.routing import Route
from llm_intercept.store.tokens import Wanted
from tests.manage.conftest import ADMIN, People, count, last


def test_what_fails_is_written_down(manage: Management) -> None:
    manage.projects.create(ADMIN, "red")
    with pytest.raises(Conflict):
        manage.projects.create(ADMIN, "RED")
    row = last(manage)
    assert (row.action, row.outcome, row.object_name) == ("project.create", "failed", "RED")
    assert "exists already" in row.detail


@pytest.mark.parametrize(
    "act",
    [
        lambda m: m.projects.change(ADMIN, "nix", active=False),
        lambda m: m.tokens.revoke(ADMIN, "nix"),
        lambda m: m.users.delete(ADMIN, "nix"),
        lambda m: m.keys.delete(ADMIN, "openai", "nix"),
        lambda m: m.routes.delete(ADMIN, "nix"),
        lambda m: m.listeners.delete(ADMIN, "nix"),
        lambda m: m.listeners.change(ADMIN, "nix", is_free_at=lambda *_: True, cache="on"),
        lambda m: m.limits.delete(ADMIN, "nix"),
        lambda m: m.limits.change(ADMIN, "nix", amount=7),
        lambda m: m.failures.reset(ADMIN, "project", "nix"),
    ],
)
def test_what_is_not_there(manage: Management, act: object) -> None:
    with pytest.raises(NotFound):
        act(manage)
    assert (count(manage), last(manage).outcome) == (1, "failed")
    assert "nix" in last(manage).object_name


def test_half_a_change_is_none(manage: Management) -> None:
    manage.keys.create(ADMIN, "openai", SecretStr("sk-1234567890123456"))
    with pytest.raises(Exception, match="pool"):
        manage.keys.change(ADMIN, "openai", "default", weight=7, pool="no such/pool")
    assert manage.keys.get(ADMIN, "openai").weight == 1
    assert last(manage).outcome == "failed"


def test_before_and_after(manage: Management, people: People) -> None:
    manage.projects.change(people.admin, "red", hangup="drain", active=False)
    assert last(manage).changes() == [("active", True, False), ("hangup", "cut", "drain")]
    manage.tokens.revoke(people.member, "laptop", "red")
    assert [name for name, _, _ in last(manage).changes()] == ["state", "revoked_at"]


def test_secrets_are_in_no_row(manage: Management) -> None:
    secret = "sk-canary-7f3a9b2c4d5e6f70"
    with pytest.raises(ConfigError):
        manage.keys.create(
            ADMIN, "openai", SecretStr(secret), base_url="https://me:hunter2hunter@relay.example/v1"
        )
    manage.keys.create(ADMIN, "openai", SecretStr(secret), base_url="https://relay.example/v1")
    made = manage.tokens.create(ADMIN, "default", "laptop")
    pair = manage.tokens.create(ADMIN, "default", "aws", aws=True)
    fresh = manage.tokens.refresh(ADMIN, "laptop")
    many = manage.tokens.create_many(ADMIN, "default", "many", 2, Wanted())
    assert pair.secret is not None
    secrets = [secret, "hunter2hunter", made.text, pair.text, pair.secret.get_secret_value(), fresh.text]
    said = json.dumps([row.document() for row in manage.audit.after(0, 100)])
    for text in (*secrets, *(new.text for new in many)):
        assert text not in said
    digest = manage.control.database.vault.digest(made.text)
    assert digest.hex() not in said


KEY = "sk-proj-0123456789abcdefghij"
RANDOM = "q7Rz2Xw9Lm4Tn8Vb5Kc3Jh6Gf1Ds0Pa7Yt2"


@pytest.mark.parametrize("key", [KEY, RANDOM])
def test_a_key_where_a_name_belongs_is_refused_and_not_repeated(manage: Management, key: str) -> None:
    target = {"provider": "openai", "overrides": {"extra_headers": {"x-api-key": "hunter2hunter"}}}
    attempts: list[Callable[[], object]] = [
        lambda: manage.projects.create(ADMIN, key),
        lambda: manage.tokens.create(ADMIN, "default", key),
        lambda: manage.keys.create(ADMIN, "openai", SecretStr("sk-right-0123456789"), name=key),
        lambda: manage.aliases.set(ADMIN, "fast", key),
        lambda: manage.users.create(ADMIN, "mia", email=f"{key}@example.com"),
        lambda: Accounts(Desk(manage.control, manage.audit)).create_api_token(ADMIN, key),
        lambda: manage.routes.set(ADMIN, Route.model_validate({"name": "r", "targets": [target]})),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError, match="looks like a key") as refused:
            attempt()
        assert key not in str(refused.value)
        assert "hunter2" not in str(refused.value)
    said = json.dumps([row.document() for row in manage.audit.after(0, 100)])
    assert key not in said
    assert [each.name for each in manage.projects.list(ADMIN)] == ["default"]


def test_a_key_that_stands_there_already_does_not_stop_other_changes(manage: Management) -> None:
    old = {"name": "old", "targets": [{"provider": "openai", "overrides": {"api_key": "hunter2hunter"}}]}
    manage.control.routes.set(Route.model_validate(old))
    manage.routes.disable(ADMIN, "old")
