"""The log of what commands do, and the commands that read it."""

import json
import os
import pwd
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Invoke

ME = pwd.getpwuid(os.getuid()).pw_name
SECRET = "sk-canary-0123456789abcdef"

type Rows = Callable[[], list[dict[str, Any]]]

# What is run before, what is run, and (action, object's name, before's keys, after's keys).
MUTATIONS = [
    ([], "project create red", "project.create", "red", False, True),
    (["project create red"], "project set red --capture all --inactive", "project.change", "red", True, True),
    ([], "token create --project default --name laptop", "token.create", "default/laptop", False, True),
    (
        ["token create --project default --name laptop"],
        "token revoke laptop",
        "token.revoke",
        "default/laptop",
        True,
        True,
    ),
    ([], "key add openai --key-env KEY", "key.create", "openai/default", False, True),
    (
        ["key add openai --key-env KEY"],
        "key set openai --weight 3",
        "key.change",
        "openai/default",
        True,
        True,
    ),
    (["key add openai --key-env KEY"], "key disable openai", "key.disable", "openai/default", True, True),
    (["key add openai --key-env KEY"], "key enable openai", "key.enable", "openai/default", True, True),
    (["key add openai --key-env KEY"], "key remove openai", "key.delete", "openai/default", True, False),
    ([], "route set safe --model gpt-5 --to openai/", "route.create", "safe", False, True),
    (
        ["route set safe --model gpt-5 --to openai/"],
        "route set safe --model gpt-5 --to azure/",
        "route.change",
        "safe",
        True,
        True,
    ),
    (
        ["route set safe --model gpt-5 --to openai/"],
        "route disable safe",
        "route.disable",
        "safe",
        True,
        True,
    ),
    (["route set safe --model gpt-5 --to openai/"], "route enable safe", "route.enable", "safe", True, True),
    (["route set safe --model gpt-5 --to openai/"], "route move safe 1", "route.move", "safe", True, True),
    (["route set safe --model gpt-5 --to openai/"], "route remove safe", "route.delete", "safe", True, False),
    ([], "route breakers --reset --provider openai", "breaker.reset", "openai/*/*", False, True),
    ([], "listener create team", "listener.create", "team", False, True),
    (["listener create team"], "listener start team", "listener.start", "team", True, True),
    (["listener create team --start"], "listener stop team", "listener.stop", "team", True, True),
    (["listener create team"], "listener delete team --yes", "listener.delete", "team", True, False),
    ([], "limit set --project default --requests 5 --per day", "limit.create", None, False, True),
    (
        ["limit set --project default --requests 5 --per day"],
        "limit set --project default --requests 6 --per day",
        "limit.change",
        None,
        True,
        True,
    ),
    ([], "failure set --project default --error 500=0.5", "failure.change", "project default", False, True),
    (
        ["failure set --project default --error 500=0.5"],
        "failure reset --project default",
        "failure.reset",
        "project default",
        True,
        False,
    ),
]


@pytest.fixture
def run(cli: Invoke) -> Callable[..., Any]:
    return lambda line, **more: cli(*shlex.split(line), env={"KEY": SECRET}, **more)


@pytest.fixture
def rows(home: Path, cli_json: Callable[..., Any]) -> Rows:
    """Oldest first."""
    return lambda: cli_json("audit", "list")["rows"][::-1]


@pytest.mark.parametrize(
    ("before", "line", "action", "name", "was", "is_"), MUTATIONS, ids=[line for _, line, *_ in MUTATIONS]
)
def test_each_change_leaves_one_row(
    run: Callable[..., Any],
    rows: Rows,
    before: list[str],
    line: str,
    action: str,
    name: str | None,
    was: bool,
    is_: bool,
) -> None:
    for earlier in before:
        run(earlier)
    count = len(rows())
    run(line)
    found = rows()
    assert len(found) == count + 1
    row = found[-1]
    assert (row["action"], row["outcome"], row["source"]) == (action, "ok", "local")
    assert row["actor"] == {"kind": "cli", "name": ME, "id": ""}
    assert name in (None, row["object"]["name"])
    assert (row["before"] is not None, row["after"] is not None) == (was, is_)
    assert "The audit log is whole" in run("audit verify").stdout


@pytest.mark.parametrize("command", ["enable", "disable", "remove"])
def test_limits_by_their_id(
    run: Callable[..., Any], cli_json: Callable[..., Any], rows: Rows, command: str
) -> None:
    made = cli_json("limit", "set", "--global", "--requests", "5", "--per", "day")
    run(f"limit {command} {made['id']}")
    row = rows()[-1]
    assert (row["action"], row["object"]["id"]) == (
        {"remove": "limit.delete"}.get(command, f"limit.{command}"),
        made["id"],
    )


