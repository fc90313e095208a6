"""Tokens of the management API."""

from datetime import timedelta

import pytest

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.home import Home
from llm_intercept.policy.apitokens import SCOPES, allows
from llm_intercept.store.api_tokens import parsed_lifetime
from llm_intercept.store.control import Control
from tests.store.conftest import Clock


def test_a_token_is_found_by_its_text_alone(control: Control, home: Home) -> None:
    ada = control.users.create("ada", role="viewer")
    made = control.api_tokens.create(ada.id, "ci", "write")
    assert made.text.startswith("llm_api_")
    assert made.text not in repr(made)
    found = control.api_tokens.find(made.text)
    assert found is not None
    assert (found.user, found.user_id, found.role, found.scope, found.state) == (
        "ada",
        ada.id,
        "viewer",
        "write",
        "active",
    )
    stored = home.control_db.read_bytes() + home.control_db.with_name("control.db-wal").read_bytes()
    assert made.text.encode() not in stored
    swapped = made.text[:-7] + ("a" if made.text[-7] != "a" else "b") + made.text[-6:]
    for wrong in ("", "llm_api_", made.text[:-1], swapped, made.text.replace("llm_api_", "lli_"), "nonsense"):
        assert control.api_tokens.find(wrong) is None


def test_the_local_administrators(control: Control) -> None:
    made = control.api_tokens.create("", "backup")
    assert (made.token.user, made.token.user_id, made.token.role) == ("", "", "admin")
    assert [token.name for token in control.api_tokens.list("")] == ["backup"]


def test_states(control: Control, clock: Clock) -> None:
    ada = control.users.create("ada")
    short = control.api_tokens.create(ada.id, "short", lifetime=timedelta(seconds=60))
    revoked, kept = (control.api_tokens.create(ada.id, name) for name in ("gone", "kept"))
    first = control.api_tokens.revoke("gone")
    clock.now += 60
    assert control.api_tokens.revoke("gone").revoked_at == first.revoked_at

    def state(text: str) -> str:
        found = control.api_tokens.find(text)
        assert found is not None
        return found.state

    assert [state(token.text) for token in (short, revoked, kept)] == ["expired", "revoked", "active"]
    control.users.change("ada", active=False)
    assert state(kept.text) == "inactive"
    control.users.change("ada", active=True)
    control.users.remove("ada")
    assert control.api_tokens.find(kept.text) is None


def test_names(control: Control) -> None:
    ada, bob = control.users.create("ada"), control.users.create("bob")
    old = control.api_tokens.create(ada.id, "ci")
    control.api_tokens.create("", "ci")
    with pytest.raises(Conflict, match="already"):
        control.api_tokens.create(ada.id, "CI")
    with pytest.raises(Conflict, match="give its id"):
        control.api_tokens.get("ci")
    with pytest.raises(NotFound):
        control.api_tokens.get("ci", bob.id)
    with pytest.raises(NotFound):
        control.api_tokens.revoke(old.token.id, bob.id)
    control.api_tokens.revoke("ci", ada.id)
    new = control.api_tokens.create(ada.id, "ci")
    assert control.api_tokens.get("ci", ada.id) == new.token
    with pytest.raises(ConfigError):
        control.api_tokens.create(ada.id, "not a name")
    with pytest.raises(ConfigError, match="scope"):
        control.api_tokens.create(ada.id, "x", "admin")
    with pytest.raises(NotFound, match="no such user"):
        control.api_tokens.create("usr_0", "x")


def test_being_used_is_written_once_a_minute(control: Control, clock: Clock) -> None:
    made = control.api_tokens.create("", "ci")
    assert made.token.last_used_at is None
    times = []
    for _ in range(5):
        control.api_tokens.find(made.text)
        times.append(control.api_tokens.get("ci").last_used_at)
        clock.now += 20
    assert len(set(times)) == 2
    assert times[0] == times[2]
    assert times[3] == times[4]


def test_scopes_include_those_before_them() -> None:
    assert [[allows(granted, wanted) for wanted in SCOPES] for granted in SCOPES] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert not allows("", "usage")


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", "40000"])
def test_days_that_cannot_be(text: str) -> None:
    with pytest.raises(ConfigError):
        parsed_lifetime(text)


def test_days() -> None:
    assert parsed_lifetime(" ") is None
    assert parsed_lifetime("30") == timedelta(days=30)
