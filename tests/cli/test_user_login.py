"""Passwords, invites and logins from the command line."""

from pathlib import Path

import pytest

from llm_intercept import presence
from llm_intercept.hashing import Hasher
from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def users(cli) -> None:
    cli("user", "create", "ada", "--role", "admin")
    cli("user", "create", "bob")


@pytest.fixture
def control(home: Path):
    found = Control(Home(home).control_db, Vault.load(Home(home).secret_key, {}))
    yield found
    found.close()


def hash_of(control: Control, name: str) -> str:
    return control.accounts.attempt(name, "192.0.2.1").hash


def test_a_password_is_set(cli, control) -> None:
    cookie = control.sessions.open("bob", "member", hours=1, user_id=control.users.get("bob").id)
    result = cli("user", "password", "bob", "--stdin", stdin=PASSWORD + "\n")
    assert PASSWORD not in result.output
    assert Hasher().verify(hash_of(control, "bob"), PASSWORD).right
    assert control.sessions.find(cookie) is None
    asked = cli("user", "password", "bob", stdin="another long one\nanother long one\n")
    assert "another long one" not in asked.output
    assert Hasher().verify(hash_of(control, "bob"), "another long one").right


@pytest.mark.parametrize(("name", "typed", "code"), [("bob", "short\n", 1), ("eve", PASSWORD, 3)])
def test_a_password_that_is_not_set(cli, name: str, typed: str, code: int) -> None:
    result = cli("user", "password", name, "--stdin", stdin=typed, code=code)
    assert result.stderr.startswith("Error: ")


def test_an_invite_leads_to_the_dashboard_that_is_running(home: Path, cli) -> None:
    presence.announce(home, "http://127.0.0.1:18001", presence.DASHBOARD)
    assert cli("user", "invite", "bob").stdout.startswith("http://127.0.0.1:18001/-/llm/invite?code=")
    assert "http://127.0.0.1:18001/-/llm/login" in cli("dashboard", "--login-link").stdout


def test_an_invite(cli, cli_json, control) -> None:
    result = cli("user", "invite", "bob")
    assert result.stdout.startswith("http://127.0.0.1:8001/-/llm/invite?code=")
    assert "within 7d" in result.stderr
    made = cli_json(
        "user",
        "invite",
        "bob",
        "--expires",
        "12h",
        env={"LLM_INTERCEPT_DASHBOARD__URL": "https://x.example/"},
    )
    assert made["link"].startswith("https://x.example/-/llm/invite?code=")
    assert made["expires_in"] == 43_200
    user = control.invites.find(made["link"].partition("code=")[2])
    assert user is not None
    assert user.name == "bob"
    cli("user", "set", "bob", "--inactive")
    assert "inactive" in cli("user", "invite", "bob", code=1).stderr


def test_an_invite_is_withdrawn(cli, cli_json, control) -> None:
    code = cli_json("user", "invite", "bob")["link"].partition("code=")[2]
    assert "is withdrawn" in cli("user", "invite", "bob", "--withdraw").stdout
    assert control.invites.find(code) is None
    assert "no invite waits for bob" in cli("user", "invite", "bob", "--withdraw", code=3).stderr


def test_sessions_are_shown_and_ended(cli, cli_json, control) -> None:
    bob = control.users.get("bob")
    for user_id in (bob.id, bob.id, ""):
        control.sessions.open(
            "bob", "member", hours=1, user_id=user_id, user_agent="Browser/1.0", method="password"
        )
    assert "Browser/1.0" in cli("user", "sessions", "bob").stdout
    assert [one["user_id"] for one in cli_json("user", "sessions", "bob")] == [bob.id] * 2
    assert len(cli_json("user", "sessions")) == 1
    assert "not logged in" in cli("user", "sessions", "ada").stdout
    first = cli_json("user", "sessions", "bob")[0]["id"]
    assert f"Ended: {first}." in cli("user", "sessions", "bob", "--end", first).stdout
    assert "no login" in cli("user", "sessions", "bob", "--end", first, code=3).stderr
    left = cli_json("user", "sessions", "bob")[0]["id"]
    assert "no login" in cli("user", "sessions", "ada", "--end", left, code=3).stderr
    assert cli_json("user", "sessions", "bob", "--revoke") == {"ended": 1}
    assert len(control.sessions.list()) == 1
    assert "Ended: 1." in cli("user", "sessions", "--revoke").stdout
    cli("user", "sessions", "eve", code=3)


def test_api_tokens(cli, cli_json, control) -> None:
    text = cli("apitoken", "create", "--name", "backup", "--expires", "90d").stdout.strip()
    found = control.api_tokens.find(text)
    assert (found.user_id, found.role, found.scope, found.state) == ("", "admin", "read", "active")
    made = cli_json("apitoken", "create", "--name", "notebook", "--user", "bob", "--scope", "usage")
    assert set(made) == {"token", "id", "name", "expires_at"}
    assert control.api_tokens.find(made["token"]).user == "bob"
    listed = cli("apitoken", "list").stdout
    assert "backup" in listed
    assert text not in listed
    cli("apitoken", "revoke", "notebook")
    assert control.api_tokens.find(made["token"]).state == "revoked"
    assert [token["name"] for token in cli_json("apitoken", "list")] == ["backup"]
    assert len(cli_json("apitoken", "list", "--all")) == 2
    cli("apitoken", "revoke", "nothing", code=3)
    cli("apitoken", "create", "--name", "backup", code=1)
    cli("apitoken", "create", "--name", "x", "--user", "eve", code=3)
    cli("apitoken", "create", "--name", "x", "--scope", "everything", code=2)


def test_links_to_begin_with(cli) -> None:
    assert "/-/llm/login?code=" in cli("dashboard", "--login-link").stdout
    refused = cli("dashboard", "--setup-link", code=1)
    assert "there are users already" in refused.stderr
