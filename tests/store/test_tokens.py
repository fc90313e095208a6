from datetime import timedelta

import pytest

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.policy.tokens import Wellformed, parse
from llm_intercept.store.control import Control
from tests.store.conftest import Clock


def test_a_new_token(control: Control, clock: Clock) -> None:
    new = control.tokens.create("default", "laptop", user="ada", lifetime=timedelta(days=30))
    assert parse(new.text) == Wellformed(new.text)
    token = new.token
    assert control.tokens.list() == [token]
    assert (token.project, token.name, token.user, token.kind) == ("default", "laptop", "ada", "bearer")
    assert (token.state, token.created_at[:10], (token.expires_at or "")[:10]) == (
        "active",
        "2026-11-18",
        "2026-12-18",
    )
    assert token.hint == f"{new.text[:8]}...{new.text[-4:]}"


def test_an_aws_pair(control: Control) -> None:
    new = control.tokens.create("default", "bedrock", aws=True)
    assert new.token.kind == "aws"
    assert new.text.startswith("LLIA")
    assert new.secret is not None
    assert len(new.secret.get_secret_value()) == 40


def test_lists_by_project(control: Control) -> None:
    control.projects.create("demo")
    for project in ("default", "demo"):
        control.tokens.create(project, "laptop")
    assert [token.project for token in control.tokens.list()] == ["default", "demo"]
    assert [token.project for token in control.tokens.list("demo")] == ["demo"]
    with pytest.raises(NotFound):
        control.tokens.list("nope")


def test_states(control: Control, clock: Clock) -> None:
    for name in ("revoked", "expired", "active"):
        control.tokens.create("default", name, lifetime=timedelta(hours=1) if name == "expired" else None)
    clock.now += 3600
    first = control.tokens.revoke("revoked")
    assert {token.name: token.state for token in control.tokens.list()} == {
        "revoked": "revoked",
        "expired": "expired",
        "active": "active",
    }
    clock.now += 5
    assert control.tokens.revoke("revoked") == first
    control.projects.set_active("default", False)
    assert control.tokens.get("active").state == "inactive"


def test_references(control: Control) -> None:
    control.projects.create("demo")
    ours = control.tokens.create("default", "laptop").token
    theirs = control.tokens.create("demo", "laptop").token
    only = control.tokens.create("demo", "server").token
    assert control.tokens.get(ours.id) == ours
    assert control.tokens.get("laptop", "demo") == theirs
    assert control.tokens.get("server") == only
    with pytest.raises(Conflict, match=r"default, demo.*say --project"):
        control.tokens.revoke("laptop")
    with pytest.raises(NotFound, match="llm-intercept token list"):
        control.tokens.get("nope")


def test_errors(control: Control) -> None:
    control.tokens.create("default", "laptop")
    control.tokens.revoke("laptop")
    with pytest.raises(Conflict, match="'default' has a token named 'laptop' already"):
        control.tokens.create("default", "laptop")
    with pytest.raises(NotFound, match="no project named 'nope'"):
        control.tokens.create("nope", "laptop")
    with pytest.raises(ConfigError, match="cannot be the name of a token"):
        control.tokens.create("default", "own:abc")
