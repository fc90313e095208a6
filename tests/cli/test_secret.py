import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from llm_intercept import keyring
from llm_intercept.home import Home
from llm_intercept.store.control import Control, Valid
from llm_intercept.store.sealed import Sealed
from llm_intercept.vault import Vault

ROOT = Path(__file__).resolve().parents[2]


def stored(cli: Any, cli_json: Any) -> dict[str, Any]:
    """A home with one of everything that a rotation must not lose."""
    cli("key", "add", "openai", "--key-stdin", stdin="sk-openai-secret")
    cli("key", "add", "anthropic", "--key-stdin", stdin="sk-ant-secret")
    plain = cli_json("token", "create", "--project", "default", "--name", "plain")
    signed = cli_json("token", "create", "--project", "default", "--name", "signed", "--aws")
    return {"plain": plain["token"], "aws": signed["access_key_id"], "secret": signed["secret_access_key"]}


def is_whole(home: Path, known: dict[str, Any]) -> None:
    """Opened as a new process would: keys decrypt, tokens are known."""
    place = Home(home)
    with closing(Control(place.control_db, Vault.load(place.secret_key, {}))) as control:
        assert_works(control, known)


def assert_works(control: Control, known: dict[str, Any]) -> None:
    control.refresh()
    keys = {name: control.credential(name) for name in ("openai", "anthropic")}
    assert [k.secret.get_secret_value() for k in keys.values() if k] == ["sk-openai-secret", "sk-ant-secret"]
    assert isinstance(control.token(known["plain"], time.time()), Valid)
    state, secret = control.aws_key(known["aws"], time.time())
    assert isinstance(state, Valid)
    assert secret is not None
    assert secret.get_secret_value() == known["secret"]


def test_rotate_and_drop(cli, cli_json, home: Path) -> None:
    known = stored(cli, cli_json)
    [before] = cli_json("secret", "show-age")
    assert (before["values"], before["front"], before["days"]) == (3, True, 0)
    done = cli_json("secret", "rotate")
    assert (done["renewed"], done["dropped"]) == (3, [])
    new, old = cli_json("secret", "show-age")
    assert (new["id"], new["values"], new["front"]) == (done["key"], 3, True)
    assert (old["id"], old["values"], old["front"]) == (before["id"], 0, False)
    is_whole(home, known)
    assert cli_json("secret", "rotate", "--no-new-key", "--drop-old")["dropped"] == [before["id"]]
    assert [key["id"] for key in cli_json("secret", "show-age")] == [done["key"]]
    is_whole(home, known)
    with closing(Control(home / "control.db", Vault.load(home / "secret.key", {}))) as control:
        found = [(row.action, row.object_name) for row in control.audit.after(0, 100)]
        assert [name for action, name in found if action == "secret.rotate"] == [done["key"], ""]
        assert control.audit.verify().ok
    assert "3 stored secrets can be decrypted." in cli("secret", "check").stdout
    assert (home / "secret.key").stat().st_mode & 0o777 == 0o600


def test_no_key_is_ever_shown(cli, cli_json, home: Path) -> None:
    stored(cli, cli_json)
    shown = cli("secret", "rotate").output + cli("secret", "show-age").output + cli("secret", "check").output
    for line in (home / "secret.key").read_text().split():
        assert line.removeprefix("pepper:") not in shown


def test_running_processes_go_on(cli, cli_json, home: Path) -> None:
    """One that has decrypted everything, and one that has not yet; neither is told."""
    known = stored(cli, cli_json)
    place = Home(home)
    with (
        closing(Control(place.control_db, Vault.load(place.secret_key, {}))) as warm,
        closing(Control(place.control_db, Vault.load(place.secret_key, {}))) as cold,
    ):
        assert_works(warm, known)
        cli("secret", "rotate", "--drop-old")
        cli("secret", "rotate", "--drop-old")
        assert_works(warm, known)
        assert_works(cold, known)
        cold.tokens.create("default", "later", aws=True)
        assert Sealed(cold.database).usage() == {cold.database.vault.ring.keys[0].id: 4}
    assert cli_json("secret", "check")["behind"] == 0


def test_a_hand_written_key_in_front_is_taken_up(cli, cli_json, home: Path) -> None:
    known = stored(cli, cli_json)
    path = home / "secret.key"
    path.write_text(f"{Fernet.generate_key().decode()}\n{path.read_text()}")
    assert cli_json("secret", "check")["behind"] == 3
    cli("secret", "rotate", "--drop-old")
    [front] = cli_json("secret", "show-age")
    assert (front["values"], front["made"]) == (3, None)
    is_whole(home, known)


def test_keys_of_the_environment_are_told_how(cli, cli_json, home: Path) -> None:
    known = stored(cli, cli_json)
    old = Vault.load(home / "secret.key", {}).ring.keys[0].text
    new = Fernet.generate_key().decode()
    alone = {"LLM_INTERCEPT_SECRET_KEY": old}
    assert "--no-new-key" in cli("secret", "rotate", code=1, env=alone).stderr
    both = {"LLM_INTERCEPT_SECRET_KEY": f"{new},{old}"}
    assert cli_json("secret", "rotate", "--no-new-key", env=both)["renewed"] == 3
    with closing(Control(home / "control.db", Vault([new, old]))) as control:
        assert_works(control, known)


def test_check_counts_what_is_lost(cli, cli_json, home: Path) -> None:
    stored(cli, cli_json)
    vault = Vault.load(home / "secret.key", {})
    pepper = next(word for word in vault.ring.text().split() if word.startswith("pepper:"))
    (home / "secret.key").write_text(f"{Fernet.generate_key().decode()}\n{pepper}\n")
    assert "3 stored secrets cannot be decrypted" in cli("secret", "check", code=1).stderr
    assert "nothing was changed" in cli("secret", "rotate", code=1).stderr


def test_kill_9_at_every_step(cli, cli_json, home: Path, tmp_path: Path) -> None:
    known = stored(cli, cli_json)
    shutil.rmtree(home / "certs", ignore_errors=True)
    folder = tmp_path / "killed"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "mortal.py"), str(home), str(folder), "secret", "rotate",
         "--drop-old"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = int(done.stdout.split()[-1])
    assert steps > 20
    ends = set()
    for number in range(1, steps + 1):
        place = folder / str(number) / "home"
        is_whole(place, known)
        ends.add(len(Vault.load(place / "secret.key", {}).ring.keys))
    assert ends == {1, 2}


def test_a_killed_rotation_is_finished_by_the_next(cli, cli_json, home: Path) -> None:
    """Not begun anew: the key that was put in front is the one that stays."""
    known = stored(cli, cli_json)
    path = home / "secret.key"
    vault = Vault.load(path, {})
    keyring.write(path, vault.ring.with_new(time.time()))
    front = Vault.load(path, {}).ring.keys[0].id
    cli("secret", "rotate", "--drop-old")
    assert [key["id"] for key in cli_json("secret", "show-age")] == [front]
    is_whole(home, known)
