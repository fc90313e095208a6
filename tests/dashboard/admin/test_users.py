"""Users by their forms: made, invited, changed, removed."""

import html
import re

import pytest

from tests.dashboard.admin.conftest import Admin, said

LINK = re.compile(r'<code id="secret">([^<]+)</code>')


def id_of(admin: Admin, name: str) -> str:
    with admin.control() as control:
        return control.users.get(name).id


def test_one_is_made_and_gets_a_link(admin: Admin) -> None:
    answer = admin.post("/users/new", name="ada", email="ada@example.com", role="member")
    where = answer.headers["location"]
    found = LINK.search(admin.visitor.get(where).text)
    assert found is not None
    link = html.unescape(found[1])
    assert "/-/llm/invite?code=" in link
    assert admin.visitor.get(where).status_code == 410
    with admin.control() as control:
        user = control.users.get("ada")
        invited = control.invites.find(link.partition("code=")[2])
    assert (user.email, user.role) == ("ada@example.com", "member")
    assert invited is not None
    assert invited.id == user.id
    assert "invited" in admin.get("/users")
    assert link.partition("code=")[2] not in admin.last_audit().after


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"name": ""}, "name", "needed"),
        ({"name": "a b"}, "name", "cannot be the name"),
        ({"name": "ada"}, "name", "exists already"),
        ({"name": "eve", "email": "not one"}, "email", "not an email"),
        ({"name": "eve", "email": "ada@example.com"}, "email", "exists already"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin: Admin, fields: dict[str, str], where: str, words: str
) -> None:
    with admin.control() as control:
        control.users.create("ada", email="ada@example.com")
    assert words in admin.refused("/users/new", role="member", **fields)[where]


def test_changed_and_switched_off(admin: Admin) -> None:
    with admin.control() as control:
        control.users.create("ada", email="ada@example.com")
    admin.done(f"/users/{id_of(admin, 'ada')}/edit", email="", role="viewer")
    with admin.control() as control:
        user = control.users.get("ada")
    assert (user.email, user.role, user.active) == (None, "viewer", False)


def test_the_last_admin_stays_one(admin: Admin) -> None:
    with admin.control() as control:
        control.users.create("ada", role="admin")
    found = admin.refused(f"/users/{id_of(admin, 'ada')}/edit", role="member", active="yes")
    assert "last active admin" in found["role"]


def test_a_new_link_is_asked_for_first(admin: Admin) -> None:
    with admin.control() as control:
        control.users.create("ada")
    path = f"/users/{id_of(admin, 'ada')}/invite"
    assert "seven days" in admin.get(path)
    assert admin.last_audit().action != "invite.create"
    assert LINK.search(admin.done(path, confirmed="yes"))
    assert admin.last_audit().action == "invite.create"


def test_removed_after_a_question(admin: Admin) -> None:
    with admin.control() as control:
        control.users.create("ada")
        control.users.create("grace")
        control.projects.create("hers", owner="grace")
    path = f"/users/{id_of(admin, 'ada')}/delete"
    assert "Remove ada?" in admin.get(path)
    assert "ada is removed" in said(admin.done(path, confirmed="yes"))
    assert "owns 1 projects" in said(admin.done(f"/users/{id_of(admin, 'grace')}/delete", confirmed="yes"))
    with admin.control() as control:
        assert [user.name for user in control.users.list()] == ["grace"]


def test_found_by_name_address_and_role(admin: Admin) -> None:
    with admin.control() as control:
        control.users.create("ada", email="ada@example.com", role="admin")
        control.users.create("grace")
    assert "grace" not in admin.get("/users?q=example.com")
    assert "grace" in admin.get("/users?role=member")
    assert "No user matches" in admin.get("/users?q=nobody")


def test_logins_of_a_user_are_ended(admin: Admin) -> None:
    with admin.control() as control:
        user = control.users.create("ada", role="admin")
        agents = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/148.0", "curl/8.5.0", "Safari/604.1 (iPhone)")
        for agent in agents:
            more = {"user_agent": agent, "client_ip": "10.0.0.7", "user_id": user.id, "method": "password"}
            control.sessions.open("ada", "admin", hours=1, **more)
        ids = [session.id for session in control.sessions.list(user.id)]
    path = f"/users/{user.id}/logins"
    text = admin.get(path)
    for words in ("Firefox on Linux", "curl", "Safari on iPhone", "10.0.0.7"):
        assert words in text
    assert "has ended" in said(admin.done(path, session=ids[0]))
    assert "ended already" in said(admin.done(path, session=ids[0]))
    assert admin.last_audit().action == "session.revoke"
    with admin.control() as control:
        assert len(control.sessions.list(user.id)) == 2
    assert "All logins of ada have ended" in said(admin.done(path))
    assert "is not logged in anywhere" in admin.get(path)


def test_api_tokens_of_a_user_are_revoked(admin: Admin) -> None:
    with admin.control() as control:
        user, other = control.users.create("ada"), control.users.create("bob")
        mine = control.api_tokens.create(user.id, "notebook", "read").token
        theirs = control.api_tokens.create(other.id, "server", "read").token
    path = f"/users/{user.id}/logins"
    text = admin.get(path)
    assert "notebook" in text
    assert "server" not in text
    assert "does not work any more" in said(admin.done(path, token=theirs.id))
    assert "notebook of ada is revoked" in said(admin.done(path, token=mine.id))
    assert admin.last_audit().action == "apitoken.revoke"
    with admin.control() as control:
        assert {token.name: token.state for token in control.api_tokens.list()} == {
            "notebook": "revoked",
            "server": "active",
        }


def test_a_link_is_withdrawn(admin: Admin) -> None:
    with admin.control() as control:
        user = control.users.create("ada")
        code = control.invites.create("ada")
    assert "Open invite" in admin.get(f"/users/{user.id}/edit")
    assert "Withdraw the link for ada?" in admin.get(f"/users/{user.id}/withdraw")
    assert "does not work any more" in said(admin.done(f"/users/{user.id}/withdraw", confirmed="yes"))
    assert admin.last_audit().action == "invite.withdraw"
    with admin.control() as control:
        assert control.invites.find(code) is None
    assert "Open invite" not in admin.get(f"/users/{user.id}/edit")


def test_making_a_link_is_no_danger(admin: Admin) -> None:
    admin.done("/users/new", name="ada", role="admin")
    assert 'class="button primary">Make the link' in admin.get("/users/ada/invite")
    assert 'class="button danger">Remove' in admin.get("/users/ada/delete")
