import csv
import json
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.store.control import Control, Valid
from llm_intercept.vault import Vault


def file(folder: Path, name: str, content: str) -> str:
    path = folder / name
    path.write_text(content)
    return str(path)


PEOPLE = "name,email,role,active\nada,ada@example.com,admin,\nbob,,member,true\neve,,,no\n"


def test_users_projects_and_tokens(cli, cli_json, home: Path, tmp_path: Path) -> None:
    cli("import", "users", file(tmp_path, "people.csv", PEOPLE))
    users = {user["name"]: user for user in cli_json("user", "list")}
    assert (users["ada"]["role"], users["ada"]["email"]) == ("admin", "ada@example.com")
    assert (users["bob"]["active"], users["eve"]["active"]) == (True, False)
    projects = [
        {"name": "research", "owner": "ada", "members": ["bob"], "models": ["gpt-4o-*"], "hangup": "drain"},
        {"name": "off", "active": False, "cache": "opt-in", "parameters": {"max_tokens": {"max": 100}}},
    ]
    cli("import", "projects", file(tmp_path, "projects.json", json.dumps(projects)))
    found = {project["name"]: project for project in cli_json("project", "list")}
    assert found["research"]["owner"] == "ada"
    assert found["research"]["members"] == ["bob"]
    assert found["off"]["active"] is False
    assert [found[name]["cache"] for name in ("off", "research")] == ["opt-in", None]
    tokens = "project,name,user,expires,aws,models\nresearch,a,bob,30d,,gpt-4o;o3\nresearch,b,,,true,\n"
    out = tmp_path / "new.csv"
    said = cli("import", "tokens", file(tmp_path, "tokens.csv", tokens), "-o", str(out)).output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with out.open() as opened:
        [first, second] = csv.DictReader(opened)
    assert first["token"] not in said
    assert (first["name"], second["name"]) == ("a", "b")
    with closing(Control(home / "control.db", Vault.load(home / "secret.key", {}))) as control:
        state = control.token(first["token"], 0.0)
        assert isinstance(state, Valid)
        assert (state.principal.project, state.principal.user) == ("research", "bob")
        aws, secret = control.aws_key(second["token"], 0.0)
        assert isinstance(aws, Valid)
        assert secret is not None
        assert secret.get_secret_value() == second["secret_access_key"]
        actions = [row.action for row in control.audit.after(0, 100)]
        assert control.audit.verify().ok
    assert actions.count("user.create") == 3
    assert {"import.users", "import.projects", "import.tokens"} <= set(actions)


WRONG = [
    ("users", "u.csv", "name,role\nada,admin\nbob,boss\n", ["line 3: role"]),
    ("users", "u.csv", "name\nada\nada\n", ["line 3: a user with the name"]),
    ("users", "u.csv", "name,colour\nada,red\n", ["line 2: colour is not known"]),
    ("users", "u.csv", "email\na@example.com\n", ["line 2: name is missing"]),
    (
        "projects",
        "p.json",
        '[{"name": "x"},\n{"name": "y", "owner": "nobody"}]',
        ["line 2: there is no user"],
    ),
    ("projects", "p.json", '[{"name": "x"},\n{"name": "DEFAULT"}]', ["line 2: a project named"]),
    ("projects", "p.json", '[{"name": "x", "ips": ["somewhere"]}]', ["line 1: ", "ips"]),
    (
        "tokens",
        "t.csv",
        "project,name,expires\ndefault,a,30d\ndefault,b,soon\nnone,c,\n",
        ["line 3", "line 4"],
    ),
    ("users", "u.csv", "name\n", ["no users in the file"]),
]


@pytest.mark.parametrize(("kind", "name", "content", "messages"), WRONG)
def test_all_or_nothing(
    cli, home: Path, tmp_path: Path, kind: str, name: str, content: str, messages: list[str]
) -> None:
    cli("project", "list")
    before = rows(home)
    out = tmp_path / "out.csv"
    options = ["-o", str(out)] if kind == "tokens" else []
    said = cli("import", kind, file(tmp_path, name, content), *options, code=1).stderr
    for message in messages:
        assert message in said
    assert rows(home) == before
    assert not out.exists()


def rows(home: Path) -> dict[str, Any]:
    with closing(Control(home / "control.db", Vault.load(home / "secret.key", {}))) as control:
        tables = ("users", "projects", "tokens", "members", "audit")
        return {t: control.database.rows(f"SELECT * FROM {t}") for t in tables}


def test_a_dry_run_checks_and_makes_nothing(cli, cli_json, home: Path, tmp_path: Path) -> None:
    cli("project", "list")
    before = rows(home)
    path = file(tmp_path, "people.csv", PEOPLE)
    assert "3 users would be imported" in cli("import", "users", path, "--dry-run").stdout
    tokens = file(tmp_path, "t.csv", "project,name\ndefault,a\n")
    assert cli_json("import", "tokens", tokens, "--dry-run")["number"] == 1
    wrong = file(tmp_path, "wrong.csv", "name\nada\nada\n")
    assert "line 3" in cli("import", "users", wrong, "--dry-run", code=1).stderr
    assert rows(home) == before


def test_tokens_need_a_place_for_their_texts(cli, home: Path, tmp_path: Path) -> None:
    cli("project", "list")
    tokens = file(tmp_path, "t.csv", "project,name\ndefault,a\n")
    assert "--output" in cli("import", "tokens", tokens, code=2).stderr
    out = file(tmp_path, "out.csv", "mine")
    before = rows(home)
    assert "exists already" in cli("import", "tokens", tokens, "-o", out, code=1).stderr
    assert Path(out).read_text() == "mine"
    assert rows(home) == before


def test_many_mistakes_are_not_all_listed(cli, tmp_path: Path) -> None:
    content = "name,role\n" + "".join(f"u{n},boss\n" for n in range(30))
    said = cli("import", "users", file(tmp_path, "u.csv", content), code=1).stderr
    assert "line 21" in said
    assert "and 10 more" in said
