"""The lines beside the database: complete, in order, after every kind of trouble."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llm_intercept.auditfile import AT_FIRST, NAME, AuditFile
from llm_intercept.home import Home
from llm_intercept.policy.actor import Actor
from llm_intercept.settings import LogSettings
from llm_intercept.store.audit import Audit
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

ANNA = Actor("cli", "anna", "admin")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.ensure()
    return home


@pytest.fixture
def control(home: Home) -> Iterator[Control]:
    control = Control(home.control_db, Vault.load(home.secret_key, {}))
    yield control
    control.close()


def audited(home: Home, control: Control, **settings: int) -> tuple[Audit, AuditFile]:
    file = AuditFile(home.logs, LogSettings(**settings))
    return Audit(control.database, file), file


def ids(path: Path) -> list[int]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def rows(audit: Audit) -> list[int]:
    return [row.id for row in audit.after(0, 10_000)]


def test_a_line_for_each_row(home: Home, control: Control) -> None:
    audit, file = audited(home, control)
    with audit.database.write():
        audit.record(ANNA, "a", after={"x": 1})
        audit.record(ANNA, "b")
    audit.record(ANNA, "c")
    path = home.logs / NAME
    assert ids(path) == rows(audit)
    assert json.loads(path.read_text().splitlines()[0]) == audit.after(0, 1)[0].document()
    assert path.stat().st_mode & 0o077 == 0
    assert file.unknown(audit) == []


def test_what_could_not_be_written_comes_with_the_next_row(
    home: Home, control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    audit, _ = audited(home, control)
    audit.record(ANNA, "a")
    path = home.logs / NAME
    path.rename(home.logs / "kept")
    path.mkdir()
    audit.record(ANNA, "b")
    assert "lacks the last rows of the audit log" in caplog.text
    path.rmdir()
    (home.logs / "kept").rename(path)
    audit.record(ANNA, "c")
    assert ids(path) == rows(audit)
    assert len(rows(audit)) == 3


def test_a_line_that_broke_off(home: Home, control: Control) -> None:
    """As a power failure leaves it: the row is written anew."""
    audit, _ = audited(home, control)
    audit.record(ANNA, "a")
    audit.record(ANNA, "b")
    path = home.logs / NAME
    path.write_bytes(path.read_bytes()[:-20])
    audit.record(ANNA, "c")
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["action"] for line in (lines[0], *lines[2:])] == ["a", "b", "c"]


def test_it_is_rotated(home: Home, control: Control) -> None:
    audit, file = audited(home, control, max_mb=1, backups=2)
    with audit.database.write():
        for number in range(900):
            audit.record(ANNA, "a", after={"text": f"{number} " * 1200})
    assert {path.name for path in home.logs.glob("audit*")} == {NAME, f"{NAME}.1", f"{NAME}.2"}
    kept = [id_ for name in (f"{NAME}.2", f"{NAME}.1", NAME) for id_ in ids(home.logs / name)]
    assert kept == rows(audit)[-len(kept) :]
    assert file.unknown(audit) == []


def test_after_a_rotation_it_goes_on_where_it_was(home: Home, control: Control) -> None:
    audit, _ = audited(home, control)
    audit.record(ANNA, "a")
    (home.logs / NAME).rename(home.logs / f"{NAME}.1")
    audit.record(ANNA, "b")
    assert ids(home.logs / NAME) == rows(audit)[1:]


def test_a_file_that_is_gone_begins_with_the_last_rows(home: Home, control: Control) -> None:
    with control.database.write():
        for _ in range(AT_FIRST + 5):
            control.audit.record(ANNA, "a")
    audit, _ = audited(home, control)
    audit.record(ANNA, "b")
    assert ids(home.logs / NAME) == rows(audit)[-AT_FIRST:]


def test_a_database_that_was_set_back_is_found_out(home: Home, control: Control) -> None:
    """Seals and links of an old copy all hold."""
    audit, file = audited(home, control)
    audit.record(ANNA, "a")
    with closing(sqlite3.connect(home.path / "old.db")) as old:
        control.database.connection.backup(old)
        audit.record(ANNA, "b")
        lost = rows(audit)[-1]
        old.backup(control.database.connection)
    assert audit.verify().ok
    assert file.unknown(audit) == [lost]


def test_what_was_removed_on_purpose_is_not_missed(home: Home, control: Control) -> None:
    audit, file = audited(home, control)
    for action in ("a", "b", "c"):
        audit.record(ANNA, action)
    assert audit.prune(rows(audit)[2], ANNA) == 2
    assert file.unknown(audit) == []
