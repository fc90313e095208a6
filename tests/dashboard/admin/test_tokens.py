"""Tokens by their forms: made, shown once, restricted, refreshed, suspended, revoked; one or many."""

import html
import re
from typing import Any

import pytest

from llm_intercept.policy.tokens import is_wellformed
from tests.dashboard.admin.conftest import Admin, said
from tests.dashboard.conftest import Visitor, log_in

SECRET = re.compile(r'<code id="secret">([^<]+)</code>')


@pytest.fixture
def team(admin: Admin) -> Admin:
    with admin.control() as control:
        control.projects.create("team")
    return admin


def create(admin: Admin, **fields: Any) -> Any:
    return admin.post("/tokens/new", **{"project": "team", "name": "laptop"} | fields)


def test_the_secret_is_shown_once_and_kept_nowhere(team: Admin) -> None:
    answer = create(team, lifetime="30d", max_requests="1,000", models="gpt-5*")
    assert answer.status_code == 303
    where = answer.headers["location"]
    page = team.visitor.get(where)
    assert page.headers["cache-control"] == "private, no-store"
    found = SECRET.search(page.text)
    assert found is not None
    text = found[1]
    assert is_wellformed(text)
    assert text not in where
    for snippet in (
        f"OPENAI_API_KEY={text}",
        f"Bearer {text}",
        f'api_key="{text}"',
        "http://127.0.0.1:8080/v1",
    ):
        assert snippet in html.unescape(page.text)
    again = team.visitor.get(where)
    assert again.status_code == 410
    assert text not in again.text
    with team.control() as control:
        token = control.tokens.list(prefix=text)[0]
        assert (token.name, token.max_requests, token.policy.models) == ("laptop", 1000, ("gpt-5*",))
        row = team.last_audit()
    assert (row.action, row.object_name) == ("token.create", "team/laptop")
    assert text not in row.after


def test_another_login_cannot_look(team: Admin) -> None:
    where = create(team).headers["location"]
    other = Visitor(team.visitor.datasette, team.visitor.runner)
    log_in(other, team.home)
    assert other.get(where).status_code == 410
    assert SECRET.search(team.visitor.get(where).text)


def test_an_aws_pair_has_two_parts(team: Admin) -> None:
    text = team.visitor.get(create(team, kind="aws").headers["location"]).text
    assert "AWS_ACCESS_KEY_ID=LLIA" in text
    assert 'id="secret-2"' in text


def test_many_at_once(team: Admin) -> None:
    text = team.visitor.get(create(team, count="12").headers["location"]).text
    assert "Copy your 12 tokens now" in text
    assert len(re.findall(r"laptop-\d\d\tlli_", text)) == 12
    with team.control() as control:
        assert len(control.tokens.list("team")) == 12


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"name": ""}, "name", "needed"),
        ({"name": "a/b"}, "name", "cannot be the name of a token"),
        ({"project": "nothing"}, "project", "no project named"),
        ({"lifetime": "soon"}, "lifetime", "not a duration"),
        ({"lifetime": "900000d"}, "lifetime", "at most"),
        ({"max_requests": "many"}, "max_requests", "not a whole number"),
        ({"max_requests": "-1"}, "max_requests", "number of calls"),
        ({"count": "0"}, "count", "1 to 1000"),
        ({"origins": "not an origin"}, "origins", "not an origin"),
        ({"endpoints": "POST"}, "endpoints", "POST"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    team: Admin, fields: dict[str, str], where: str, words: str
) -> None:
    found = team.refused("/tokens/new", **{"project": "team", "name": "laptop"} | fields)
    assert words in found[where]


def test_a_taken_name_is_said_and_nothing_is_lost(team: Admin) -> None:
    create(team)
    found = team.refused("/tokens/new", project="team", name="laptop", models="gpt-5*", lifetime="12h")
    assert "has a token named" in found["name"]


