"""Who gets in, by what, and what the answers' headers say."""

import time
from typing import Any

import pytest

from llm_intercept.home import Home
from tests.dashboard.conftest import Visitor, log_in, new_link

PAGES = (
    "/",
    "/-/llm/requests",
    "/-/llm/requests/0197",
    "/-/llm/targets",
    "/-/llm/live.json",
    "/-/llm/summary.json",
    "/-/llm/timeseries.json",
    "/-/llm/export.csv",
    "/-/llm/export.ndjson",
    "/-/llm/export.json",
    "/usage",
    "/usage/requests",
    "/usage/by-day",
    "/usage/-/query?sql=select+1",
    "/usage/requests.json",
    "/-/config",
    "/-/plugins",
    "/-/databases",
)


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_anything_without_a_login(anonymous: Visitor, path: str) -> None:
    assert anonymous.get(path, html=False).status_code == 403
    answer = anonymous.get(path)
    assert answer.status_code == 403
    assert "checkout" not in answer.text


def test_a_person_is_told_how_to_log_in(anonymous: Visitor) -> None:
    answer = anonymous.get("/")
    assert "llm-intercept dashboard --login-link" in answer.text
    assert "Log out" not in answer.text


def test_a_link_works_once(anonymous: Visitor, seeded: Home) -> None:
    link = new_link(seeded)
    first = anonymous.get(link)
    assert first.status_code == 302
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert anonymous.get("/").status_code == 200
    anonymous.cookies.clear()
    second = anonymous.get(link)
    assert second.status_code == 403
    assert "used before" in second.text
    assert anonymous.get("/").status_code == 403


def test_a_link_expires_after_ten_minutes(anonymous: Visitor, seeded: Home) -> None:
    assert anonymous.get(new_link(seeded, lambda: time.time() - 601)).status_code == 403
    assert anonymous.get(new_link(seeded, lambda: time.time() - 590)).status_code == 302


@pytest.mark.parametrize("code", ["", "nonsense", "%00", "' OR 1=1 --"])
def test_an_invented_code_opens_nothing(anonymous: Visitor, code: str) -> None:
    anonymous.get(f"/-/llm/login?code={code}")
    assert anonymous.get("/").status_code == 403


@pytest.mark.parametrize("cookie", ["", "0" * 64, "owner"])
def test_an_invented_cookie_opens_nothing(anonymous: Visitor, cookie: str) -> None:
    anonymous.cookies["llm_intercept_session"] = cookie
    assert anonymous.get("/").status_code == 403


def test_datasettes_own_cookie_gives_nothing_that_is_ours(anonymous: Visitor) -> None:
    signed = anonymous.datasette.client.actor_cookie({"id": "root"})
    anonymous.cookies["ds_actor"] = signed
    assert anonymous.get("/").status_code == 403
    assert anonymous.get("/usage/requests").status_code == 403


def test_logging_out_ends_the_session_on_the_server(owner: Visitor) -> None:
    stolen = dict(owner.cookies)
    assert owner.get("/-/llm/logout").status_code == 302
    assert owner.get("/").status_code == 200, "a GET logs nobody out"
    assert owner.post("/-/llm/logout").status_code == 302
    owner.cookies = stolen
    assert owner.get("/").status_code == 403


def test_another_site_cannot_log_anybody_out(owner: Visitor) -> None:
    foreign = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    assert owner.post("/-/llm/logout", headers=foreign).status_code == 403
    assert owner.get("/").status_code == 200


def test_a_session_lasts_as_long_as_configured(visit: Any, seeded: Home) -> None:
    visitor = visit(seeded, session_hours=1)
    answer = visitor.get(new_link(seeded))
    assert "max-age=3600" in answer.headers["set-cookie"].lower()


def test_only_digests_are_stored(owner: Visitor, seeded: Home) -> None:
    stored = seeded.control_db.read_bytes() + seeded.control_db.with_name("control.db-wal").read_bytes()
    assert owner.cookies["llm_intercept_session"].encode() not in stored


def test_control_db_cannot_be_reached(owner: Visitor, seeded: Home) -> None:
    for path in ("/control", "/_control", "/control/sessions", "/_internal", "/_internal/databases"):
        assert owner.get(path).status_code in (403, 404)
    attach = f"/usage/-/query.json?sql=attach+'{seeded.control_db}'+as+c"
    assert owner.get(attach, html=False).status_code in (400, 403)
    tables = owner.get("/usage/-/query.json?sql=select+name+from+sqlite_master&_shape=array", html=False)
    assert not {"tokens", "sessions", "credentials"} & {row["name"] for row in tables.json()}


def test_the_owner_reads_and_writes_nothing(owner: Visitor) -> None:
    assert owner.get("/usage/-/query.json?sql=select+1+as+one", html=False).json()["rows"] == [{"one": 1}]
    insert = owner.post("/usage/requests/-/insert", json={"row": {}}, html=False)
    assert insert.status_code == 403
    delete = owner.get("/usage/-/query.json?sql=delete+from+requests", html=False)
    assert delete.status_code in (400, 403)


@pytest.mark.parametrize("path", ["/", "/usage", "/nowhere", "/-/static/app.css"])
def test_every_answer_carries_the_security_headers(owner: Visitor, path: str) -> None:
    headers = owner.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_our_pages_allow_no_inline_script(owner: Visitor) -> None:
    policy = owner.get("/").headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-inline" not in policy
    text = owner.get("/").text
    assert "<script>" not in text
    assert "onclick" not in text
    assert "style=" not in text


def test_nothing_is_fetched_from_elsewhere(owner: Visitor) -> None:
    for path in ("/", "/-/llm/requests", "/-/llm/targets", "/usage", "/usage/by-day"):
        text = owner.get(path).text
        assert 'src="http' not in text
        assert 'rel="stylesheet" href="http' not in text


def test_the_plugin_is_inert_without_a_home(runner: Any, seeded: Home, owner: Visitor) -> None:
    from datasette.app import Datasette

    plain = Datasette([str(seeded.usage_db)])
    visitor = Visitor(plain, runner)
    runner.run(plain.invoke_startup())
    assert visitor.get("/-/llm/requests").status_code == 404
    assert visitor.get("/-/versions.json", html=False).status_code == 200
    assert "content-security-policy" not in visitor.get("/-/versions.json", html=False).headers
    runner.run(plain.invoke_shutdown())


def test_two_people_have_two_sessions(visit: Any, seeded: Home) -> None:
    first, second = visit(seeded), visit(seeded)
    log_in(first, seeded)
    log_in(second, seeded)
    first.post("/-/llm/logout")
    assert second.get("/").status_code == 200
