import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from llm_intercept.errors import ConfigError, StoreError
from llm_intercept.exchange import Principal
from llm_intercept.home import Home
from llm_intercept.policy.tokens import new_token
from llm_intercept.store.control import (
    Control,
    Expired,
    Inactive,
    Mistyped,
    Revoked,
    TokenState,
    Unknown,
    Valid,
)
from llm_intercept.vault import Vault
from tests.store.conftest import Clock

CHANGE = """
import sys
from pathlib import Path
from llm_intercept.home import Home
from llm_intercept.policy.tokens import new_token
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

home = Home(Path(sys.argv[1]))
control = Control(home.control_db, Vault.load(home.secret_key, {}))
exec(sys.argv[2])
control.close()
"""


def elsewhere(home: Home, code: str) -> None:
    """Changes something in another process."""
    subprocess.run(
        [sys.executable, "-c", CHANGE, str(home.path), code],
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )


def state(control: Control, text: str, clock: Clock) -> TokenState:
    control.refresh()
    return control.token(text, clock())


def test_a_token_says_who_is_calling(control: Control, clock: Clock) -> None:
    control.projects.create("demo", capture="errors")
    new = control.tokens.create("demo", "laptop", user="ada")
    assert state(control, new.text, clock) == Valid(
        Principal("demo", "laptop", "ada", new.token.id, "errors")
    )


def test_what_another_process_revokes_fails_on_the_next_call(
    home: Home, control: Control, clock: Clock
) -> None:
    new = control.tokens.create("default", "laptop")
    assert isinstance(state(control, new.text, clock), Valid)
    elsewhere(home, f"control.tokens.revoke({new.token.id!r})")
    assert isinstance(state(control, new.text, clock), Revoked)


def test_what_another_process_stores_is_used_by_the_next_call(home: Home, control: Control) -> None:
    assert control.credential("openai") is None
    elsewhere(home, "from pydantic import SecretStr; control.credentials.add('openai', SecretStr('sk-x'))")
    control.refresh()
    stored = control.credential("openai")
    assert stored is not None
    assert stored.secret.get_secret_value() == "sk-x"


def test_nothing_is_read_again_while_nothing_changes(control: Control) -> None:
    control.credentials.add("openai", SecretStr("sk-x"))
    control.refresh()
    first = control.credential("openai")
    control.refresh()
    assert control.credential("openai") is first
    control.projects.create("other")
    control.refresh()
    assert control.credential("openai") is not first


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda control, clock: control.tokens.revoke("laptop"), Revoked),
        (lambda control, clock: control.projects.set_active("default", False), Inactive),
        (lambda control, clock: setattr(clock, "now", clock.now + 3600), Expired),
        (lambda control, clock: setattr(clock, "now", clock.now + 3599), Valid),
    ],
)
def test_states(
    control: Control, clock: Clock, change: Callable[[Control, Clock], object], kind: type[TokenState]
) -> None:
    new = control.tokens.create("default", "laptop", lifetime=timedelta(hours=1))
    change(control, clock)
    assert isinstance(state(control, new.text, clock), kind)


def test_unknown_and_mistyped_are_told_apart(control: Control, clock: Clock) -> None:
    new = control.tokens.create("default", "laptop")
    assert state(control, new_token(bytes(32)), clock) == Unknown()
    assert state(control, new.text[:-1], clock) == Mistyped()
    assert state(control, "sk-proj-x", clock) == Unknown()
    assert state(control, "", clock) == Unknown()


def test_aws_pairs(control: Control, clock: Clock) -> None:
    new = control.tokens.create("default", "bedrock", aws=True)
    control.refresh()
    found, secret = control.aws_key(new.text, clock())
    assert isinstance(found, Valid)
    assert found.principal.token == "bedrock"
    assert secret is not None
    assert new.secret is not None
    assert secret == new.secret
    assert control.aws_key("LLIAAAAAAAAAAAAAAAAA", clock()) == (Unknown(), None)
    control.tokens.revoke("bedrock")
    control.refresh()
    assert isinstance(control.aws_key(new.text, clock())[0], Revoked)


