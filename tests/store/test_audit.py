import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_intercept.errors import Conflict, NotFound, StoreError
from llm_intercept.home import Home
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.flood import Flood
from llm_intercept.store.audit import Audit
from llm_intercept.store.audit_rows import NOTHING, Thing
from llm_intercept.store.control import Control
from tests.store.conftest import Clock

ANNA = Actor("session", "anna", "admin", "usr_1", "10.0.0.7")
DEMO = Thing("project", "demo", "prj_1")


@pytest.fixture
def audit(control: Control) -> Audit:
    return control.audit


@pytest.fixture
def ids(audit: Audit, clock: Clock) -> list[int]:
    """Six rows, a second apart."""
    found = []
    for number in range(6):
        found.append(audit.record(ANNA, "project.change", DEMO, after={"number": number}))
        clock.now += 1
    return found


def tamper(home: Home, *statements: str) -> None:
    """As somebody does who can write to the file and knows its schema, but has no key."""
    with closing(sqlite3.connect(home.control_db)) as connection, connection:
        for name in ("audit_is_not_changed", "audit_is_not_shortened"):
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


def undone(audit: Audit, work: Callable[[], object]) -> None:
    with audit.database.write():
        work()
        audit.record(ANNA, "undone")
        raise Conflict("no")


def test_a_row(audit: Audit, clock: Clock) -> None:
    id_ = audit.record(ANNA, "project.change", DEMO, before={"capture": None}, after={"capture": "all"})
    row = audit.get(id_)
    assert id_ == round(clock.now * 1e6)
    assert row.document() == {
        "id": id_,
        "ts": "2026-11-18T11:06:40.000000Z",
        "actor": {"kind": "session", "name": "anna", "id": "usr_1"},
        "source": "10.0.0.7",
        "request_id": "",
        "action": "project.change",
        "object": {"kind": "project", "name": "demo", "id": "prj_1"},
        "outcome": "ok",
        "detail": "",
        "before": {"capture": None},
        "after": {"capture": "all"},
        "chain": row.chain.hex(),
    }
    assert row.changes() == [("capture", None, "all")]


def test_rows_of_the_same_moment_are_in_order(audit: Audit, clock: Clock) -> None:
    first = audit.record(ANNA, "a")
    clock.now -= 100
    assert audit.record(ANNA, "b") == first + 1
    assert audit.verify().ok


def test_a_row_that_is_not_there(audit: Audit) -> None:
    with pytest.raises(NotFound, match="llm-intercept audit list"):
        audit.get(7)


def test_a_row_is_there_with_the_change_or_not_at_all(control: Control, audit: Audit) -> None:
    with pytest.raises(Conflict):
        undone(audit, lambda: control.projects.create("kept-out"))
    assert [p.name for p in control.projects.list()] == ["default"]
    assert audit.after(0, 10) == []
    assert audit.verify().ok


def test_what_is_undone_inside_leaves_the_rest(control: Control, audit: Audit) -> None:
    with audit.database.write():
        control.projects.create("one")
        with pytest.raises(Conflict):
            control.projects.create("one")
        audit.record(ANNA, "project.create", Thing("project", "one"))
    assert [p.name for p in control.projects.list()] == ["default", "one"]
    assert [row.object_name for row in audit.after(0, 10)] == ["one"]


def test_the_sink_is_told_once_for_each_commit_and_not_of_what_was_undone(control: Control) -> None:
    told: list[int] = []
    audit = Audit(control.database, sink=lambda audit: told.append(len(audit.after(0, 100))))
    with audit.database.write():
        audit.record(ANNA, "a")
        audit.record(ANNA, "b")
        assert told == []
    assert told == [2]
    with pytest.raises(Conflict):
        undone(audit, lambda: None)
    audit.record(ANNA, "d")
    assert told == [2, 3]


@dataclass(frozen=True, slots=True)
class Leaky:
    name: str
    secret: object


