import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_intercept.home import Home
from llm_intercept.settings import CaptureSettings
from llm_intercept.store.bodies import Body, Capture, write_bodies
from llm_intercept.store.control import Control
from llm_intercept.store.migrate import connect
from llm_intercept.store.reservations import Counters
from llm_intercept.store.rows import AttemptRow, ViolationRow
from llm_intercept.vault import Vault
from tests.cli.rows import call, write

CALLS = 1201  # more than two batches
NAMES = ("laptop-of-ada", "ada", "203.0.113.9", "session-of-ada", "ada's own words", "resp_ada")


@pytest.fixture
def filled(cli, cli_json, home: Path, tmp_path: Path) -> str:
    """Two projects with calls of the same hours; gives the text of a token of the first."""
    cli("user", "create", "ada")
    cli("project", "create", "demo", "--owner", "ada", "--member", "ada")
    cli("project", "create", "other")
    token = cli_json("token", "create", "--project", "demo", "--name", "laptop-of-ada", "--user", "ada")
    cli("token", "create", "--project", "other", "--name", "t")
    for name, scope in (("project", "demo"), ("token", "demo/laptop-of-ada"), ("project", "other")):
        cli("limit", "set", f"--{name}", scope, "--requests", "1000000", "--per", "day")
    cli("failure", "set", "--project", "demo", "--error", "500=0.5")
    rows = []
    for number in range(CALLS):
        one = call(0, token="laptop-of-ada", user="ada", client_ip="203.0.113.9", response_id="resp_ada")
        one.session_id, one.error_message = "session-of-ada", "ada's own words"
        one.id, one.request_id = one.id + number, f"demo-{number}"
        one.tries = [AttemptRow(one.id, 1, "openai", "h", "k", outcome="ok", error_message="ada's own words")]
        one.violations = [ViolationRow(one.id, "provider", "openai_chat", 1, "wrong")]
        rows.append(one)
    other = call(0, project="other", token="t")
    other.id, other.request_id = other.id + CALLS, "other-1"
    write(home, *rows, other)
    capture = Capture(CaptureSettings())
    with closing(connect(home / "bodies.db")) as bodies:
        body = [Body("request", "text/plain", b"ada says hi"), Body("response", "x/y", b"\xff\xfe")]
        write_bodies(bodies, capture, [(rows[0].id, body), (other.id, body)])
    return str(token["token"])


def ask(home: Path, database: str, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / database)) as connection:
        return connection.execute(sql).fetchall()


