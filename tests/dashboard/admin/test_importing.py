"""Tables that are pasted: all of them are made, or none and every reason is said."""

import html
import re

from tests.dashboard.admin.conftest import Admin, errors, said

USERS = "name,email,role\nada,ada@example.com,admin\ngrace,grace@example.com,member"


def test_users_out_of_csv(admin: Admin) -> None:
    answer = admin.post("/import/users", table=USERS, check="yes")
    assert answer.status_code == 200
    assert "2 users can be made" in answer.text
    assert USERS.splitlines()[1] in html.unescape(answer.text)
    with admin.control() as control:
        assert control.users.list() == []
    assert "Imported 2 users." in said(admin.done("/import/users", table=USERS))
    with admin.control() as control:
        assert {user.name: user.role for user in control.users.list()} == {"ada": "admin", "grace": "member"}
    assert admin.last_audit().action == "import.users"


def test_every_reason_is_said_and_nothing_is_made(admin: Admin) -> None:
    table = "name,role\nada,king\nb b,member\ngrace,member"
    said_there = errors(admin.post("/import/users", table=table).text)["table"]
    assert "line 2" in said_there
    assert "line 3" in said_there
    assert "is not JSON" in errors(admin.post("/import/users", table='[{"name": "ada"').text)["table"]
    assert "needed" in errors(admin.post("/import/users", table="").text)["table"]
    with admin.control() as control:
        assert control.users.list() == []


def test_projects_and_tokens_out_of_json(admin: Admin) -> None:
    projects = '[{"name": "one", "models": ["gpt-5*"]}, {"name": "two", "active": false}]'
    assert "Imported 2 projects." in said(admin.done("/import/projects", table=projects))
    tokens = '{"project": "one", "name": "ci", "expires": "30d"}\n{"project": "two", "name": "ci"}'
    text = admin.done("/import/tokens", table=tokens)
    shown = re.search(r'<pre id="all">(.*?)</pre>', text, re.DOTALL)
    assert shown is not None
    assert re.fullmatch(r"one/ci\tlli_\w+\ntwo/ci\tlli_\w+\n", shown[1])
    with admin.control() as control:
        assert control.projects.get("one").policy.models == ("gpt-5*",)
        assert not control.projects.get("two").active
        assert control.tokens.get("ci", "one").expires_at
