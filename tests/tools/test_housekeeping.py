"""Cleaning up: what goes, what stays, that nobody waits for it, and who does it once a day."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.home import Home
from llm_intercept.policy.actor import Actor
from llm_intercept.settings import CaptureSettings
from llm_intercept.settings.retention import RetentionSettings
from llm_intercept.store import cleanup
from llm_intercept.store.bodies import Body, Capture, write_bodies
from llm_intercept.store.cache import opened
from llm_intercept.store.control import Control
from llm_intercept.store.database import as_text
from llm_intercept.store.journal import Journal
from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import AttemptRow, RequestRow, ViolationRow
from llm_intercept.store.usage import write_batch
from llm_intercept.tools.housekeeping import DAY_S, Daily, Housekeeper, Wishes
from llm_intercept.vault import Vault
from tests.store.test_cache import answer

NOW = 1_795_000_000.0
ME = Actor("cli", "me", "admin")
CAPTURE = Capture(CaptureSettings())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.ensure()
    return made


@pytest.fixture
def control(home: Home) -> Iterator[Control]:
    with closing(Control(home.control_db, Vault.load(home.secret_key, {}), clock=lambda: NOW)) as opened:
        yield opened


def keeper(home: Home, control: Control, vacuum: bool = False, **kept: Any) -> Housekeeper:
    wishes = Wishes(RetentionSettings(**kept), bodies_days=30, vacuum=vacuum)
    return Housekeeper(home, control.database.vault, wishes, lambda: NOW)


def call(days: float, number: int = 0) -> RequestRow:
    """One of so many days ago, with a try, a violation and a body."""
    row_id = int((NOW - days * DAY_S) * 1e6) + number
    row = RequestRow(id=row_id, request_id=f"r-{row_id}", project="demo", model="m", outcome="ok", status=200)
    row.tries = [AttemptRow(row_id, 1, "openai", "h", "default", status=200, outcome="ok")]
    row.violations = [ViolationRow(row_id, "provider", "openai_chat", 1, "wrong")]
    return row


def fill(home: Home, *rows: RequestRow) -> None:
    body = Body("request", "application/json", b"{}")
    with closing(connect(home.usage_db)) as usage, closing(connect(home.bodies_db)) as bodies:
        write_batch(usage, rows)
        write_bodies(bodies, CAPTURE, [(row.id, [body]) for row in rows])


def number(path: Path, table: str, tail: str = "") -> int:
    with closing(connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table} {tail}").fetchone()[0])


def logins(control: Control) -> None:
    """One that is over and one that is good, of everything that people log in with."""
    with control.database.write() as connection:
        for index, (then, day) in enumerate(((-1, -1.5), (1000, 0))):
            until = int(NOW) + then
            connection.execute(
                "INSERT INTO sessions (digest, actor, role, created_at, expires_at, last_seen_at)"
                " VALUES (?, 'me', 'admin', 0, ?, 0)", (bytes([index]), until),
            )  # fmt: skip
            connection.execute(
                "INSERT INTO login_links VALUES (?, 0, ?, NULL, 'login')", (bytes([index]), until)
            )
            connection.execute(
                "INSERT INTO idempotency VALUES (?, x'00', 200, x'00', ?)",
                (bytes([index]), int(NOW + day * DAY_S)),
            )
            connection.execute(
                "INSERT INTO login_failures VALUES ('ip', ?, 1, 0, ?)", (str(index), int(NOW + day * DAY_S))
            )


def token(control: Control, name: str, **ends: float) -> None:
    """`revoked` and `expired` are so many days ago."""
    made = control.tokens.create("default", name).token
    for column, days in ends.items():
        with control.database.write() as connection:
            connection.execute(
                f"UPDATE tokens SET {column}_at = ? WHERE id = ?", (as_text(NOW - days * DAY_S), made.id)
            )


def test_logins_that_are_over(home: Home, control: Control) -> None:
    logins(control)
    expected = {"sessions": 1, "login links": 1, "kept answers": 1, "login failures": 1}
    previewed = {k: v for k, v in keeper(home, control).preview().removed.items() if v}
    assert previewed == expected
    report = keeper(home, control).run(ME)
    assert {k: v for k, v in report.removed.items() if v} == expected
    for table in ("sessions", "login_links", "idempotency", "login_failures"):
        assert number(home.control_db, table) == 1, table


def test_tokens_long_after_their_end(home: Home, control: Control) -> None:
    token(control, "works")
    token(control, "later", expires=-10)
    token(control, "just-expired", expires=89)
    token(control, "expired", expires=91)
    token(control, "revoked", revoked=91, expires=-100)
    token(control, "revoked-lately", revoked=3, expires=2)
    assert keeper(home, control).preview().removed["tokens"] == 2
    keeper(home, control).run(ME)
    names = [found.name for found in control.tokens.list()]
    assert names == ["works", "later", "just-expired", "revoked-lately"]
    assert keeper(home, control, tokens_days=0).run(ME).removed.get("tokens", 0) == 0


def test_calls_go_and_sums_stay(home: Home, control: Control) -> None:
    fill(home, *(call(days, n) for n, days in enumerate((400, 366, 364, 29, 1))))
    report = keeper(home, control, requests_days=365).run(ME)
    assert report.removed["calls"] == 2
    assert report.removed["bodies"] == 3
    for table in ("requests", "attempts", "violations"):
        assert number(home.usage_db, table) == 3
    assert number(home.bodies_db, "bodies") == 2
    with closing(connect(home.usage_db)) as usage:
        for table in ("usage_hour", "usage_day"):
            assert usage.execute(f"SELECT sum(requests) FROM {table}").fetchone() == (5,)


def test_bodies_do_not_outlive_their_calls(home: Home, control: Control) -> None:
    fill(home, call(9), call(11))
    keeper(home, control, requests_days=10).run(ME)
    assert number(home.bodies_db, "bodies") == number(home.usage_db, "requests") == 1


def test_calls_are_kept_for_ever_unless_asked(home: Home, control: Control) -> None:
    fill(home, call(5000))
    assert keeper(home, control).preview().removed.get("calls", 0) == 0
    keeper(home, control).run(ME)
    assert number(home.usage_db, "requests") == 1


def test_stored_answers_that_are_out_of_date(home: Home, control: Control) -> None:
    assert "stored answers" not in keeper(home, control).run(ME).removed, "there is no cache"
    assert not home.cache_db.exists()
    with opened(home.cache_db) as store:
        store.put([answer(n, id=n + 1, expires_us=int(NOW * 1e6) + (n % 2)) for n in range(1100)])
    assert keeper(home, control).preview().removed["stored answers"] == 550
    report = keeper(home, control, vacuum=True).run(ME)
    assert report.removed["stored answers"] == 550
    assert report.returned["cache"] > 0
    assert number(home.cache_db, "answers") == number(home.cache_db, "answers", "WHERE id % 2 = 0") == 550


def test_a_damaged_cache_keeps_nothing_else(
    home: Home, control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    home.cache_db.write_bytes(b"no database" * 1000)
    logins(control)
    assert keeper(home, control).preview().removed["sessions"] == 1
    assert keeper(home, control).run(ME).removed["sessions"] == 1
    assert "can be deleted while no proxy runs" in caplog.text


def test_a_preview_changes_nothing(home: Home, control: Control) -> None:
    fill(home, *(call(400, n) for n in range(20)))
    logins(control)
    before = [row.id for row in control.audit.after(0, 100)]
    found = keeper(home, control, requests_days=1, audit_days=1).preview()
    assert found.removed["calls"] == 20
    assert number(home.usage_db, "requests") == 20
    assert number(home.control_db, "sessions") == 2
    assert [row.id for row in control.audit.after(0, 100)] == before


def test_many_are_removed_in_short_transactions(home: Home, control: Control) -> None:
    """Between two batches anybody else can write; no batch has more than so many rows."""
    fill(home, *(call(400, n) for n in range(1200)))
    work = keeper(home, control, requests_days=1)
    sizes, before = [], 1200
    with closing(sqlite3.connect(home.usage_db, isolation_level=None, timeout=0)) as other:
        for _ in work.steps(ME):
            other.execute("UPDATE breakers SET failures = 0")
            left = other.execute("SELECT count(*) FROM requests").fetchone()[0]
            if left != before:
                sizes.append(before - left)
                before = left
    assert sizes == [cleanup.AT_ONCE, cleanup.AT_ONCE, 200]


def test_room_is_given_back_on_request(home: Home, control: Control) -> None:
    fill(home, *(call(400, n) for n in range(3000)))
    size = home.usage_db.stat().st_size
    report = keeper(home, control, requests_days=1).run(ME)
    assert report.freed["usage"] > size // 2
    assert report.returned["usage"] == 0
    again = keeper(home, control, vacuum=True, requests_days=1).run(ME)
    assert again.returned["usage"] > size // 2
    assert home.usage_db.stat().st_size < size // 2


def test_the_audit_log_is_shortened_by_itself(home: Home, control: Control) -> None:
    then = [NOW - 400 * DAY_S]
    vault = control.database.vault
    with closing(Control(home.control_db, vault, clock=lambda: then[0])) as past:
        for name in ("a", "b", "c"):
            past.audit.record(ME, name)
    assert keeper(home, control, audit_days=365).preview().removed["audit rows"] == 3
    report = keeper(home, control, audit_days=365).run(ME)
    assert report.removed["audit rows"] == 3
    assert control.audit.verify().ok
    assert [row.action for row in control.audit.after(0, 10)] == ["audit.prune", "cleanup.run"]
    assert keeper(home, control).run(ME).removed["audit rows"] == 0


def old_file(path: Path, days: float) -> Path:
    path.write_text("x")
    os.utime(path, (NOW - days * DAY_S,) * 2)
    return path


def test_files_that_lie_around(home: Home, control: Control) -> None:
    gone = [old_file(home.logs / "requests.jsonl.2", 31), old_file(home.path / ".secret.key.123", 2)]
    killed = home.backups / ".b.tar.partial"
    killed.mkdir(parents=True)
    gone += [old_file(killed / "usage.db", 2), killed]
    os.utime(killed, (NOW - 2 * DAY_S,) * 2)
    kept = [
        old_file(home.logs / "requests.jsonl.1", 29),
        old_file(home.logs / "events.jsonl", 400),
        old_file(home.path / ".proxy.json.77", 0.5),
    ]
    preview = keeper(home, control, logs_days=30).preview().removed
    assert (preview["log files"], preview["drafts"]) == (1, 2)
    report = keeper(home, control, logs_days=30).run(ME)
    assert (report.removed["log files"], report.removed["drafts"]) == (1, 2)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_journals_with_a_call_in_them_stay(home: Home, control: Control) -> None:
    (home.journal / "1-1.jsonl").write_text('H {"row": [], "attempt": []}\n')
    with closing(Journal(home.journal)) as alive:
        dead = Journal(home.journal)
        dead.begin(1, RequestRow(id=1, request_id="a"))
        dead.close()
        files = set(home.journal.iterdir())
        report = keeper(home, control).run(ME)
        assert report.removed["empty journals"] == 1
        assert set(home.journal.iterdir()) == files - {home.journal / "1-1.jsonl"}
        assert [row.request_id for row in alive.recover()] == ["a"]


def days_work(home: Home, control: Control, now: list[float]) -> Daily:
    return Daily(home, lambda: keeper(home, control), lambda: now[0])


def exhaust(work: Iterator[None] | None) -> bool:
    assert work is not None
    return list(work) != []


def test_once_a_day_however_many_there_are(home: Home, control: Control) -> None:
    now = [time.time()]
    first, second = (days_work(home, control, now) for _ in range(2))
    begun = first.begin()
    assert begun is not None
    next(begun)
    assert second.begin() is None, "while the other is at it"
    exhaust(begun)
    assert second.begin() is None, "done today"
    now[0] += DAY_S + 1
    assert exhaust(second.begin())
    assert first.begin() is None


def test_what_was_broken_off_is_done_by_another(home: Home, control: Control) -> None:
    now = [time.time()]
    begun = days_work(home, control, now).begin()
    assert begun is not None
    next(begun)
    del begun
    assert exhaust(days_work(home, control, now).begin())


def test_the_lock_of_a_dead_process_is_no_hindrance(home: Home, control: Control) -> None:
    descriptor = os.open(home.leases / "cleanup", os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    daily = days_work(home, control, [time.time()])
    assert daily.begin() is None
    os.close(descriptor)
    assert exhaust(daily.begin())
