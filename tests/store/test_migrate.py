import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from llm_intercept.errors import StoreError
from llm_intercept.store.migrate import connect, migrate
from llm_intercept.store.schema import BODIES, CONTROL, USAGE

FIRST = (
    "m001",
    "CREATE TABLE a (x);\n-- a comment; with a semicolon\nCREATE TABLE b (y TEXT DEFAULT ';');\n",
)
SECOND = ("m002", "ALTER TABLE a ADD COLUMN z;")


def pragma(path: Path, name: str) -> object:
    with closing(connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def tables(path: Path) -> set[str]:
    with closing(connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.mark.parametrize("migrations", [USAGE, CONTROL, BODIES])
def test_a_new_database(tmp_path: Path, migrations: tuple[tuple[str, str], ...]) -> None:
    path = tmp_path / "new.db"
    migrate(path, migrations)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pragma(path, "journal_mode") == "wal"
    assert pragma(path, "auto_vacuum") == 2
    assert pragma(path, "synchronous") == 1
    assert pragma(path, "foreign_keys") == 1
    assert pragma(path, "busy_timeout") == 5000
    assert pragma(path, "integrity_check") == "ok"


def test_only_what_is_new_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "grows.db"
    migrate(path, [FIRST])
    with closing(connect(path)) as connection:
        connection.execute("INSERT INTO a VALUES (1)")
    migrate(path, [FIRST, SECOND])
    migrate(path, [FIRST, SECOND])
    assert {"a", "b", "migrations"} <= tables(path)
    with closing(connect(path)) as connection:
        assert connection.execute("SELECT x, z FROM a").fetchall() == [(1, None)]


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    migrate(path, [FIRST, SECOND])
    with pytest.raises(StoreError, match=r"newer llm-intercept .*m002.*upgrade"):
        migrate(path, [FIRST])


def test_a_failing_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "fails.db"
    migrate(path, [FIRST])
    with pytest.raises(StoreError, match="cannot be migrated"):
        migrate(path, [FIRST, ("m002", "CREATE TABLE c (x);\nCREATE TABLE a (x);")])
    assert "c" not in tables(path)
    migrate(path, [FIRST, SECOND])


def test_what_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text(
        "this is a text file, and a long one, so that it cannot be taken for an empty database" * 20
    )
    with pytest.raises(StoreError, match="damaged or not a database"):
        migrate(path, [FIRST])


def test_a_missing_database_is_not_created_by_opening(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="llm-intercept init"):
        connect(tmp_path / "missing.db")
    assert not (tmp_path / "missing.db").exists()


def test_readonly_connections_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    migrate(path, [FIRST])
    with closing(connect(path, readonly=True)) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("INSERT INTO a VALUES (1)")


def test_several_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from llm_intercept.home import Home;"
        "Home(Path(sys.argv[1])).ensure(); print(Home(Path(sys.argv[1])).secret_key.read_text())"
    )
    target = str(tmp_path / "home")
    running = [
        subprocess.Popen([sys.executable, "-c", code, target], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    outputs = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0, 0]
    assert len(outputs) == 1


def test_a_full_disk_is_no_damage(tmp_path: Path) -> None:
    """The limit of a file's size stands in for the disk."""
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from llm_intercept.errors import Damaged, StoreError\n"
        "from llm_intercept.store.migrate import migrate; from llm_intercept.store.schema import USAGE\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))\n"
        "try: migrate(Path(sys.argv[2]), USAGE)\n"
        "except StoreError as error: print(isinstance(error, Damaged), error)\n"
    )
    for size in (8192, 60_000):
        path = tmp_path / f"usage-{size}.db"
        words = [sys.executable, "-c", script, str(size), str(path)]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert said.startswith(f"False {path} cannot be ")
        assert "rollback" not in said