def test_what_fails_leaves_a_row_too(run: Callable[..., Any], rows: Rows) -> None:
    run("key disable openai --name nix", code=3)
    assert [(row["action"], row["outcome"], row["object"]["name"]) for row in rows()] == [
        ("key.disable", "failed", "openai/nix")
    ]


def test_reading_leaves_none(run: Callable[..., Any], rows: Rows) -> None:
    for line in ("project list", "token list", "key list", "route list", "limit list", "audit verify"):
        run(line)
    assert rows() == []
    assert run("audit list").stdout == "Nothing in the audit log fits.\n"


def test_no_secret_is_in_it(run: Callable[..., Any], home: Path) -> None:
    run("key add openai --key-env KEY")
    token = run("token create --project default --name laptop").stdout.strip()
    said = run("audit export --format ndjson").stdout + (home / "logs" / "audit.jsonl").read_text()
    assert said.count("key.create") == 2
    assert SECRET not in said
    assert token not in said


def test_list_show_and_filters(run: Callable[..., Any], cli_json: Callable[..., Any]) -> None:
    run("project create red")
    run("project set red --capture all")
    listed = run("audit list --action project.*").stdout
    assert "\x1b" not in listed
    assert listed.index("project.change") < listed.index("project.create")
    page = cli_json("audit", "list", "--limit", "1")
    row = page["rows"][0]
    assert page["cursor"] == row["id"]
    assert cli_json("audit", "show", str(row["id"])) == row
    shown = run(f"audit show {row['id']}").stdout
    assert "project red" in shown
    assert "capture" in shown.split("before")[1]
    more = cli_json("audit", "list", "--cursor", str(page["cursor"]))
    assert [r["action"] for r in more["rows"]] == ["project.create"]
    assert cli_json("audit", "list", "--name", "red", "--outcome", "denied") == {"rows": [], "cursor": None}
    assert "no row 7" in run("audit show 7", code=3).stderr


def test_export(run: Callable[..., Any], tmp_path: Path) -> None:
    run("project create red")
    target = tmp_path / "audit.csv"
    assert "wrote" in run(f"audit export -o {target}").stderr
    assert target.read_text().splitlines()[0].startswith("id,ts,actor_kind,actor")
    assert json.loads(run("audit export --format json").stdout)[0]["object_name"] == "red"
    assert "cannot be written" in run(f"audit export -o {tmp_path}/no/where.csv", code=1).stderr


def meddle(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "control.db")) as connection, connection:
        connection.execute("DROP TRIGGER audit_is_not_changed")
        connection.execute("DROP TRIGGER audit_is_not_shortened")
        for statement in statements:
            connection.execute(statement)


def test_verify_finds_what_was_changed(
    run: Callable[..., Any], cli_json: Callable[..., Any], home: Path, rows: Rows
) -> None:
    for name in ("red", "blue", "green"):
        run(f"project create {name}")
    broken = rows()[1]["id"]
    meddle(home, f"UPDATE audit SET actor = 'eve' WHERE id = {broken}")
    error = run("audit verify", code=1).stderr
    assert f"the row {broken} does not say what was written" in error
    found = cli_json("audit", "verify", code=1)
    assert (found["ok"], found["broken"], found["reason"]) == (False, broken, "changed")


def test_verify_finds_what_was_cut_off_and_set_back(
    run: Callable[..., Any], cli_json: Callable[..., Any], home: Path
) -> None:
    """By the file beside it, and by a digest that was noted: the old database is whole in itself."""
    run("project create red")
    old = (home / "control.db").read_bytes()
    run("project create blue")
    noted = cli_json("audit", "verify")["chain"]
    run(f"audit verify --expect {noted}")
    for name in ("control.db-wal", "control.db-shm"):
        (home / name).unlink(missing_ok=True)
    (home / "control.db").write_bytes(old)
    found = cli_json("audit", "verify", code=1)
    assert (found["reason"], len(found["unknown"])) == ("", 1)
    (home / "logs" / "audit.jsonl").unlink()
    run("audit verify")
    assert "no row has the digest" in run(f"audit verify --expect {noted}", code=1).stderr
    run("audit verify --expect nonsense", code=1)


def test_logs_show_it_as_well(run: Callable[..., Any]) -> None:
    run("project create red")
    assert f"project.create  project red  {ME}" in run("logs tail --kind audit").stdout
