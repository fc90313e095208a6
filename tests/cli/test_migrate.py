import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from llm_intercept.home import Home
from llm_intercept.store.migrate import connect, migrate
from llm_intercept.store.schema import CONTROL, USAGE
from tests.mortal import digests


def older(home: Path) -> Home:
    """A home of an earlier version, with a row in it."""
    place = Home(home)
    home.mkdir()
    migrate(place.usage_db, USAGE[:1])
    migrate(place.control_db, CONTROL[:2])
    with closing(connect(place.control_db)) as connection:
        connection.execute("INSERT INTO projects (id, name, created_at) VALUES ('prj_1', 'old', '2026')")
    return place


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM projects ORDER BY name")]


def test_status_changes_nothing(cli, cli_json, home: Path) -> None:
    assert {row["state"] for row in cli_json("migrate", "status")} == {"missing"}
    assert not home.exists()
    older(home)
    before = digests(home)
    rows = {row["database"]: row for row in cli_json("migrate", "status")}
    assert rows["usage.db"]["state"] == "behind"
    assert rows["usage.db"]["version"] == "m001_initial"
    assert rows["usage.db"]["latest"] == USAGE[-1][0]
    assert rows["control.db"]["pending"] == [name for name, _ in CONTROL[2:]]
    assert rows["bodies.db"]["state"] == "missing"
    assert "m003_routes" in cli("migrate", "status").stdout
    assert digests(home) == before


def test_up_copies_first(cli, cli_json, home: Path) -> None:
    place = older(home)
    assert cli_json("migrate", "up") == {
        "usage.db": [name for name, _ in USAGE[1:]],
        "control.db": [name for name, _ in CONTROL[2:]],
    }
    [control, usage] = sorted(place.backups.iterdir())
    assert control.name.startswith("control-before-m003_routes-2")
    assert usage.name.startswith("usage-before-m002_violations-2")
    assert control.stat().st_mode & 0o777 == 0o600
    with closing(connect(control)) as connection:
        assert [n for (n,) in connection.execute("SELECT name FROM migrations")] == [
            name for name, _ in CONTROL[:2]
        ]
    assert names(control) == ["old"]
    assert {row["state"] for row in cli_json("migrate", "status")} == {"current"}
    assert "up to date" in cli("migrate", "up").stdout
    assert names(place.control_db) == ["old"]


def test_up_without_a_copy(cli, home: Path) -> None:
    place = older(home)
    cli("migrate", "up", "--no-backup")
    assert not place.backups.exists()


def test_any_command_migrates_with_a_copy(cli_json, home: Path) -> None:
    place = older(home)
    assert [p["name"] for p in cli_json("project", "list")] == ["default", "old"]
    assert len(list(place.backups.iterdir())) == 2


def test_a_newer_home_is_left_alone(cli, cli_json, home: Path) -> None:
    """The others of its databases too, although they could be migrated."""
    place = older(home)
    with closing(connect(place.control_db)) as connection:
        connection.execute("INSERT INTO migrations (name) VALUES ('m999_from_the_future')")
    before = digests(home)
    for words in (("migrate", "up"), ("init",), ("project", "list"), ("secret", "rotate"), ("proxy",)):
        said = cli(*words, code=1).stderr
        assert "newer llm-intercept" in said
        assert "m999_from_the_future" in said
    rows = {row["database"]: row["state"] for row in cli_json("migrate", "status")}
    assert rows["control.db"] == "newer"
    assert digests(home) == before


def test_a_newer_home_of_a_killed_process_is_left_alone(cli, home: Path) -> None:
    """With a log beside the database that the next one to open it would move into it."""
    place = older(home)
    with closing(connect(place.control_db)) as connection:
        connection.execute("INSERT INTO migrations (name) VALUES ('m999_from_the_future')")
        copied = {path: path.read_bytes() for path in home.iterdir()}
    for path, content in copied.items():
        path.write_bytes(content)
    (home / "control.db-shm").unlink()
    assert (home / "control.db-wal").stat().st_size > 0
    before = hashlib.sha256((home / "control.db").read_bytes()), (home / "control.db-wal").read_bytes()
    assert "m999" in cli("init", code=1).stderr
    after = hashlib.sha256((home / "control.db").read_bytes()), (home / "control.db-wal").read_bytes()
    assert before[0].digest() == after[0].digest()
    assert before[1] == after[1]