def test_the_life_of_one(team: Admin) -> None:
    create(team)
    with team.control() as control:
        id_ = control.tokens.get("laptop").id

    def state() -> str:
        with team.control() as control:
            return control.tokens.get(id_).state

    team.done(f"/tokens/{id_}/edit", lifetime="never")
    with team.control() as control:
        assert control.tokens.get(id_).expires_at is None
    team.done(f"/tokens/{id_}/edit", user="ada", max_requests="5", lifetime="1d", ips="10.0.0.0/8")
    page = team.get(f"/tokens/{id_}/edit")
    assert "5 of 5" in page
    assert "10.0.0.0/8</textarea>" in page
    assert "suspended" in said(team.done(f"/tokens/{id_}/suspend"))
    assert state() == "suspended"
    team.done(f"/tokens/{id_}/resume")
    assert state() == "active"
    new = SECRET.search(team.done(f"/tokens/{id_}/refresh", overlap="1h", lifetime=""))
    assert new is not None
    assert "the old secret works until" in team.get(f"/tokens/{id_}/edit")
    assert "not a duration" in team.refused(f"/tokens/{id_}/refresh", overlap="x")["overlap"]
    page = team.get(f"/tokens/revoke?id={id_}")
    assert "team / laptop" in page
    assert state() == "active"
    team.done("/tokens/revoke", id=id_, confirmed="yes")
    assert state() == "revoked"
    assert "revoked already" in said(team.done("/tokens/revoke", id=id_))


def test_those_that_are_picked_are_revoked_after_a_question(team: Admin) -> None:
    with team.control() as control:
        ids = [control.tokens.create("team", name).token.id for name in ("one", "two", "three")]
    assert "Pick the tokens" in said(team.done("/tokens/revoke"))
    answer = team.post("/tokens/revoke", id=ids[:2])
    assert answer.status_code == 200
    assert "these 2 tokens" in answer.text
    assert "three" not in answer.text
    assert "2 tokens are revoked" in said(team.done("/tokens/revoke", id=ids[:2], confirmed="yes"))
    with team.control() as control:
        assert {t.name: t.state for t in control.tokens.list("team")} == {
            "one": "revoked",
            "two": "revoked",
            "three": "active",
        }
    assert team.last_audit().action == "token.revoke_batch"


def test_the_list_is_searched_and_paged(team: Admin) -> None:
    with team.control() as control:
        made = [control.tokens.create("team", f"t-{number:03}") for number in range(55)]
        control.tokens.suspend(made[3].token.id)
        control.projects.create("other")
        control.tokens.create("other", "elsewhere", user="ada")
    first = team.get("/tokens")
    assert len(re.findall(r'name="id"', first)) == 50
    follow = re.search(r'href="(\?after=[^"]+)">Next', first)
    assert follow is not None
    assert len(re.findall(r'name="id"', team.get("/tokens" + html.unescape(follow[1])))) == 6
    for query, name in (("q=t-007", "t-007"), (f"q={made[9].text}", "t-009"), ("state=suspended", "t-003")):
        found = team.get(f"/tokens?{query}")
        assert name in found
        assert len(re.findall(r'name="id"', found)) == 1
    assert "elsewhere" in team.get("/tokens?user=ada")
    assert "elsewhere" in team.get("/tokens?project=other")
    assert "No token matches" in team.get("/tokens?q=none-of-these")


def test_an_empty_list_says_how_to_begin(admin: Admin) -> None:
    text = admin.get("/tokens")
    assert "No tokens yet" in text
    assert "New token" in text


def test_several_are_suspended_and_resumed_at_once(team: Admin) -> None:
    create(team, name="one", count="3")
    with team.control() as control:
        ids = {token.name: token.id for token in control.tokens.list("team")}
        control.tokens.revoke(ids["one-3"])
    picked = {"id": list(ids.values())}
    assert "2 tokens are suspended" in said(team.done("/tokens/suspend", **picked))
    assert "Nothing to suspend" in said(team.done("/tokens/suspend", **picked))
    with team.control() as control:
        states = {token.name: token.state for token in control.tokens.list("team")}
    assert states == {"one-1": "suspended", "one-2": "suspended", "one-3": "revoked"}
    assert "The token one-1 is in use again" in said(team.done("/tokens/resume", id=ids["one-1"]))
    assert "Pick the tokens" in said(team.done("/tokens/resume"))
