"""Stored answers over the API: sums, pages, what one may see, and deleting them."""

from typing import Any

import pytest

from tests.dashboard.api.conftest import World
from tests.store.test_cache import FACTS


def keys(answer: Any) -> list[int]:
    return [int(item["key"], 16) for item in answer.json()["items"]]


def error(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("who", "entries", "hits"), [("root", 4, 3), ("local", 4, 3), ("mia", 2, 3), ("out", 2, 0), ("vic", 0, 0)]
)
def test_sums_are_of_what_one_may_see(world: World, who: str, entries: int, hits: int) -> None:
    found = world.get("/cache", who).json()
    assert (found["entries"], found["hits"]) == (entries, hits)
    assert found["saved_nanos"] == hits * 450_000
    assert found["saved_usd"] == ("0.001350000" if hits else "0.000000000")
    assert bool(found["oldest"]) == bool(entries)
    assert len(world.get("/cache/answers", who).json()["items"]) == entries


def test_filters_hold_at_once(world: World) -> None:
    assert keys(world.get("/cache/answers?project=ALPHA&expired=true")) == [2]
    assert keys(world.get("/cache/answers?provider=openai&model=gpt-5*&older_than=1d")) == [3]
    assert keys(world.get(f"/cache/answers?key={'0' * 63}4")) == [4]
    assert keys(world.get("/cache/answers?provider=groq")) == []
    assert world.get("/cache?project=alpha").json()["expired"] == 1
    assert error(world.get("/cache/answers?key=xyz")) == (422, "invalid_value")
    assert error(world.get("/cache?older_than=whenever")) == (422, "invalid_value")


def test_pages_hold_every_answer_once(world: World) -> None:
    path, seen = "/cache/answers?limit=3", []
    while path:
        page = world.get(path)
        seen += keys(page)
        following = page.json()["next_cursor"]
        path = f"/cache/answers?limit=3&cursor={following}" if following else ""
    assert seen == [4, 1, 2, 3]


def test_one_answer_with_what_was_said(world: World) -> None:
    path = f"/cache/answers/{world.ids['stored']}"
    bare = world.get(path, "mia").json()
    assert (bare["project"], bare["hits"], bare["body"], bare["encoding"]) == ("alpha", 3, None, None)
    assert (bare["cost_nanos"], bare["cost_usd"], bare["saved_nanos"]) == (450_000, "0.000450000", 1_350_000)
    whole = world.get(f"{path}?body=true", "mia").json()
    assert (whole["body"], whole["encoding"]) == (FACTS.body.decode(), "utf-8")
    assert ["x-request-id", "req_1"] in whole["headers"]
    assert error(world.get(path, "out")) == (404, "not_found")
    assert error(world.get("/cache/answers/000", "root")) == (409, "conflict")


class TestPurge:
    def test_all_has_to_be_said(self, world: World) -> None:
        assert error(world.post("/cache/purge", {})) == (422, "unusable")
        assert error(world.post("/cache/purge", {"all": True, "project": "alpha"})) == (422, "unusable")
        assert error(world.post("/cache/purge")) == (422, "unusable")
        assert world.get("/cache").json()["entries"] == 4

    def test_a_dry_run_deletes_nothing(self, world: World) -> None:
        body = {"all": True, "dry_run": True}
        assert world.post("/cache/purge", body).json() == {"dry_run": True, "deleted": 4}
        assert world.post("/cache/purge", body, "mia").json() == {"dry_run": True, "deleted": 2}
        assert error(world.post("/cache/purge", body, "vic")) == (403, "forbidden")
        assert world.get("/cache").json()["entries"] == 4

    def test_members_delete_those_of_their_projects(self, world: World) -> None:
        assert error(world.post("/cache/purge", {"project": "beta"}, "mia")) == (404, "not_found")
        assert error(world.post("/cache/purge", {"project": "alpha"}, "vic")) == (404, "not_found")
        done = world.post("/cache/purge", {"project": "alpha", "expired": True}, "mia")
        assert done.json() == {"dry_run": False, "deleted": 1}
        assert world.post("/cache/purge", {"all": True}, "mia").json()["deleted"] == 1
        assert keys(world.get("/cache/answers")) == [4, 3]
        row = world.get("/audit?action=cache.purge&outcome=ok").json()["items"][0]
        assert row["actor"]["name"] == "mia/mia-token"
        assert row["after"] == {"asked": {"all": True}, "deleted": 1}

    def test_admins_delete_any(self, world: World) -> None:
        assert world.post("/cache/purge", {"older_than": "1d"}).json()["deleted"] == 1
        assert world.post("/cache/purge", {"all": True}, "local").json()["deleted"] == 1
        assert world.get("/cache").json()["oldest"] is None


def test_a_damaged_database_is_no_fault_of_ours(world: World) -> None:
    good = world.home.cache_db.read_bytes()
    try:
        world.home.cache_db.write_bytes(b"no database" * 1000)
        answer = world.get("/cache")
        assert error(answer) == (503, "unavailable")
        assert "can be deleted while no proxy runs" in answer.json()["error"]["message"]
        assert error(world.post("/cache/purge", {"all": True})) == (503, "unavailable")
        row = world.get("/audit?action=cache.purge").json()["items"][0]
        assert (row["outcome"], row["after"]) == ("failed", None)
    finally:
        world.home.cache_db.write_bytes(good)
