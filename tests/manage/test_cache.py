"""Who sees which stored answers, who deletes them, and the row about it."""

import json
from datetime import timedelta

import pytest

from llm_intercept.errors import ConfigError, Conflict, Forbidden, NotFound, StoreError
from llm_intercept.home import Home
from llm_intercept.manage import Management
from llm_intercept.manage.cache import asked
from llm_intercept.store.cache import Which, opened
from tests.manage.conftest import ADMIN, People, count, last
from tests.store.test_cache import NOW, answer

ANSWERS = (
    answer(1, token="laptop"),
    answer(2, token="phone", body=b'{"said": "by vic"}'),
    answer(3, project="blue", model="gpt-4o"),
    answer(4, project="default", expires_us=0, key=bytes(31) + b"\x14"),
)


@pytest.fixture
def world(manage: Management, people: People) -> People:
    with opened(path(manage).cache_db) as store:
        store.put(ANSWERS)
        store.used([(ANSWERS[0].key, 4, NOW)])
    return people


def path(manage: Management) -> Home:
    return Home(manage.control.path.parent)


def left(manage: Management) -> list[str]:
    return [entry.request_id for entry in manage.cache.entries(ADMIN)]


@pytest.mark.parametrize(
    ("who", "seen"),
    [("admin", [4, 3, 2, 1]), ("member", [2, 1]), ("viewer", [2]), ("stranger", [])],
)
def test_everybody_sees_what_may_be_seen_of_the_calls(
    manage: Management, world: People, who: str, seen: list[int]
) -> None:
    actor = getattr(world, who)
    assert [entry.request_id for entry in manage.cache.entries(actor)] == [f"r-{n}" for n in seen]
    assert manage.cache.totals(actor).entries == len(seen)
    assert manage.cache.entries(actor, Which(project="BLUE")) == manage.cache.entries(
        actor, Which(project="blue")
    )
    assert manage.cache.totals(actor, Which(project="nix")).entries == 0
    for one in ANSWERS:
        if int(one.request_id[2:]) in seen:
            assert manage.cache.show(actor, one.key.hex()).body == one.body
        else:
            with pytest.raises(NotFound, match="begins with"):
                manage.cache.show(actor, one.key.hex())


def test_one_is_found_by_the_beginning_of_its_key(manage: Management, world: People) -> None:
    with opened(path(manage).cache_db) as store:
        store.put([answer(5, key=b"\xab\xcd" + bytes(30)), answer(6, key=b"\xab\xce" + bytes(30))])
    shown = manage.cache.show(ADMIN, "ABC" + "d")
    assert (shown.entry.request_id, shown.headers) == ("r-5", ANSWERS[0].headers)
    with pytest.raises(Conflict, match="several keys begin with abc; give more"):
        manage.cache.show(ADMIN, "abc")
    for nothing in ("abcf", "*", "", "xyz", "a" * 200):
        with pytest.raises(NotFound, match="llm-intercept cache list"):
            manage.cache.show(ADMIN, nothing)


def test_sums_say_what_was_saved(manage: Management, world: People) -> None:
    found = manage.cache.totals(world.member)
    assert (found.entries, found.hits, found.saved_nanos) == (2, 4, 4 * 450_000)


@pytest.mark.parametrize(
    ("who", "which", "gone"),
    [
        ("admin", Which(), {1, 2, 3, 4}),
        ("admin", Which(project="BLUE"), {3}),
        ("admin", Which(model="gpt-5*"), {1, 2, 4}),
        ("admin", Which(expired_at=NOW), {4}),
        ("member", Which(), {1, 2}),
        ("member", Which(project="Red", before=answer(2).id), {1}),
        ("member", Which(provider="openai", expired_at=NOW), set()),
    ],
)
def test_what_is_purged_and_its_row(
    manage: Management, world: People, who: str, which: Which, gone: set[int]
) -> None:
    actor = getattr(world, who)
    before = count(manage)
    assert manage.cache.count(actor, which) == len(gone)
    assert count(manage) == before, "counting leaves no row"
    assert manage.cache.purge(actor, which) == len(gone)
    assert left(manage) == [f"r-{n}" for n in (4, 3, 2, 1) if n not in gone]
    assert count(manage) == before + 1
    row = last(manage)
    assert (row.action, row.outcome, row.actor, row.object_kind) == ("cache.purge", "ok", actor.name, "cache")
    assert json.loads(row.after)["deleted"] == len(gone)
    assert manage.audit.verify().ok


def test_the_row_says_what_was_asked_for(manage: Management, world: People) -> None:
    manage.cache.purge(ADMIN, Which())
    assert json.loads(last(manage).after) == {"asked": {"all": True}, "deleted": 4}
    assert last(manage).object_name == "answers"
    key = ANSWERS[0].key.hex()
    which = asked(NOW / 1e6, project="red", key=key, older_than=timedelta(days=1), expired=True)
    manage.cache.purge(ADMIN, which)
    row = last(manage)
    assert row.object_name == "red"
    assert json.loads(row.after)["asked"] == {
        "project": "red",
        "begins": key,
        "expired": True,
        "stored_before": "2026-11-17T11:06:40.000000Z",
    }


@pytest.mark.parametrize(
    ("who", "which", "error"),
    [
        ("member", Which(project="blue"), NotFound),
        ("member", Which(project="nix"), NotFound),
        ("viewer", Which(), Forbidden),
        ("viewer", Which(project="red"), Forbidden),
        ("stranger", Which(), Forbidden),
        ("stranger", Which(project="red"), NotFound),
    ],
)
def test_others_delete_nothing_and_leave_a_row(
    manage: Management, world: People, who: str, which: Which, error: type[Exception]
) -> None:
    for act in (manage.cache.purge, manage.cache.count):
        with pytest.raises(error):
            act(getattr(world, who), which)
        assert len(left(manage)) == 4
        assert (last(manage).action, last(manage).outcome) == ("cache.purge", "denied")


def test_a_project_that_is_not_there(manage: Management, world: People) -> None:
    with pytest.raises(NotFound, match="no project named 'nix'"):
        manage.cache.purge(ADMIN, Which(project="nix"))


def test_a_damaged_database_is_told_of_and_written_down(manage: Management, world: People) -> None:
    path(manage).cache_db.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="can be deleted while no proxy runs"):
        manage.cache.totals(ADMIN)
    with pytest.raises(StoreError, match="is damaged or not a database"):
        manage.cache.purge(ADMIN, Which())
    assert (last(manage).action, last(manage).outcome) == ("cache.purge", "failed")


def test_without_a_row_the_error_says_that_they_are_gone(manage: Management, world: People) -> None:
    manage.control.database.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="4 answers were deleted, and there is no audit row of it"):
        manage.cache.purge(ADMIN, Which())


def test_what_is_asked_for_in_words() -> None:
    assert asked(5.0) == Which()
    assert asked(5.0, provider="OpenAI", model="gpt-*", key="AB") == Which(
        provider="openai", model="gpt-*", key="ab"
    )
    assert asked(5.0, older_than=timedelta(seconds=2), expired=True) == Which(
        expired_at=5_000_000, before=3_000_000
    )
    assert asked(5.0, older_than=timedelta(days=400_000)).before == 0
    with pytest.raises(ConfigError, match="'xyz' is no key"):
        asked(5.0, key="xyz")