def contents(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            assert file is not None
            text = file.read()
            lines = member.name.endswith(".ndjson")
            found[member.name] = (
                [orjson.loads(line) for line in text.splitlines()] if lines else orjson.loads(text)
            )
    return found


def test_export_holds_everything_of_it_and_nothing_else(
    cli, cli_json, home: Path, filled: str, tmp_path: Path
) -> None:
    done = cli_json("project", "export", "Demo", str(tmp_path / "demo.tar.gz"))
    found = contents(tmp_path / "demo.tar.gz")
    assert found["project.json"]["name"] == "demo"
    assert found["project.json"]["members"] == ["ada"]
    assert [token["name"] for token in found["tokens.json"]] == ["laptop-of-ada"]
    assert {limit["limit"]["name"] for limit in found["limits.json"]} == {"demo", "demo/laptop-of-ada"}
    assert len(found["failures.json"]) == 1
    assert {row["project"] for row in found["requests.ndjson"]} == {"demo"}
    for name in ("requests", "attempts", "violations"):
        assert len(found[f"{name}.ndjson"]) == CALLS == done["counts"][name]
    assert sum(row["requests"] for row in found["usage_day.ndjson"]) == CALLS
    first, second = found["bodies.ndjson"]
    assert first["text"] == "ada says hi"
    assert second["base64"] == "//4="
    listed = {file["name"] for file in found["manifest.json"]["files"]}
    assert listed == found.keys() - {"manifest.json"}


def test_no_secret_is_exported(cli, home: Path, filled: str, tmp_path: Path) -> None:
    cli("token", "create", "--project", "demo", "--name", "signed", "--aws")
    cli("project", "export", "demo", str(tmp_path / "demo"))
    text = b"".join(path.read_bytes() for path in (tmp_path / "demo").iterdir())
    digests = [row[0] for row in ask(home, "control.db", "SELECT digest FROM tokens")]
    assert filled.encode() not in text
    assert b"gAAAA" not in text
    assert not any(digest in text or digest.hex().encode() in text for digest in digests)


def test_deleting_leaves_calls_without_a_name(cli, cli_json, home: Path, filled: str) -> None:
    before = ask(home, "usage.db", "SELECT sum(cost_nanos), sum(input_tokens), count(*) FROM requests")
    sums = "SELECT sum(requests), sum(cost_nanos), sum(duration_ms_sum) FROM "
    rollups = [ask(home, "usage.db", sums + table) for table in ("usage_hour", "usage_day")]
    done = cli_json("project", "delete", "demo", "--everything", "--confirm", "demo")
    assert (done["calls"], done["anonymous"], done["tokens"], done["limits"]) == (CALLS, True, 1, 2)
    after = ask(home, "usage.db", "SELECT sum(cost_nanos), sum(input_tokens), count(*) FROM requests")
    assert after == before
    assert [ask(home, "usage.db", sums + table) for table in ("usage_hour", "usage_day")] == rollups
    assert ask(home, "usage.db", "SELECT project, count(*) FROM requests GROUP BY 1 ORDER BY 1") == [
        ("(deleted)", CALLS),
        ("other", 1),
    ]
    for table in ("requests", "attempts", "violations", "usage_hour", "usage_day"):
        text = repr(ask(home, "usage.db", f"SELECT * FROM {table}"))
        assert not any(name in text for name in NAMES), table
        assert "'demo'" not in text
    assert ask(home, "bodies.db", "SELECT count(*) FROM bodies") == [(2,)]  # those of the other project
    assert [p["name"] for p in cli_json("project", "list")] == ["default", "other"]
    assert len(cli_json("limit", "list")) == 1
    assert_refused(home, filled)


def test_deleting_takes_its_name_out_of_the_counters(cli, cli_json, home: Path, filled: str) -> None:
    """Those of limits about every project and every token have the names of whom they count."""
    for words in (["--each", "project"], ["--each", "token"]):
        cli("limit", "set", *words, "--requests", "9", "--per", "day")
    ids = {(one["scope"], one["name"]): one["id"] for one in cli_json("limit", "list")}
    token = next(one for one in cli_json("token", "list") if one["project"] == "demo")
    stay = {f"{ids['project', '']}:other", f"{ids['token', '']}:demo2/t", f"{ids['project', 'other']}:"}
    go = {f"{ids['project', '']}:demo", f"{ids['token', '']}:demo/laptop-of-ada", f"{token['id']}:"}
    go |= {f"{ids['project', 'demo']}:", f"{ids['token', 'demo/laptop-of-ada']}:"}
    with closing(Counters(home / "limits.db")) as counters, counters.changing(1) as changes:
        for key in stay | go:
            changes.counters([key])[key].add(0, 0, 1)
            changes.changed(key)
    cli("project", "delete", "demo", "--everything", "--confirm", "demo")
    assert {key for (key,) in ask(home, "limits.db", "SELECT key FROM counters")} == stay


def assert_refused(home: Path, token: str) -> None:
    place = Home(home)
    with closing(Control(place.control_db, Vault.load(place.secret_key, {}))) as control:
        assert type(control.token(token, 0.0)).__name__ == "Unknown"
        actions = [row.action for row in control.audit.after(0, 100)]
        assert actions[-1] == "project.delete"
        assert control.audit.verify().ok


def test_deleting_with_its_calls(cli, home: Path, filled: str) -> None:
    said = cli("project", "delete", "demo", "--everything", "--with-calls", stdin="demo\n")
    assert "calls deleted" in said.stdout
    for table in ("requests", "attempts", "violations", "usage_hour", "usage_day"):
        count = 0 if table in ("attempts", "violations") else 1
        assert ask(home, "usage.db", f"SELECT count(*) FROM {table}") == [(count,)], table


@pytest.mark.parametrize(
    ("words", "stdin", "code", "message"),
    [
        (("demo",), "", 2, "--everything"),
        (("demo", "--everything"), "dem\n", 2, "not its name"),
        (("demo", "--everything", "--confirm", "Demo"), "", 2, "not its name"),
        (("default", "--everything", "--confirm", "default"), "", 1, "stays"),
        (("nobody", "--everything", "--confirm", "nobody"), "", 3, "no project"),
    ],
)
def test_nothing_is_deleted_by_mistake(
    cli, home: Path, filled: str, words: tuple[str, ...], stdin: str, code: int, message: str
) -> None:
    assert message in cli("project", "delete", *words, code=code, stdin=stdin).stderr
    assert ask(home, "control.db", "SELECT count(*) FROM projects WHERE active") == [(3,)]
    assert ask(home, "usage.db", "SELECT count(*) FROM requests WHERE project = 'demo'") == [(CALLS,)]


def test_a_listener_that_uses_it_is_named(cli, home: Path, filled: str) -> None:
    cli("listener", "create", "extra", "--port", "18999", "--project", "demo")
    assert "listener extra" in cli("project", "delete", "demo", "--everything", code=1).stderr


def test_routes_for_it_alone_go_with_it(cli, cli_json, home: Path, filled: str) -> None:
    cli("route", "set", "mine", "--project", "demo", "--to", "openai/gpt-4o")
    cli("route", "set", "ours", "--project", "demo", "--project", "other", "--to", "openai/gpt-4o")
    cli("project", "delete", "demo", "--everything", "--confirm", "demo")
    assert [route["name"] for route in cli_json("route", "list")] == ["ours"]
    assert json.dumps(cli_json("route", "list"))