def test_an_access_key_id_alone_opens_nothing(control: Control, clock: Clock) -> None:
    """It is no secret: it stands in every signed request."""
    new = control.tokens.create("default", "bedrock", aws=True)
    bearer = control.tokens.create("default", "laptop")
    assert state(control, new.text, clock) == Unknown()
    assert control.aws_key(bearer.text, clock()) == (Unknown(), None)


def test_the_first_enabled_key_is_used(control: Control, clock: Clock) -> None:
    for name in ("first", "second", "third"):
        control.credentials.add(
            "openai", SecretStr(f"sk-{name}"), name=name, base_url="https://relay.example/v1/"
        )
        clock.now += 1

    def used() -> str | None:
        control.refresh()
        stored = control.credential("openai")
        return f"{stored.name} {stored.secret.get_secret_value()} {stored.base_url}" if stored else None

    assert used() == "first sk-first https://relay.example/v1"
    control.credentials.disable("openai", "first")
    assert used() == "second sk-second https://relay.example/v1"
    control.credentials.remove("openai", "second")
    assert used() == "third sk-third https://relay.example/v1"
    control.credentials.enable("openai", "first")
    assert used() == "first sk-first https://relay.example/v1"
    control.credentials.remove("openai", "first")
    control.credentials.disable("openai", "third")
    assert used() is None


def test_clients_without_a_token(control: Control) -> None:
    control.projects.set_capture("default", "all")
    control.refresh()
    own = control.own_key("sk-their-own")
    assert (own.project, own.own_key, own.capture) == ("default", True, "all")
    assert own.token.startswith("own:")
    assert len(own.token) == 12
    assert "their" not in own.token
    assert control.own_key("sk-their-own") == own
    assert control.anonymous() == Principal("default", "", capture="all")


def test_another_key_file_is_noticed_at_once(home: Home, control: Control) -> None:
    stranger = Vault([Fernet.generate_key().decode()], "the key file")
    with pytest.raises(ConfigError, match=r"the key file does not fit control.db"):
        Control(home.control_db, stranger)


def test_a_rotated_key_file_fits(home: Home, control: Control, clock: Clock) -> None:
    new = control.tokens.create("default", "laptop")
    control.credentials.add("openai", SecretStr("sk-x"))
    home.secret_key.write_text(Fernet.generate_key().decode() + "\n" + home.secret_key.read_text())
    with closing(Control(home.control_db, Vault.load(home.secret_key, {}), clock=clock)) as rotated:
        assert isinstance(rotated.token(new.text, clock()), Valid)
        stored = rotated.credential("openai")
        assert stored is not None
        assert stored.secret.get_secret_value() == "sk-x"


def test_nothing_in_the_file_is_a_secret(home: Home, control: Control) -> None:
    new = control.tokens.create("default", "laptop")
    pair = control.tokens.create("default", "aws", aws=True)
    assert pair.secret is not None
    control.credentials.add("openai", SecretStr("sk-proj-very-secret-indeed"))
    code = control.sessions.create_link()
    cookie = control.sessions.open("owner", "admin", hours=1)
    content = b"".join(path.read_bytes() for path in home.path.glob("control.db*"))
    secrets = (new.text, pair.text, pair.secret.get_secret_value(), "very-secret", code, cookie)
    assert [secret for secret in secrets if secret.encode() in content] == []
    assert new.text not in repr(new)


def test_check_reads_the_database(control: Control) -> None:
    control.check()
    control.close()
    with pytest.raises(sqlite3.Error):
        control.check()


def test_a_database_without_tables_is_an_error_that_helps(tmp_path: Path, vault: Vault) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(StoreError, match="run `llm-intercept init`"):
        Control(path, vault)
