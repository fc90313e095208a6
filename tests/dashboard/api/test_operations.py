"""Every operation: that it works, for whom it does not, and that its answers are what the document says."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from tests.dashboard.api.cases import CASES, Case
from tests.dashboard.api.conftest import World
from tests.test_keytest import provider_that_answers

SECRET = "Kd8sVn2QpL6xTz0Wb4Rm9Gf1Hc7Jy3Ue"


@pytest.fixture(scope="module")
def full(world: World) -> Iterator[World]:
    """With what only exists once the API is asked: a session, a provider to ask, a call."""
    with provider_that_answers(200, {"data": [{"id": "gpt-5"}, {"id": "gpt-5-mini"}]}) as (url, _):
        control = world.control()
        try:
            key = control.credentials.add("openai", SecretStr(f"sk-{SECRET}"), name="local", base_url=url)
            control.sessions.open("mia", "member", hours=1, user_id=control.users.get("root").id)
            session = control.sessions.list()[0].id
            control.api_tokens.create(control.users.get("root").id, "second", "read")
        finally:
            control.close()
        world.ids["backup"] = world.post("/maintenance/backups", {}).json()["name"]
        call = world.get("/usage/recent?limit=1").json()["items"][0]["request_id"]
        world.ids |= {"key-local": key.id, "provider": url, "secret": SECRET}
        world.ids |= {"session": session, "request": call}
        world.post("/users", {"name": "audited"})
        world.ids["row"] = str(world.get("/audit?name=audited").json()["items"][0]["id"])
        world.secrets.add(SECRET)
        yield world


def operations() -> dict[str, Any]:
    return {operation.id: operation for operation in sys.modules["llm_dashboard.api.operations"].ALL}


def filled(value: Any, ids: dict[str, str]) -> Any:
    text = json.dumps(value)
    for name, found in ids.items():
        text = text.replace("{" + name + "}", found)
    return json.loads(text)


def request(world: World, id_: str, who: str | None) -> Any:
    case: Case = CASES[id_]
    path, body = filled([case.path, case.body], world.ids)
    return world.ask(operations()[id_].method, path, body, who)


def test_there_is_a_case_for_every_operation(full: World) -> None:
    assert set(CASES) == set(operations())


@pytest.mark.parametrize("id_", CASES)
def test_nobody_is_answered(full: World, id_: str) -> None:
    answer = request(full, id_, None)
    if operations()[id_].scope == "none":
        assert answer.status_code == 200
        return
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthenticated"
    assert "Bearer" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("id_", CASES)
def test_viewers_see_what_is_theirs_and_change_nothing(full: World, id_: str) -> None:
    answer = request(full, id_, "vic")
    assert answer.status_code == CASES[id_].viewer, answer.text
    if answer.status_code >= 400:
        assert answer.json()["error"]["code"] in ("forbidden", "not_found")


@pytest.mark.parametrize("id_", CASES)
def test_members_are_told_nothing_of_others(full: World, id_: str) -> None:
    if operations()[id_].changes and CASES[id_].member < 400:
        pytest.skip("members may; see below")
    answer = request(full, id_, "mia")
    assert answer.status_code == CASES[id_].member, answer.text
    for foreign in ("b-one", "out@example.com", '"beta"'):
        assert foreign not in answer.text or foreign in json.dumps(CASES[id_].path + str(CASES[id_].body))


@pytest.mark.parametrize("id_", CASES)
def test_the_operation_works_and_answers_as_declared(full: World, id_: str) -> None:
    who = "root" if CASES[id_].member >= 400 or not operations()[id_].changes else "mia"
    answer = request(full, id_, who)
    assert answer.status_code == CASES[id_].status, answer.text
    assert answer.headers["x-request-id"]
    operation = operations()[id_]
    if operation.where == "stream":
        assert answer.headers["content-type"].partition(";")[0] in operation.files
        return
    found = operation.answer.model_validate_json(answer.text)
    assert found.model_dump(mode="json") == answer.json(), "nothing beside what is declared"


@pytest.mark.parametrize("id_", [id_ for id_, case in CASES.items() if case.body is not None])
def test_a_wrong_body_is_told_by_its_field(full: World, id_: str) -> None:
    case: Case = CASES[id_]
    path, body = filled([case.path, case.body], full.ids)
    method = operations()[id_].method
    extra = full.ask(method, path, {**body, "surprise": 1})
    assert (extra.status_code, extra.json()["error"]["field"]) == (422, "surprise")
    assert extra.json()["error"]["code"] == "unknown_field"
    assert full.ask(method, path, b"{").json()["error"]["code"] == "invalid_json"
    assert full.ask(method, path, ["a list"]).status_code == 422
    plain = full.ask(method, path, b"a=1", content_type="application/x-www-form-urlencoded")
    assert (plain.status_code, plain.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_a_provider_that_refuses_is_told_of_in_its_words(full: World) -> None:
    with provider_that_answers(401, {"error": {"message": f"sk-{SECRET} is no key"}}) as (url, _):
        body = {"provider": "openai", "key": f"sk-{SECRET}", "base_url": url}
        tried = full.post("/credentials/test", body)
        listed = full.post("/credentials/models", body)
    assert (tried.status_code, tried.json()["ok"], tried.json()["status"]) == (200, False, 401)
    assert (listed.status_code, listed.json()["error"]["code"]) == (424, "provider_failed")
    assert "refuses the key (401): [the key] is no key" in listed.json()["error"]["message"]


def test_no_answer_holds_a_key(full: World) -> None:
    """After all of the above; a token's text is only in the answer that made it."""
    assert len(full.seen) > len(CASES)
    for secret in full.secrets:
        assert not [text for text in full.seen if secret in text]
    for text in full.bearers.values():
        assert not [answer for answer in full.seen if text in answer]
