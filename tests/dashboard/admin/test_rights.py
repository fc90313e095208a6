"""Who may do what on these pages: admins everything, members tokens of their projects, viewers nothing."""

import re
import sys
from typing import Any

import pytest

from llm_intercept.home import Home
from tests.dashboard.conftest import Visitor
from tests.dashboard.people import SECRET, control_of, furnish, log_in_as

MANAGE = "/-/llm/manage"
SHARED = {"", "/projects", "/tokens", "/limits", "/cache"}


@pytest.fixture
def people(empty: Home) -> Home:
    furnish(empty)
    return empty


@pytest.fixture
def door(visit: Any, people: Home) -> Visitor:
    found: Visitor = visit(people)
    return found


def concrete() -> list[str]:
    """A path of each page."""
    found = []
    for pattern, _ in sys.modules["llm_dashboard.admin"].routes():
        plain = pattern.removeprefix("^").removesuffix("$").replace("\\.", ".")
        plain = re.sub(r"\(\?P<scope>[^)]*\)", "project", plain)
        plain = re.sub(r"\(\?P<(?:action|kind)>([a-z]+)[^)]*\)", r"\1", plain)
        plain = re.sub(r"\(\?P<id>\[0-9\][^)]*\)", "1", plain)
        found.append(re.sub(r"\(\?P<\w+>[^)]*\)", "bobs", plain))
    return found


def test_nobody_sees_anything_without_a_login(door: Visitor) -> None:
    paths = concrete()
    assert len(paths) > 40
    for path in paths:
        assert door.get(path).status_code == 403, path
        assert door.post(path, data={"confirmed": "yes"}).status_code == 403, path


@pytest.mark.parametrize("name", ["bob", "vic"])
def test_what_is_for_admins_is_a_403_for_others(door: Visitor, name: str) -> None:
    log_in_as(door, name)
    open_to_all = {f"{MANAGE}{path}" for path in SHARED}
    for path in concrete():
        if path in open_to_all or path.startswith((f"{MANAGE}/tokens", f"{MANAGE}/cache")):
            continue
        answer = door.get(path)
        assert answer.status_code == 403, path
        assert "Only admins see this page" in answer.text
        assert door.post(path, data={"name": "x", "confirmed": "yes"}).status_code == 403, path


def test_a_member_has_what_is_of_own_projects(door: Visitor, people: Home) -> None:
    log_in_as(door, "bob")
    home = door.get(MANAGE).text
    assert re.findall(r'<a class="panel" href="([^"]+)"', home) == [
        f"{MANAGE}/projects",
        f"{MANAGE}/tokens",
        f"{MANAGE}/limits",
        f"{MANAGE}/cache",
    ]
    projects = door.get(f"{MANAGE}/projects").text
    assert "bobs" in projects
    assert "New project" not in projects
    for path in SHARED:
        assert SECRET not in door.get(MANAGE + path).text
    form = door.get(f"{MANAGE}/tokens/new").text
    assert '<option value="bobs"' in form
    assert "others" not in form
    made = door.post(f"{MANAGE}/tokens/new", data={"project": "bobs", "name": "mine"})
    assert made.status_code == 303
    refused = door.post(f"{MANAGE}/tokens/new", data={"project": "others", "name": "not-mine"})
    assert refused.status_code == 400
    assert "no project named" in refused.text
    control = control_of(people)
    assert {token.name for token in control.tokens.list("bobs")} == {"mine"}
    theirs = control.tokens.get(f"t-{SECRET}").id
    mine = control.tokens.get("mine").id
    control.close()
    for path in (f"{theirs}/edit", f"{theirs}/refresh", f"revoke?id={theirs}"):
        assert door.get(f"{MANAGE}/tokens/{path}").status_code == 404, path
    assert door.post(f"{MANAGE}/tokens/{theirs}/suspend").status_code == 404
    answer = door.post(f"{MANAGE}/tokens/revoke", data={"id": [mine, theirs], "confirmed": "yes"})
    assert answer.status_code == 404
    control = control_of(people)
    assert control.tokens.get(theirs).state == "active"
    assert control.tokens.get(mine).state == "active"
    control.close()


def test_a_viewer_looks_and_changes_nothing(door: Visitor, people: Home) -> None:
    log_in_as(door, "vic")
    text = door.get(f"{MANAGE}/tokens").text
    assert "vics" in text
    assert 'name="id"' not in text
    assert "New token" not in text
    control = control_of(people)
    id_ = control.tokens.get("vics").id
    control.close()
    page = door.get(f"{MANAGE}/tokens/{id_}/edit").text
    assert "<textarea" not in page
    for path in ("suspend", "edit", "refresh"):
        assert door.post(f"{MANAGE}/tokens/{id_}/{path}", data={"user": "me"}).status_code == 403, path
    control = control_of(people)
    assert control.tokens.get(id_).state == "active"
    rows = [row for row in control.audit.after(0, 1000) if row.outcome == "denied" and row.actor == "vic"]
    control.close()
    assert {row.action for row in rows} == {"token.suspend", "token.change", "token.refresh"}


def test_looking_changes_nothing(door: Visitor, people: Home) -> None:
    """GET of whatever changes something by POST."""
    log_in_as(door, "ada")
    control = control_of(people)
    before = [row.action for row in control.audit.after(0, 1000)]
    for path in concrete():
        door.get(path)
    after = [row.action for row in control.audit.after(0, 1000)]
    control.close()
    assert after == before


def test_forms_of_other_sites_are_refused(door: Visitor) -> None:
    log_in_as(door, "ada")
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        answer = door.post(f"{MANAGE}/projects/new", data={"name": "planted"}, headers=headers)
        assert answer.status_code == 403, headers


def test_the_policy_of_these_pages_is_strict(door: Visitor) -> None:
    log_in_as(door, "ada")
    for path in (MANAGE, f"{MANAGE}/tokens", f"{MANAGE}/projects/new", "/-/llm/listeners/new"):
        answer = door.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<script>" not in answer.text
        assert " style=" not in answer.text
        assert " onclick=" not in answer.text
        assert (
            re.search(r"https?://(?!127\.0\.0\.1)", re.sub(r"placeholder=\"[^\"]*\"", "", answer.text))
            is None
        )


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("vic", ["0", "1 working", "0", "0 hits in 7 days"]),
        ("bob", ["2", "0 working", "0", "0 hits in 7 days"]),
    ],
)
def test_the_summary_counts_what_is_theirs(door: Visitor, name: str, figures: list[str]) -> None:
    log_in_as(door, name)
    text = door.get(MANAGE).text
    found = re.findall(r'<span class="figure">(.*?)</span>', text)
    assert [re.sub(r"<[^>]+>", "", each) for each in found] == figures
    assert "All is well" in text
    assert "backup" not in text.partition("<main")[2]
