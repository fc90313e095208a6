import contextlib
import io
import os
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_intercept.home import Home
from llm_intercept.store.journal import Journal
from llm_intercept.store.migrate import connect
from llm_intercept.store.reservations import Counters
from llm_intercept.store.schema import CONTROL, USAGE
from llm_intercept.store.usage import write_batch
from tests.cli.rows import call, write
from tests.cli.test_secret import is_whole, stored
from tests.mortal import digests

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = {"PASS": "correct horse battery staple"}


@contextlib.contextmanager
def script(name: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / name), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def rows(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def manifest(path: Path) -> dict[str, Any]:
    with tarfile.open(path) as tar:
        file = tar.extractfile("manifest.json")
        assert file is not None
        found: dict[str, Any] = orjson.loads(file.read())
        return found


def names(path: Path) -> set[str]:
    with tarfile.open(path) as tar:
        return set(tar.getnames())


@pytest.fixture
def home_with_calls(cli, cli_json, home: Path) -> tuple[Path, dict[str, Any]]:
    cli("init")
    known = stored(cli, cli_json)
    write(home, *(call(number) for number in range(5)))
    (home / "config.toml").write_text("port = 9999\n")
    (home / "prompts").mkdir()
    (home / "prompts" / "system.md").write_text("be brief")
    return home, known


def test_there_and_back(cli, cli_json, home_with_calls, tmp_path: Path) -> None:
    home, known = home_with_calls
    made = cli_json("backup", str(tmp_path / "b.tar"))
    assert made["databases"]["usage.db"]["rows"]["requests"] == 5
    assert made["databases"]["control.db"]["schema"] == CONTROL[-1][0]
    assert {"certs/mitmproxy-ca.pem", "secret.key"} <= set(made["left_out"])
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    done = cli_json("restore", str(tmp_path / "b.tar"), "--home", str(tmp_path / "other"))
    assert (done["key"], done["aside"]) == ("nowhere", None)
    other = tmp_path / "other"
    assert rows(other / "usage.db", "SELECT count(*) FROM requests") == [(5,)]
    assert (other / "config.toml").read_text() == "port = 9999\n"
    assert (other / "prompts" / "system.md").read_text() == "be brief"
    assert not (other / "secret.key").exists()
    (other / "secret.key").write_bytes((home / "secret.key").read_bytes())
    is_whole(other, known)


def test_a_home_with_violations_of_streams(cli_json, home_with_calls, tmp_path: Path) -> None:
    """The columns of their key are not the first ones, which some versions of SQLite take for damage."""
    home, _ = home_with_calls
    with closing(sqlite3.connect(home / "usage.db")) as connection, connection:
        first = connection.execute("SELECT min(id) FROM requests").fetchone()[0]
        rows = [(first, "provider", "anthropic", number, f"sentence {number}") for number in range(200)]
        connection.executemany("INSERT INTO violations VALUES (?, ?, ?, ?, ?)", rows)
    made = cli_json("backup", str(tmp_path / "b.tar"))
    assert made["databases"]["usage.db"]["rows"]["violations"] == 200


def reshape(database: Path, old: str, new: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?)", (old, new))


def test_what_is_damaged_makes_no_backup(cli, home_with_calls, tmp_path: Path) -> None:
    usage = home_with_calls[0] / "usage.db"
    reshape(usage, "finish_reason TEXT NOT NULL", "finish_reason TEXT")
    with closing(sqlite3.connect(usage)) as connection, connection:
        connection.execute("UPDATE requests SET finish_reason = NULL")
    reshape(usage, "finish_reason TEXT,", "finish_reason TEXT NOT NULL,")
    result = cli("backup", str(tmp_path / "b.tar"), code=1)
    assert "NULL value in requests.finish_reason" in result.stderr
    assert not (tmp_path / "b.tar").exists()


def test_listing_and_verifying(cli, cli_json, home_with_calls, tmp_path: Path) -> None:
    home, _ = home_with_calls
    cli("backup")
    cli("backup", str(home / "backups" / "full.tar.gz"), "--with-secrets")
    (home / "backups" / "usage-before-m005.db").write_bytes(b"a copy")
    found = {one["name"]: one for one in cli_json("backup", "--list")}
    assert {one["secrets"] for one in found.values()} == {"none", "plain", ""}
    assert found["full.tar.gz"]["bytes"] == (home / "backups" / "full.tar.gz").stat().st_size
    assert cli_json("backup", "--verify", "full.tar.gz")["rows"]["usage.db"]["requests"] == 5
    assert "is whole" in cli("backup", "--verify", str(home / "backups" / "full.tar.gz")).stdout
    content = bytearray((home / "backups" / "full.tar.gz").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "broken.tar.gz").write_bytes(content)
    assert cli("backup", "--verify", str(tmp_path / "broken.tar.gz"), code=1).stderr
    assert "is no archive" in cli("backup", "--verify", "usage-before-m005.db", code=1).stderr
    assert cli("backup", "--verify", code=2).stderr
    assert cli("backup", "--verify", "nothing.tar", code=3).stderr
    assert not list((home / "backups").glob(".verify.*"))


def test_what_is_secret_is_left_out_unless_asked_for(cli, home_with_calls, tmp_path: Path) -> None:
    home, known = home_with_calls
    (home / "config.toml").write_text('[[webhooks]]\nurl = "https://example.com"\nsecret = "hook-secret"\n')
    said = cli("backup", str(tmp_path / "plain.tar")).stdout
    assert "does not hold the encryption key" in said
    content = (tmp_path / "plain.tar").read_bytes()
    key = (home / "secret.key").read_text().split()[0].encode()
    for secret in (key, b"hook-secret", b"PRIVATE KEY", known["plain"].encode(), b"sk-openai-secret"):
        assert secret not in content
    assert {"secret.key", "config.toml", "certs/mitmproxy-ca.pem"}.isdisjoint(names(tmp_path / "plain.tar"))
    assert "certs/mitmproxy-ca-cert.pem" in names(tmp_path / "plain.tar")


@pytest.mark.parametrize("locked", [False, True])
def test_with_secrets(cli, cli_json, home_with_calls, tmp_path: Path, locked: bool) -> None:
    home, known = home_with_calls
    options = ["--passphrase-env", "PASS"] if locked else []
    path = tmp_path / "full.tar.gz"
    cli("backup", str(path), "--with-secrets", *options, env=PASSPHRASE)
    assert ("secret.key" in names(path)) is not locked
    assert ("secrets.locked" in names(path)) is locked
    target = tmp_path / "other"
    if locked:
        assert "--passphrase-env" in cli("restore", str(path), "--home", str(target), code=1).stderr
        wrong = {"PASS": "wrong"}
        said = cli("restore", str(path), "--home", str(target), *options, code=1, env=wrong).stderr
        assert "does not open" in said
        assert not target.exists()
    done = cli_json("restore", str(path), "--home", str(target), *options, env=PASSPHRASE)
    assert done["key"] == "backup"
    is_whole(target, known)
    for name in ("secret.key", "certs/mitmproxy-ca.pem"):
        assert (target / name).read_bytes() == (home / name).read_bytes()
    assert not (target / "secrets.locked").exists()


def test_into_a_folder(cli, cli_json, home_with_calls, tmp_path: Path) -> None:
    made = cli_json("backup", str(tmp_path / "folder"))
    assert Path(made["path"]) == tmp_path / "folder"
    assert (tmp_path / "folder" / "manifest.json").is_file()
    cli("restore", str(tmp_path / "folder"), "--home", str(tmp_path / "other"))
    assert rows(tmp_path / "other" / "usage.db", "SELECT count(*) FROM requests") == [(5,)]
    assert "exists already" in cli("backup", str(tmp_path / "folder"), code=1).stderr


def test_without_a_name_it_goes_into_the_home(cli_json, home_with_calls) -> None:
    home, _ = home_with_calls
    first, second = Path(cli_json("backup")["path"]), None
    assert first.parent == home / "backups"
    second = names(first)
    assert not any(name.startswith("backups") for name in second)


def test_the_old_home_is_kept_and_lends_its_key(cli, cli_json, home_with_calls, tmp_path: Path) -> None:
    home, known = home_with_calls
    cli("backup", str(tmp_path / "b.tar"))
    write(home, call(99))
    assert "--force" in cli("restore", str(tmp_path / "b.tar"), code=1).stderr
    before = digests(home)
    done = cli_json("restore", str(tmp_path / "b.tar"), "--force")
    assert done["key"] == "old home"
    assert digests(Path(done["aside"])) == before
    assert rows(home / "usage.db", "SELECT count(*) FROM requests") == [(5,)]
    assert (home / "certs" / "mitmproxy-ca.pem").read_bytes() == (
        Path(done["aside"]) / "certs" / "mitmproxy-ca.pem"
    ).read_bytes()
    is_whole(home, known)


def test_another_homes_key_is_not_taken(cli, cli_json, home_with_calls, tmp_path: Path) -> None:
    cli("backup", str(tmp_path / "b.tar"))
    other = {"LLM_INTERCEPT_HOME": str(tmp_path / "other")}
    cli("init", env=other)
    done = cli_json("restore", str(tmp_path / "b.tar"), "--force", env=other)
    assert done["key"] == "nowhere"


def spoil(tar: Path, name: str, change: Any) -> None:
    """Rewrites one file of an archive."""
    with tarfile.open(tar) as old:
        content = {m.name: old.extractfile(m).read() for m in old.getmembers()}  # type: ignore[union-attr]
    content[name] = change(content[name])
    with tarfile.open(tar, "w") as new:
        for key, value in content.items():
            if value is None:
                continue
            info = tarfile.TarInfo(key)
            info.size = len(value)
            new.addfile(info, io.BytesIO(value))


def newer(content: bytes) -> bytes:
    return content.replace(b'"format": 1', b'"format": 2')


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("usage.db", lambda b: b[:-1] + bytes([b[-1] ^ 1]), "damaged: usage.db"),
        ("usage.db", lambda b: None, "not complete: usage.db is missing"),
        ("config.toml", lambda b: b + b"#", "damaged: config.toml"),
        ("manifest.json", lambda b: b"{}", "manifest"),
        ("manifest.json", lambda b: b.replace(b'"config.toml"', b'"../config.toml"'), "cannot be in it"),
        ("manifest.json", lambda b: b.replace(b'"config.toml"', b'"/etc/passwd"'), "cannot be in it"),
        ("manifest.json", newer, "newer llm-intercept"),
        ("manifest.json", lambda b: b.replace(b"llm-intercept backup", b"something"), "no backup of a home"),
        ("manifest.json", lambda b: b.replace(b'"requests": 5', b'"requests": 6'), "does not hold what"),
    ],
)
def test_a_spoilt_backup_is_refused(
    cli, home_with_calls, tmp_path: Path, name: str, change: Any, message: str
) -> None:
    home, _ = home_with_calls
    cli("backup", str(tmp_path / "b.tar"))
    spoil(tmp_path / "b.tar", name, change)
    before = digests(home)
    assert message in cli("restore", str(tmp_path / "b.tar"), "--force", code=1).stderr
    assert digests(home) == before
    assert {path.name for path in tmp_path.iterdir()} == {"home", "b.tar"}


