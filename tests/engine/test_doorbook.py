"""Events reach the log from any thread, in batches, and what is too much is counted."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_intercept.engine import doorbook
from llm_intercept.engine.doorbook import DoorBook
from llm_intercept.errors import StoreError
from llm_intercept.home import Home
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.flood import Flood
from llm_intercept.store.audit import Audit
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

EVE = Actor("proxy", "eve", source="192.0.2.9")


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


def book(home: Home, *, every_s: float = 0.01, flood: Flood | None = None) -> DoorBook:
    opened: list[Control] = []

    def open_() -> Audit:
        opened.append(Control(home.control_db, Vault.load(home.secret_key, {})))
        return Audit(opened[0].database, flood=flood)

    made = DoorBook(every_s=every_s)
    made.start(open_, lambda _: opened[0].close())
    return made


def wait_for(control: Control, number: int) -> list[str]:
    deadline = time.monotonic() + 20
    while len(found := control.audit.after(0, 1000)) < number:
        assert time.monotonic() < deadline, f"{len(found)} rows, not {number}"
        time.sleep(0.01)
    return [row.action for row in found]


def test_events_are_written_while_it_runs(home: Home, control: Control) -> None:
    made = book(home)
    made.event("token.refused", EVE, Thing("token", "demo/laptop", "tok_1"), outcome="denied")
    assert wait_for(control, 1) == ["token.refused"]
    row = control.audit.after(0, 1)[0]
    assert (row.actor, row.source, row.object_id, row.outcome) == ("eve", "192.0.2.9", "tok_1", "denied")
    made.close()


def test_what_waits_is_written_before_the_end(home: Home, control: Control) -> None:
    made = book(home, every_s=3600)
    threads = [threading.Thread(target=lambda: [made.event("a", EVE) for _ in range(5)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert control.audit.after(0, 10) == []
    made.close()
    assert wait_for(control, 15) == ["a"] * 15
    assert control.audit.verify().ok


def test_one_commit_for_many(home: Home, control: Control) -> None:
    made = book(home, every_s=3600)
    for _ in range(10):
        made.event("a", EVE)
    before = control.database.connection.execute("PRAGMA data_version").fetchone()
    made.close()
    rows = control.audit.after(0, 100)
    assert len(rows) == 10
    assert rows[-1].id - rows[0].id < 10**6  # the clock of one batch
    assert control.database.connection.execute("PRAGMA data_version").fetchone() != before


def test_a_flood_is_counted(home: Home, control: Control) -> None:
    made = book(home, every_s=3600, flood=Flood(each=4))
    for _ in range(100):
        made.event("token.refused", EVE)
    made.close()
    rows = control.audit.after(0, 1000)
    assert len(rows) == 5
    assert (rows[-1].detail, rows[-1].source) == (
        "96 more of token.refused were not written down",
        "192.0.2.9",
    )


def test_a_queue_that_is_full_says_so(home: Home, control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbook, "MOST_WAITING", 3)
    made = book(home, every_s=3600)
    for _ in range(10):
        made.event("a", EVE)
    made.close()
    rows = control.audit.after(0, 10)
    assert [row.action for row in rows] == ["a", "a", "a", "audit.overflow"]
    assert rows[-1].detail == "7 events were not written down"


def test_a_database_that_cannot_be_opened(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Audit:
        raise StoreError("it is gone")

    made = DoorBook(every_s=3600)
    made.start(broken, lambda _: None)
    made.close()
    assert "it is gone" in caplog.text
