import base64
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_intercept import keyring
from llm_intercept.errors import ConfigError
from llm_intercept.home import Home
from llm_intercept.keyring import Keyring
from llm_intercept.store.control import Control
from llm_intercept.store.idempotency import Idempotency
from llm_intercept.store.sealed import Sealed
from llm_intercept.vault import Vault


def fill(control: Control) -> None:
    """Something encrypted in every table that holds such values."""
    control.credentials.add("openai", SecretStr("sk-one"))
    control.credentials.add("anthropic", SecretStr("sk-two"))
    control.credentials.disable("anthropic", "default")
    control.tokens.create("default", "signed", aws=True)
    control.tokens.create("default", "plain")
    Idempotency(control.database).keep("place", b"digest", 200, "an answer with a token in it")
    with control.database.write() as connection:
        connection.execute(
            "INSERT INTO former_secrets (digest, token_id, secret, hint, expires_at)"
            " SELECT x'00', id, ?, '', '2999-01-01T00:00:00.000000Z' FROM tokens WHERE name = 'signed'",
            (control.database.vault.encrypt(SecretStr("the former one")),),
        )


def encrypted_in(path: Path) -> int:
    """Looked for in the file itself, not by what our schema says."""
    return path.read_bytes().count(b"gAAAA")


def test_everything_is_found_and_renewed(home: Home, control: Control, vault: Vault) -> None:
    fill(control)
    sealed = Sealed(control.database)
    assert {(v.table, v.column) for v in sealed.values()} == {
        ("credentials", "secret"),
        ("former_secrets", "secret"),
        ("idempotency", "body"),
        ("tokens", "secret"),
    }
    [old] = vault.ring.keys
    assert sealed.usage() == {old.id: 5}
    keyring.write(home.secret_key, vault.ring.with_new(1_795_000_000))
    vault.refresh()
    assert sealed.renew() == 5
    assert sealed.usage() == {vault.ring.keys[0].id: 5}
    assert sealed.renew() == 0


def test_no_encrypted_value_is_in_a_column_that_is_not_searched(home: Home, control: Control) -> None:
    fill(control)
    with closing(Control(home.control_db, Vault.load(home.secret_key, {}))):
        control.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert encrypted_in(home.control_db) == len(list(Sealed(control.database).values())) == 5


def test_what_cannot_be_decrypted_stops_it(home: Home, control: Control, vault: Vault) -> None:
    fill(control)
    other = Vault([base64.urlsafe_b64encode(bytes(32)).decode()])
    with control.database.write() as connection:
        connection.execute(
            "UPDATE credentials SET secret = ? WHERE provider = 'openai'", (other.encrypt(SecretStr("x")),)
        )
    keyring.write(home.secret_key, vault.ring.with_new(1_795_000_000))
    vault.refresh()
    sealed = Sealed(control.database)
    before = sealed.usage()
    with pytest.raises(ConfigError, match=r"credentials.secret cannot be decrypted.*nothing was changed"):
        sealed.renew()
    assert sealed.usage() == before
    assert before[""] == 1


def test_a_ring_survives_being_written(tmp_path: Path) -> None:
    keyring.create(tmp_path / "k", 1_795_000_000)
    ring = Keyring.parse(keyring.read(tmp_path / "k").split(), "k")
    assert ring.keys[0].made == "2026-11-18T11:06:40Z"
    grown = ring.with_new(1_795_000_001)
    keyring.write(tmp_path / "k", grown)
    again = Keyring.parse(keyring.read(tmp_path / "k").split(), "k")
    assert again == grown
    assert again.pepper == ring.pepper
    only = again.without([ring.keys[0].id])
    assert (len(only.keys), only.pepper) == (1, ring.pepper)
