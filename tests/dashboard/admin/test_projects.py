"""Projects by their forms: made, changed, found, and all their tokens revoked."""

import contextlib

import pytest

from llm_intercept.policy.limits import Limit
from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.usage import write_batch
from tests.dashboard.admin.conftest import Admin, said
from tests.dashboard.conftest import NOW


def test_one_is_made_as_the_form_says(admin: Admin) -> None:
    with admin.control() as control:
        for name in ("ada", "grace"):
            control.users.create(name)
    text = admin.done(
        "/projects/new",
        name="checkout",
        owner="ada",
        members="grace",
        hangup="drain",
        capture="errors",
        cache="on",
        models="gpt-5*\nclaude-*",
        parameters="max_tokens: ..4096\nreasoning_effort: low, medium",
        ips="10.0.0.0/8",
    )
    assert "checkout" in said(text)
    with admin.control() as control:
        project = control.projects.get("checkout")
    assert (project.owner, project.members, project.hangup, project.capture, project.cache) == (
        "ada",
        ("grace",),
        "drain",
        "errors",
        "on",
    )
    assert project.policy.models == ("gpt-5*", "claude-*")
    assert project.policy.text().count("4096") == 1
    row = admin.last_audit()
    assert (row.action, row.actor_kind, row.source, row.outcome) == (
        "project.create",
        "session",
        "127.0.0.1",
        "ok",
    )


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"name": ""}, "name", "needed"),
        ({"name": "a b"}, "name", "cannot be the name of a project"),
        ({"name": "default"}, "name", "exists already"),
        ({"name": "ok", "owner": "nobody"}, "owner", "no user"),
        ({"name": "ok", "parameters": "max_tokens"}, "parameters", "no rule"),
        ({"name": "ok", "parameters": "max_tokens: 9..1"}, "parameters", "range"),
        ({"name": "ok", "ips": "10.0.0.300"}, "ips", "10.0.0.300"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin: Admin, fields: dict[str, str], where: str, words: str
) -> None:
    found = admin.refused("/projects/new", hangup="cut", **fields)
    assert words in found[where]
    assert "llm-intercept" not in found[where]


def test_changing_keeps_what_was_said_before(admin: Admin) -> None:
    with admin.control() as control:
        for name in ("ada", "grace", "linus"):
            control.users.create(name)
        control.projects.create("team", owner="ada", members=["grace"])
    page = admin.get("/projects/team/edit")
    assert '<option value="ada" selected>' in page
    assert "grace</textarea>" in page
    admin.done(
        "/projects/team/edit", owner="", members="linus", hangup="drain", capture="none", models="sim/*"
    )
    with admin.control() as control:
        project = control.projects.get("team")
    assert (project.owner, project.members, project.active) == ("", ("linus",), False)
    assert project.policy.models == ("sim/*",)
    row = admin.last_audit()
    assert row.action == "project.change"
    assert ("hangup", "cut", "drain") in row.changes()


def test_a_list_with_filters_and_pages(admin: Admin) -> None:
    with admin.control() as control:
        for number in range(60):
            control.projects.create(f"p-{number:02}")
        control.projects.set_active("p-07", False)
    first = admin.get("/projects")
    assert "p-00" in first
    assert "p-59" not in first
    assert "p-59" in admin.get("/projects?after=p-48")
    off = admin.get("/projects?active=no")
    assert "p-07" in off
    assert "p-08" not in off
    assert "No project matches" in admin.get("/projects?q=nothing-like-it")


def test_all_tokens_are_revoked_only_by_name(admin: Admin) -> None:
    with admin.control() as control:
        control.projects.create("team")
        for name in ("one", "two"):
            control.tokens.create("team", name)
    assert "2 working tokens" in admin.get("/projects/team/revoke")
    assert "Type team" in admin.refused("/projects/team/revoke", typed="other", confirmed="yes")["typed"]
    assert "Revoked 2 tokens of team" in said(
        admin.done("/projects/team/revoke", typed="team", confirmed="yes")
    )
    with admin.control() as control:
        assert {token.state for token in control.tokens.list("team")} == {"revoked"}


def test_what_is_not_there_is_a_404(admin: Admin) -> None:
    assert admin.visitor.get("/-/llm/manage/projects/nothing/edit").status_code == 404


def test_one_is_deleted_only_by_name(admin: Admin) -> None:
    with admin.control() as control:
        control.projects.create("team")
        control.tokens.create("team", "laptop")
        control.limits.set(Limit(scope="project", name="team", measure="requests", amount=5))
    rows = [_call(NOW - 1, "team"), _call(NOW - 2, "default")]
    with contextlib.closing(connect(admin.home.usage_db)) as connection:
        write_batch(connection, rows)
    page = admin.get("/projects/team/delete")
    assert "1 working token and" in page
    assert "1 limit, 0 routes" in page
    assert "Type team" in admin.refused("/projects/team/delete", typed="Team", confirmed="yes")["typed"]
    text = said(admin.done("/projects/team/delete", typed="team", confirmed="yes"))
    assert "The project team is deleted, 1 call left without a name" in text
    with admin.control() as control:
        assert [project.name for project in control.projects.list()] == ["default"]
        assert control.limits.list() == []
    with contextlib.closing(connect(admin.home.usage_db)) as connection:
        assert connection.execute("SELECT project FROM requests ORDER BY id").fetchall() == [
            ("default",),
            ("(deleted)",),
        ]
    assert admin.last_audit().action == "project.delete"


def test_the_default_project_stays(admin: Admin) -> None:
    answer = admin.visitor.get("/-/llm/manage/projects/default/delete")
    assert answer.status_code == 409
    assert "stays" in answer.text


def _call(id: int, project: str) -> RequestRow:
    return RequestRow(id, f"01970000-0000-7000-8000-{id % 10**12:012d}", project=project, outcome="ok")


def test_which_answers_are_stored_is_shown_and_changed(admin: Admin) -> None:
    admin.done("/projects/new", name="team", cache="opt-in")
    assert "stored answers: opt-in" in admin.get("/projects")
    assert '<option value="opt-in" selected>' in admin.get("/projects/team/edit")
    for chosen, kept in (("off", "off"), ("default", None)):
        admin.done("/projects/team/edit", hangup="cut", active="yes", cache=chosen)
        with admin.control() as control:
            assert control.projects.get("team").cache == kept
    assert "stored answers" not in admin.get("/projects")
    found = admin.refused("/projects/new", name="other", cache="often")
    assert "use off, opt-in or on" in found["cache"]