@pytest.mark.parametrize("secret", [SecretStr("sk-very-secret"), b"\x00digest"])
def test_secrets_have_no_place_in_it(audit: Audit, secret: object) -> None:
    with pytest.raises(TypeError):
        audit.record(ANNA, "a", after=Leaky("x", secret))
    assert audit.after(0, 10) == []


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-abcdefghijklmnop1234",
        "lli_" + "a" * 49,
        "https://user:password12@relay.example.com/v1",
        "Bearer abcdefghijklmnop",
    ],
)
def test_secrets_in_the_wrong_place_are_taken_out(audit: Audit, text: str) -> None:
    id_ = audit.record(
        ANNA, "a", Thing("key", text), before={"name": text}, after=Leaky(text, [text]), detail=text
    )
    said = json.dumps(audit.get(id_).document())
    assert said.count("[redacted]") == 5
    for part in ("abcdefghijklmnop", "a" * 12, "password12"):
        assert part not in said


@pytest.mark.parametrize("statement", ["UPDATE audit SET detail = 'x'", "DELETE FROM audit"])
def test_rows_are_neither_changed_nor_deleted(home: Home, ids: list[int], statement: str) -> None:
    with (
        closing(sqlite3.connect(home.control_db)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement)


def test_a_log_without_rows(audit: Audit) -> None:
    assert (audit.verify().ok, audit.verify().rows) == (True, 0)


def test_a_whole_log(audit: Audit, ids: list[int]) -> None:
    verdict = audit.verify()
    assert (verdict.ok, verdict.rows, verdict.last_id, verdict.broken) == (True, 6, ids[-1], None)
    assert verdict.chain == audit.get(ids[-1]).chain.hex()


def swapped(one: int, other: int) -> tuple[str, ...]:
    return tuple(
        f"UPDATE audit SET id = {new} WHERE id = {old}" for old, new in ((one, 1), (other, one), (1, other))
    )


def copied(id_: int, new: int) -> str:
    columns = (
        "actor_kind, actor_id, actor, source, action, object_kind, object_id, object_name, before, after"
    )
    rest = f"{columns}, outcome, detail, seal, chain"
    return f"INSERT INTO audit (id, {rest}) SELECT {new}, {rest} FROM audit WHERE id = {id_}"


@pytest.mark.parametrize(
    ("statements", "broken", "reason"),
    [
        (lambda i: [f"UPDATE audit SET actor = 'eve' WHERE id = {i[2]}"], 2, "changed"),
        (lambda i: [f"UPDATE audit SET after = '' WHERE id = {i[0]}"], 0, "changed"),
        (lambda i: [f"UPDATE audit SET outcome = 'ok ' WHERE id = {i[5]}"], 5, "changed"),
        (lambda i: [f"UPDATE audit SET request_id = 'req_x' WHERE id = {i[1]}"], 1, "changed"),
        (lambda i: [f"UPDATE audit SET seal = zeroblob(32) WHERE id = {i[3]}"], 3, "changed"),
        (lambda i: [f"DELETE FROM audit WHERE id = {i[2]}"], 3, "missing"),
        (lambda i: [f"DELETE FROM audit WHERE id IN ({i[1]}, {i[2]})"], 3, "missing"),
        (lambda i: [f"DELETE FROM audit WHERE id = {i[0]}"], 1, "missing"),
        (lambda i: [f"DELETE FROM audit WHERE id = {i[5]}"], 4, "end"),
        (lambda i: [f"DELETE FROM audit WHERE id > {i[1]}", "DELETE FROM audit_head"], 1, "end"),
        (lambda i: swapped(i[1], i[2]), 1, "reordered"),
        (lambda i: swapped(i[1], i[4]), 1, "reordered"),
        (lambda i: [copied(i[1], i[3] + 5)], (3, 5), "inserted"),
        (lambda i: [copied(i[1], i[5] + 5)], (5, 5), "inserted"),
        (lambda i: ["UPDATE audit_head SET number = 7"], 5, "end"),
        (
            lambda i: [
                f"DELETE FROM audit WHERE id <= {i[1]}",
                f"INSERT INTO audit_checkpoint VALUES (1, 2, {i[1]}, zeroblob(32), zeroblob(32))",
            ],
            1,
            "checkpoint",
        ),
    ],
)
def test_tampering_is_found_where_it_begins(
    home: Home,
    audit: Audit,
    ids: list[int],
    statements: Callable[[list[int]], list[str]],
    broken: int | tuple[int, int],
    reason: str,
) -> None:
    tamper(home, *statements(ids))
    place, beyond = broken if isinstance(broken, tuple) else (broken, 0)
    verdict = audit.verify()
    assert (verdict.ok, verdict.reason, verdict.broken) == (False, reason, ids[place] + beyond)
    assert str(verdict.broken) in verdict.text


def test_a_log_that_was_cut_off_is_not_healed_by_going_on(home: Home, audit: Audit, ids: list[int]) -> None:
    tamper(home, f"DELETE FROM audit WHERE id > {ids[3]}", "DELETE FROM audit_head")
    fresh = audit.record(ANNA, "project.change", DEMO)
    verdict = audit.verify()
    assert (verdict.ok, verdict.reason, verdict.broken) == (False, "missing", fresh)


def test_another_key_proves_nothing(home: Home, audit: Audit, ids: list[int]) -> None:
    """Digests made without the vault do not fit."""
    tamper(home, "UPDATE audit SET seal = zeroblob(32), chain = zeroblob(32)")
    assert audit.verify().broken == ids[0]


def test_old_rows_are_removed_under_a_checkpoint(audit: Audit, ids: list[int]) -> None:
    assert audit.prune(ids[2], ANNA) == 2
    verdict = audit.verify()
    assert (verdict.ok, verdict.rows, verdict.removed) == (True, 5, 2)
    last = audit.after(ids[-1], 10)[0]
    assert (last.action, last.actor) == ("audit.prune", "anna")
    assert json.loads(last.after)["removed"] == 2
    assert audit.prune(ids[2], ANNA) == 0
    assert audit.prune(ids[4], ANNA) == 2
    assert (audit.verify().ok, audit.verify().removed) == (True, 4)


def test_what_a_checkpoint_does_not_cover_cannot_go(home: Home, audit: Audit, ids: list[int]) -> None:
    audit.prune(ids[2], ANNA)
    with (
        closing(sqlite3.connect(home.control_db)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute("DELETE FROM audit WHERE id = ?", (ids[2],))
    tamper(home, f"DELETE FROM audit WHERE id = {ids[2]}")
    assert (audit.verify().reason, audit.verify().broken) == ("missing", ids[3])


def test_evidence_is_not_removed(home: Home, audit: Audit, ids: list[int]) -> None:
    tamper(home, f"UPDATE audit SET actor = 'eve' WHERE id = {ids[0]}")
    with pytest.raises(StoreError, match="nothing is removed from the audit log"):
        audit.prune(ids[3], ANNA)
    assert len(audit.after(0, 10)) == 6


def test_a_flood_is_counted(control: Control, clock: Clock) -> None:
    audit = Audit(control.database, flood=Flood(each=3))
    written = [audit.event("login", ANNA, outcome="failed") for _ in range(10)]
    assert written == [True] * 3 + [False] * 7
    assert audit.event("login", Actor("session", "bob", source="10.0.0.8"))
    clock.now += 61
    assert audit.event("login", ANNA)
    said = [(row.action, row.source, row.detail) for row in audit.after(0, 100)][-2:]
    assert said == [
        ("login", "10.0.0.7", "7 more of login were not written down"),
        ("login", "10.0.0.7", ""),
    ]
    assert audit.verify().ok


def test_what_was_left_out_is_said_before_the_end(control: Control) -> None:
    audit = Audit(control.database, flood=Flood(each=1))
    assert [audit.event("login", ANNA, NOTHING) for _ in range(3)] == [True, False, False]
    audit.left_out()
    audit.left_out()
    assert [row.detail for row in audit.after(0, 10)] == ["", "2 more of login were not written down"]


def test_the_file_is_not_readable_for_others(home: Home, ids: list[int]) -> None:
    assert Path(home.control_db).stat().st_mode & 0o077 == 0
