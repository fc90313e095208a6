"""What every operation has: one shape of errors, idempotency, pages, conditions, rates, no strangers."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.api.conftest import World, open_world
from tests.dashboard.conftest import Visitor, log_in


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nothing", (404, "no_such_operation")),
        ("GET", "/users/", (404, "no_such_operation")),
        ("GET", "//users", (404, "no_such_operation")),
        ("PUT", "/users", (405, "method_not_allowed")),
        ("OPTIONS", "/users", (405, "method_not_allowed")),
        ("DELETE", "/users/me", (405, "method_not_allowed")),
        ("GET", "/tokens/revoke", (405, "method_not_allowed")),
        ("GET", "/users/%ff%fe", (400, "invalid_path")),
        ("GET", f"/users/{'x' * 501}", (400, "invalid_path")),
        ("GET", "/users/a%00b", (400, "invalid_path")),
        ("GET", "/users/%2e%2e%2fprojects", (404, "not_found")),
        ("GET", "/users?limit=0", (422, "invalid_value")),
        ("GET", "/users?limit=201", (422, "invalid_value")),
        ("GET", "/users?limit=1&limit=2", (422, "invalid_value")),
        ("GET", "/users?nonsense=1", (422, "unknown_field")),
        ("GET", "/users?cursor=nonsense", (400, "invalid_cursor")),
        ("GET", "/users?cursor=WyJwcm9qZWN0cyIsImEiXQ", (400, "invalid_cursor")),
        ("GET", "/usage/summary?timezone=Mars/Base", (422, "invalid_value")),
        ("GET", "/usage/summary?since=whenever", (422, "invalid_value")),
        ("GET", "/usage/summary?since=2026-11-03&until=2026-11-01", (422, "invalid_value")),
        ("GET", "/usage/summary?since=1d&start_date=2026-11-01", (422, "invalid_value")),
        ("GET", "/usage/hourly?since=2020-01-01&until=2026-01-01&timezone=Asia/Tokyo", (200, "")),
        ("GET", f"/usage/summary?since={'9' * 39}d", (200, "")),
        ("GET", "/usage/summary?since=0001-01-01&until=9999-12-31", (200, "")),
        ("GET", "/usage/requests/99999999999999999999", (404, "not_found")),
    ],
)
def test_what_cannot_be_asked(world: World, method: str, path: str, expected: tuple[int, str]) -> None:
    answer = world.ask(method, path)
    if expected[0] == 200:
        assert answer.status_code == 200, answer.text
        return
    assert code(answer) == expected, answer.text
    assert set(answer.json()["error"]) <= {"code", "message", "field", "request_id"}
    assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"]


def test_what_is_allowed_is_said_for_the_path_that_decides(world: World) -> None:
    assert world.ask("DELETE", "/users/me").headers["allow"] == "GET"
    assert world.ask("PUT", "/routes/explain").headers["allow"] == "POST"
    assert world.ask("PUT", "/routes/other").status_code == 400


def test_a_route_with_the_name_of_an_operation_goes_by_its_id(world: World) -> None:
    made = world.post("/routes", {"route": {"name": "explain", "targets": ["openai/gpt-5"]}}).json()
    assert world.get(f"/routes/{made['id']}").json()["name"] == "explain"
    assert world.ask("PATCH", f"/routes/{made['id']}", {"enabled": False}).json()["enabled"] is False
    assert world.ask("DELETE", f"/routes/{made['id']}").status_code == 200
    assert world.get(f"/routes/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "/users/changed", {"active": 0}, "active"),
        ("POST", "/maintenance/cleanup", {"dry_run": "no"}, "dry_run"),
        ("PATCH", "/limits/{limit-set}", {"amount": "7"}, "amount"),
        ("PATCH", "/projects/gamma", {"policy": {"parameters": {"n": {"max": True}}}}, "policy"),
    ],
)
def test_values_have_to_be_of_their_kind(world: World, method: str, path: str, body: Any, field: str) -> None:
    answer = world.ask(method, path.replace("{limit-set}", world.ids["limit-set"]), body)
    assert code(answer) == (422, "invalid_value"), answer.text
    assert answer.json()["error"]["field"].startswith(field)


@pytest.mark.parametrize(
    ("path", "field", "said"),
    [
        ("/usage/daily?timezone=Mars", "timezone", "'Mars' is not a time zone"),
        ("/usage/daily?since=whenever", "since", "'whenever' is not a time"),
        ("/usage/daily?until=whenever", "until", "'whenever' is not a time"),
        ("/usage/daily?start_date=2026-13-01", "start_date", "2026-13-01"),
        ("/usage/daily?end_date=tomorrow", "end_date", "write a day as 2026-11-01"),
        ("/usage/daily?since=2026-11-03&until=2026-11-01", "until", "lies before"),
        ("/usage/daily?status=9xx", "status", "429, or several as 4xx"),
        ("/audit?since=whenever", "since", "'whenever' is not a time"),
        ("/maintenance/logs?timezone=Mars", "timezone", "is not a time zone"),
    ],
)
def test_the_parameter_that_is_wrong_is_named(world: World, path: str, field: str, said: str) -> None:
    answer = world.get(path)
    assert code(answer) == (422, "invalid_value")
    assert answer.json()["error"]["field"] == field
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("GET", "/users/nobody", None, "There is no user 'nobody'; `GET /-/api/users` shows all."),
        (
            "POST",
            "/tokens",
            {"project": "none", "name": "x"},
            "There is no project named 'none'; `POST /-/api/projects` makes one.",
        ),
        ("GET", "/routes/none", None, "There is no route 'none'; `GET /-/api/routes` shows all."),
        ("GET", "/aliases/none", None, "There is no alias 'none'; `GET /-/api/aliases` shows all."),
        ("POST", "/credentials", {"provider": "openai", "key": ""}, "The key is empty."),
        (
            "POST",
            "/credentials",
            {"provider": "vertex", "key": '{"a": 1}'},
            "The vertex credential is not the JSON key of a service account.",
        ),
        (
            "POST",
            "/maintenance/backups/none/verify",
            None,
            "There is no backup 'none'; `GET /-/api/maintenance/backups` shows all.",
        ),
        (
            "POST",
            "/users",
            {"name": "a b"},
            "name: takes 1 to 64 of A-Z a-z 0-9 . _ -.",
        ),
        ("POST", "/tokens/revoke", {"tokens": []}, "tokens: takes at least 1 entries."),
        (
            "POST",
            "/maintenance/backups",
            {"passphrase": "short"},
            "passphrase: takes at least 12 characters.",
        ),
        (
            "POST",
            "/limits",
            {"scope": "global", "name": "x", "measure": "cost", "amount": 5},
            "A global limit is about everything and has no name.",
        ),
    ],
)
def test_errors_say_what_to_do_in_words_of_the_api(
    world: World, method: str, path: str, body: Any, said: str
) -> None:
    answer = world.ask(method, path, body)
    assert answer.json()["error"]["message"] == said
    assert "--" not in answer.text
    assert "llm-intercept " not in answer.text


@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        ("Bearer llm_api_wrong", "This API token does not work"),
        ("Bearer lli_something", "This is the token of a project"),
        ("Basic cm9vdDpyb290", "Log in, or send"),
    ],
)
def test_strangers_are_told_what_is_missing(world: World, authorization: str, said: str) -> None:
    answer = world.get("/users", who=None, authorization=authorization)
    assert code(answer) == (401, "unauthenticated")
    assert answer.json()["error"]["message"].startswith(said)


def test_a_body_that_is_too_large_is_not_read(world: World) -> None:
    assert code(world.post("/users", b"{" + b" " * 1_000_001)) == (413, "too_large")
    assert code(world.post("/users", b"{}", content_length="99999999")) == (413, "too_large")


def test_a_head_has_no_body(world: World) -> None:
    answer = world.ask("HEAD", "/users")
    assert (answer.status_code, answer.text) == (200, "")


@pytest.mark.parametrize(
    "authorization", ["Bearer llm_api_wrong", "Bearer lli_x", "Basic cm9vdDpyb290", "Bearer ", "llm_api_x"]
)
def test_wrong_credentials_are_nobodys(world: World, authorization: str) -> None:
    assert code(world.get("/users", who=None, authorization=authorization)) == (401, "unauthenticated")


def test_scopes_of_tokens(world: World) -> None:
    for scope, allowed in (("usage", 1), ("read", 2), ("write", 3)):
        made = world.post("/api-tokens", {"name": f"only-{scope}", "scope": scope})
        assert made.status_code == 201
        world.bearers[scope] = made.json()["text"]
        answers = [
            world.get("/usage/summary", scope),
            world.get("/users", scope),
            world.post("/projects", {"name": f"by-{scope}"}, scope),
        ]
        assert [answer.status_code < 300 for answer in answers] == [n < allowed for n in range(3)]
        assert {code(answer) for answer in answers if answer.status_code > 299} <= {(403, "scope_missing")}


def test_an_api_token_ends_at_the_next_request(world: World) -> None:
    made = world.post("/api-tokens", {"name": "short", "scope": "read"}).json()
    world.bearers["short"] = made["text"]
    assert world.get("/users", "short").status_code == 200
    assert world.post(f"/api-tokens/{made['token']['id']}/revoke").status_code == 200
    assert world.get("/users", "short").status_code == 401


class TestIdempotency:
    def test_a_repeated_request_is_answered_again_and_done_once(self, world: World) -> None:
        body = {"project": "alpha", "name": "once"}
        first, second = (world.post("/tokens", body, idempotency_key="k1") for _ in range(2))
        assert first.status_code == second.status_code == 201
        assert first.text == second.text
        assert "idempotent-replayed" not in first.headers
        assert second.headers["idempotent-replayed"] == "true"
        assert len(world.get("/tokens?prefix=once").json()["items"]) == 1

    def test_another_body_is_a_conflict(self, world: World) -> None:
        world.post("/projects", {"name": "idem"}, idempotency_key="k2")
        other = world.post("/projects", {"name": "idem-2"}, idempotency_key="k2")
        assert code(other) == (409, "idempotency_conflict")
        assert world.get("/projects/idem-2").status_code == 404

    def test_keys_are_ones_own_and_those_of_an_operation(self, world: World) -> None:
        assert world.post("/api-tokens", {"name": "mine"}, "mia", idempotency_key="k3").status_code == 201
        assert world.post("/api-tokens", {"name": "mine"}, "out", idempotency_key="k3").status_code == 201
        assert world.post("/users", {"name": "k3"}, idempotency_key="k3").status_code == 201
        assert world.post("/projects", {"name": "k3"}, idempotency_key="k3").status_code == 201

    def test_what_failed_can_be_tried_again(self, world: World) -> None:
        refused = world.post("/projects", {"name": "later", "owner": "late"}, idempotency_key="k4")
        assert refused.status_code == 404
        world.post("/users", {"name": "late"})
        made = world.post("/projects", {"name": "later", "owner": "late"}, idempotency_key="k4")
        assert made.status_code == 201

    def test_without_a_key_it_is_done_twice(self, world: World) -> None:
        assert world.post("/users", {"name": "twice"}).status_code == 201
        assert code(world.post("/users", {"name": "twice"})) == (409, "conflict")

    def test_no_secret_lies_in_the_open(self, world: World) -> None:
        made = world.post("/tokens", {"project": "alpha", "name": "sealed"}, idempotency_key="k5").json()
        stored = world.home.control_db.read_bytes()
        stored += world.home.control_db.with_name("control.db-wal").read_bytes()
        assert made["token"]["id"].encode() in stored
        assert made["text"].encode() not in stored

    def test_a_key_has_a_length(self, world: World) -> None:
        answer = world.post("/users", {"name": "long"}, idempotency_key="k" * 201)
        assert code(answer) == (400, "invalid_header")


class TestPages:
    @pytest.mark.parametrize("path", ["/tokens", "/users", "/projects", "/usage/recent", "/providers"])
    def test_pages_are_the_list(self, world: World, path: str) -> None:
        whole = world.get(f"{path}?limit=200").json()["items"]
        assert len(whole) > 3
        found, cursor = [], ""
        while cursor is not None:
            page = world.get(f"{path}?limit=3&cursor={cursor}").json()
            assert len(page["items"]) <= 3
            found += page["items"]
            cursor = page["next_cursor"]
        assert found[: len(whole)] == whole
        assert len({json.dumps(item) for item in found}) == len(found)

    def test_a_row_that_goes_does_not_move_the_others(self, world: World) -> None:
        for name in ("page-a", "page-b", "page-c"):
            world.post("/users", {"name": name})
        first = world.get("/users?search=page-&limit=2").json()
        assert [user["name"] for user in first["items"]] == ["page-a", "page-b"]
        world.ask("DELETE", "/users/page-b")
        second = world.get(f"/users?search=page-&limit=2&cursor={first['next_cursor']}").json()
        assert [user["name"] for user in second["items"]] == ["page-c"]


class TestConditions:
    def test_a_change_of_something_that_has_changed_is_refused(self, world: World) -> None:
        world.post("/projects", {"name": "tagged"})
        tag = world.get("/projects/tagged").headers["etag"]
        assert world.get("/projects/tagged", if_none_match=tag).status_code == 304
        change = {"hangup": "drain"}
        assert world.ask("PATCH", "/projects/tagged", change, if_match=tag).status_code == 200
        again = world.ask("PATCH", "/projects/tagged", {"hangup": "cut"}, if_match=tag)
        assert code(again) == (412, "precondition_failed")
        assert world.get("/projects/tagged").json()["hangup"] == "drain"
        assert world.ask("PATCH", "/projects/tagged", {"hangup": "cut"}, if_match="*").status_code == 200


class TestRates:
    @pytest.fixture
    def slow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
        for name in [name for name in os.environ if name.startswith("LLM_INTERCEPT_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("LLM_INTERCEPT_DASHBOARD__API_RATE", "60")
        with asyncio.Runner() as runner:
            found = open_world(tmp_path / "home", runner, rows=10)
            yield found
            runner.run(found.datasette.invoke_shutdown())

    def test_too_many_are_told_to_wait(self, slow: World) -> None:
        answers = [slow.get("/users/me") for _ in range(30)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert answers[0].status_code == 200
        assert refused
        assert code(refused[-1]) == (429, "rate_limited")
        assert int(refused[-1].headers["retry-after"]) >= 1

    def test_nobody_is_counted_too(self, slow: World) -> None:
        answers = [slow.get("/users/me", who=None).status_code for _ in range(30)]
        assert answers[0] == 401
        assert answers[-1] == 429


class TestSessions:
    @pytest.fixture
    def person(self, world: World) -> Visitor:
        visitor = Visitor(world.datasette, world.runner)
        log_in(visitor, world.home)
        return visitor

    def test_a_login_will_do(self, person: Visitor) -> None:
        assert person.get("/-/api/users/me", html=False).json()["role"] == "admin"
        made = person.post("/-/api/projects", json={"name": "by-session"}, html=False)
        assert made.status_code == 201

    @pytest.mark.parametrize(
        "headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}]
    )
    def test_another_site_cannot_use_it(self, person: Visitor, headers: dict[str, str]) -> None:
        answer = person.post("/-/api/projects", json={"name": "forged"}, html=False, headers=headers)
        assert answer.status_code == 403
        assert person.get("/-/api/projects/forged", html=False).status_code == 404

    def test_no_page_of_another_site_may_read(self, person: Visitor) -> None:
        answer = person.get("/-/api/users", html=False, headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers

    def test_the_page_for_people(self, person: Visitor, world: World) -> None:
        answer = person.get("/-/api/docs")
        assert answer.status_code == 200
        assert "POST /tokens/{token}/refresh" in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "https://" not in answer.text.replace("https://127.0.0.1", "").replace("(https://", "")
        assert Visitor(world.datasette, world.runner).get("/-/api/docs").status_code == 403
        assert person.get("/-/api").headers["location"] == "/-/api/docs"


def test_a_reset_of_breakers_is_in_the_audit_log(world: World) -> None:
    assert world.post("/breakers/reset", {"provider": "OpenAI", "model": "gpt-5"}).status_code == 200
    row = world.get("/audit?action=breaker.reset").json()["items"][0]
    assert (row["object"]["name"], row["actor"]["kind"], row["outcome"]) == (
        "openai/*/gpt-5",
        "api_token",
        "ok",
    )
    assert world.post("/breakers/reset", {}, "mia").status_code == 403
    assert world.get("/audit?action=breaker.reset").json()["items"][0]["outcome"] == "denied"


def test_the_id_of_an_answer_leads_to_what_it_has_done(world: World) -> None:
    made = world.post("/projects", {"name": "by-id"}).headers["x-request-id"]
    refused = world.post("/projects", {"name": "by-id"}).headers["x-request-id"]
    for id_, outcome in ((made, "ok"), (refused, "failed")):
        [row] = world.get(f"/audit?request_id={id_}").json()["items"]
        assert (row["request_id"], row["action"], row["outcome"]) == (id_, "project.create", outcome)
    assert world.get("/audit?request_id=none").json()["items"] == []


def test_what_is_refused_is_in_the_audit_log(world: World) -> None:
    world.post("/projects", {"name": "not-by-vic"}, "vic")
    world.post("/projects", {"name": "by-root"})
    control = world.control()
    try:
        rows = [row for row in control.audit.after(0, 10_000) if row.action == "project.create"]
    finally:
        control.close()
    denied = next(row for row in rows if row.outcome == "denied")
    done = next(row for row in rows if row.object_name == "by-root")
    assert (denied.actor, denied.actor_kind, denied.object_name) == (
        "vic/vic-token",
        "api_token",
        "not-by-vic",
    )
    assert done.source == denied.source != ""


def test_a_fault_of_ours_has_the_same_shape(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    def broken(*_: object) -> None:
        raise RuntimeError("a secret thing")

    monkeypatch.setattr(sys.modules["llm_dashboard.api.running"], "shaped", broken)
    answer = world.get("/users")
    assert code(answer) == (500, "internal")
    assert "secret thing" not in answer.text


def test_a_limit_that_is_suspended_stays_so_when_it_is_changed(world: World) -> None:
    asked = {"scope": "client_ip", "name": "192.0.2.7", "measure": "requests", "amount": 9, "per": "hour"}
    made = world.post("/limits", asked).json()
    path = f"/limits/{made['id']}"
    assert world.ask("PATCH", path, {"enabled": False}).json()["enabled"] is False
    changed = world.ask("PATCH", path, {"amount": 10, "timezone": "Europe/Berlin"}).json()
    assert (changed["amount"], changed["timezone"], changed["enabled"]) == (10, "Europe/Berlin", False)
    assert world.ask("PATCH", path, {"soft": True, "enabled": True}).json()["enabled"] is True
