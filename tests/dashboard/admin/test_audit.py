"""The audit log on its pages: found, shown with what changed, exported, verified."""

import csv
import io
import json
import re

from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.migrate import connect
from tests.dashboard.admin.conftest import Admin, said


def fill(admin: Admin) -> None:
    admin.done("/projects/new", name="team", hangup="cut")
    admin.done("/projects/team/edit", hangup="drain", active="yes")
    admin.refused("/projects/new", name="team", hangup="cut")
    admin.done("/limits/new", scope="global", measure="requests", amount="5", per="day")


def test_searched_and_filtered(admin: Admin) -> None:
    fill(admin)
    everything = admin.get("/audit")
    for action in ("project.create", "project.change", "limit.create", "login"):
        assert action in everything
    only = admin.get("/audit?action=project")
    assert "limit.create" not in re.sub(r"<datalist.*?</datalist>", "", only, flags=re.DOTALL)
    failed = admin.get("/audit?outcome=failed")
    assert "exists already" in failed
    assert len(re.findall(r"/audit/\d+", failed)) == 1
    assert "Nothing matches" in admin.get("/audit?text=nothing-like-it")
    wrong = admin.visitor.get("/-/llm/manage/audit?since=whenever")
    assert wrong.status_code == 400
    assert "whenever" in wrong.text


def test_one_row_shows_what_it_changed(admin: Admin) -> None:
    fill(admin)
    found = re.search(r"/audit/(\d+)", admin.get("/audit?action=project.change"))
    assert found is not None
    text = admin.get(f"/audit/{found[1]}")
    assert re.search(r"hangup</td>\s*<td[^>]*><span[^>]*>cut</span></td>\s*<td[^>]*><span[^>]*>drain<", text)
    assert "owner (session)" in text
    assert "127.0.0.1" in text
    assert admin.visitor.get("/-/llm/manage/audit/1").status_code == 404


def test_what_one_request_has_done(admin: Admin) -> None:
    fill(admin)
    with admin.control() as control:
        actor = Actor("api_token", "script", "admin", request_id="0190-abc")
        id_ = control.audit.record(actor, "project.create", Thing("project", "scripted"))
    only = admin.get("/audit?request_id=0190-abc")
    assert re.findall(r"/audit/(\d+)", only) == [str(id_)]
    assert re.findall(r"/audit/(\d+)", admin.get("/audit?text=0190-ABC")) == [str(id_)]
    assert 'request_id=0190-abc">0190-abc</a>' in admin.get(f"/audit/{id_}")


def test_pages_of_fifty(admin: Admin) -> None:
    for number in range(30):
        admin.done("/projects/new", name=f"p-{number}", hangup="cut")
        admin.done(f"/projects/p-{number}/edit", hangup="drain", active="yes")
    first = admin.get("/audit?action=project")
    ids = re.findall(r"/audit/(\d+)\"", first)
    assert len(ids) == 50
    follow = re.search(r'\?before=(\d+)[^"]*">Older', first)
    assert follow is not None
    rest = re.findall(r"/audit/(\d+)\"", admin.get(f"/audit?action=project&before={follow[1]}"))
    assert len(rest) == 10
    assert not set(ids) & set(rest)


def test_exported_as_it_is_filtered(admin: Admin) -> None:
    fill(admin)
    answer = admin.visitor.get("/-/llm/manage/audit/export.ndjson?action=project")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["action"] for line in lines] == ["project.create", "project.change", "project.create"]
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(admin.visitor.get("/-/llm/manage/audit/export.csv").text)))
    assert {"project.create", "limit.create"} <= {row["action"] for row in rows}


def test_verified_and_found_out(admin: Admin) -> None:
    fill(admin)
    assert re.search(r"All \d+ rows are as they were written", said(admin.done("/audit/verify")))
    connection = connect(admin.home.control_db)
    connection.execute("DROP TRIGGER audit_is_not_changed")
    connection.execute("UPDATE audit SET actor = 'somebody else' WHERE action = 'project.change'")
    connection.close()
    assert "not as it was written" in said(admin.done("/audit/verify"))