def test_what_is_no_archive_is_refused(cli, tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("hello")
    said = cli("restore", str(tmp_path / "text.tar"), code=1).stderr
    assert said == f"Error: {tmp_path / 'text.tar'} is no archive of llm-intercept\n"
    assert "there is no archive" in cli("restore", str(tmp_path / "none.tar"), code=3).stderr


def test_a_backup_of_a_newer_version_is_refused(cli, home_with_calls, tmp_path: Path) -> None:
    home, _ = home_with_calls
    cli("backup", str(tmp_path / "folder"))
    with closing(connect(tmp_path / "folder" / "usage.db")) as connection:
        connection.execute("INSERT INTO migrations (name) VALUES ('m999_later')")
    from llm_intercept.tools import archive

    facts = orjson.loads((tmp_path / "folder" / "manifest.json").read_bytes())
    facts.pop("files")
    archive.describe(tmp_path / "folder", facts)
    before = digests(home)
    assert "m999_later" in cli("restore", str(tmp_path / "folder"), "--force", code=1).stderr
    assert digests(home) == before


def test_a_backup_of_an_older_version_is_migrated(cli, cli_json, home: Path, tmp_path: Path) -> None:
    from llm_intercept.store.migrate import migrate
    from llm_intercept.store.schema import BODIES, LIMITS
    from llm_intercept.tools import backup

    old = Home(home)
    old.path.mkdir()
    for path, schema in ((old.usage_db, USAGE[:1]), (old.control_db, CONTROL[:3]), (old.bodies_db, BODIES)):
        migrate(path, schema)
    migrate(old.limits_db, LIMITS)
    old.journal.mkdir()
    backup.make(old, tmp_path / "old.tar", backup.Wanted(), 1_795_000_000, lambda text: None)
    done = cli_json("restore", str(tmp_path / "old.tar"), "--home", str(tmp_path / "other"))
    assert done["migrated"]["usage.db"] == [name for name, _ in USAGE[1:]]
    env = {"LLM_INTERCEPT_HOME": str(tmp_path / "other")}
    assert {row["state"] for row in cli_json("migrate", "status", env=env)} == {"current"}


def test_backup_under_load_restores_to_equal_counts(cli, cli_json, home: Path, tmp_path: Path) -> None:
    with script("load.py", str(home), "1000") as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "running\n"
        made = cli_json("backup", str(tmp_path / "b.tar"))
        again = cli_json("backup", str(tmp_path / "c.tar"))
        refused = cli("restore", str(tmp_path / "b.tar"), "--force", code=1).stderr
        out, _ = writer.communicate("")
    assert "a proxy is running" in refused
    count = made["databases"]["usage.db"]["rows"]["requests"]
    assert 1000 <= count <= again["databases"]["usage.db"]["rows"]["requests"]
    assert count < int(out)
    assert set(made["checks"].values()) == {0}
    other = Home(tmp_path / "other")
    done = cli_json("restore", str(tmp_path / "b.tar"), "--home", str(other.path))
    for name, contents in made["databases"].items():
        assert done["rows"][name] == contents["rows"]
    # Every committed row up to one moment, and none of after it.
    found = [number for (number,) in rows(other.usage_db, "SELECT input_tokens FROM requests ORDER BY id")]
    assert found == list(range(count))
    assert rows(other.usage_db, "SELECT sum(requests) FROM usage_hour") == [(count,)]
    assert rows(other.usage_db, "SELECT count(*) FROM attempts") == [(count,)]
    assert_no_call_is_lost(other)


def assert_no_call_is_lost(home: Home) -> None:
    """What limits have counted is in the books, once the journal has been read back as a proxy does."""
    with closing(Counters(home.limits_db)) as counters:
        counted = sum(counter.used for counter in counters.read().values())
        reserved = sum(counter.reserved for counter in counters.read().values())
    with closing(Journal(home.journal)) as journal, closing(connect(home.usage_db)) as connection:
        write_batch(connection, journal.recover())
    calls = rows(home.usage_db, "SELECT count(*), max(input_tokens) FROM requests")
    assert calls[0][0] >= counted > 0
    assert calls[0][0] == calls[0][1] + 1
    assert reserved <= 1  # the one call that was under way


def test_a_home_that_is_open_elsewhere_is_not_replaced(cli, home_with_calls, tmp_path: Path) -> None:
    home, _ = home_with_calls
    cli("backup", str(tmp_path / "b.tar"))
    with closing(connect(home / "usage.db", readonly=True)) as dashboard:
        dashboard.execute("SELECT count(*) FROM requests").fetchone()
        said = cli("restore", str(tmp_path / "b.tar"), "--force", code=1).stderr
    assert "open in another program" in said
    cli("restore", str(tmp_path / "b.tar"), "--force")


def test_kill_9_at_every_step_of_a_restore(cli, home_with_calls, tmp_path: Path) -> None:
    """At each of them the home is the old one or the restored one, whole."""
    home, known = home_with_calls
    cli("backup", str(tmp_path / "b.tar"))
    write(home, call(99))
    folder = tmp_path / "killed"
    folder.mkdir()
    words = ["restore", str(tmp_path / "b.tar"), "--force"]
    with script("mortal.py", str(home), str(folder), *words) as process:
        out, _ = process.communicate(timeout=170)
    assert process.returncode == 0
    counts = []
    for number in range(1, int(out.split()[-1]) + 1):
        place = folder / str(number) / "home"
        is_whole(place, known)
        counts += rows(place / "usage.db", "SELECT count(*) FROM requests")
    assert counts == sorted(counts, reverse=True)
    assert {count for (count,) in counts} == {5, 6}
    last = folder / str(len(counts) - 1)
    env = {"LLM_INTERCEPT_HOME": str(last / "home")}
    cli("restore", str(tmp_path / "b.tar"), "--force", env=env)
