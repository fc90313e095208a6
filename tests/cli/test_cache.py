"""`llm-intercept cache`, and what other commands have to do with stored answers."""

import json
import tarfile
import time
from pathlib import Path

import pytest

from llm_intercept.home import Home
from llm_intercept.store.cache import Which, opened
from tests.store.test_cache import FACTS, answer

HOUR = 3_600_000_000
BODY = "\x1b[2J\u20ac\r\nyes".encode()


@pytest.fixture(autouse=True)
def stored(cli, home: Path) -> None:
    """Two of red, a day and an hour old; one of blue that is out of date."""
    cli("project", "create", "red")
    cli("project", "create", "blue")
    now = time.time_ns() // 1000
    made = [
        answer(1, id=now - 30 * HOUR, expires_us=now + HOUR, key=b"\xab\xcd" + bytes(30)),
        answer(2, id=now - 2 * HOUR, expires_us=now - HOUR, project="blue", model="gpt-4o", cost_nanos=None),
        answer(
            3, id=now - HOUR, expires_us=now + HOUR, provider="anthropic", body=b"\x1b[2J\xe2\x82\xac\r\nyes"
        ),
    ]
    with opened(Home(home).cache_db) as store:
        store.put(made)
        store.used([(made[0].key, 1000, now), (made[1].key, 5, now)])


def left(home: Path) -> list[str]:
    with opened(Home(home).cache_db) as store:
        return [entry.request_id for entry in store.entries(Which(), 100)]


def test_stats(cli, cli_json) -> None:
    found = cli_json("cache", "stats")
    assert (found["entries"], found["expired"], found["hits"]) == (3, 1, 1005)
    assert (found["saved_nanos"], found["saved_usd"]) == (450_000_000, "0.450000000")
    assert found["oldest"] < found["newest"]
    assert cli_json("cache", "stats", "--project", "Blue")["entries"] == 1
    assert cli_json("cache", "stats", "--provider", "Anthropic", "--model", "gpt-*")["entries"] == 1
    said = cli("cache", "stats").stdout
    assert "answers       3\n" in said
    assert "saved         $0.45" in said
    assert "oldest        -" in cli("cache", "stats", "--project", "nix").stdout


def test_list(cli, cli_json) -> None:
    first = cli_json("cache", "list", "--limit", "2")
    assert [one["request_id"] for one in first["answers"]] == ["r-3", "r-2"]
    second = cli_json("cache", "list", "--limit", "2", "--cursor", str(first["cursor"]))
    assert [one["request_id"] for one in second["answers"]] == ["r-1"]
    assert second["cursor"] is None
    assert "body" not in first["answers"][0]
    said = cli("cache", "list", "--limit", "1")
    assert "anthropic" in said.stdout
    assert f"--cursor {first['answers'][0]['key']}" not in said.stderr
    assert "There is more: --cursor" in said.stderr
    assert "abcd000000000000 " in cli("cache", "list", "--older-than", "1d").stdout
    assert "No stored answer fits" in cli("cache", "list", "--key", "ff").stdout


def test_show(cli, cli_json) -> None:
    found = cli_json("cache", "show", "abcd")
    assert (found["request_id"], found["hits"]) == ("r-1", 1000)
    assert found["headers"][0] == ["x-request-id", "req_1"]
    assert "body" not in found
    whole = cli_json("cache", "show", "abcd", "--body")
    assert (whole["body"], whole["encoding"]) == (FACTS.body.decode(), "utf-8")
    said = cli("cache", "show", "abcd").stdout
    assert "model         gpt-5-mini" in said
    assert "header        x-request-id: req_1" in said
    assert "choices" not in said
    assert "choices" in cli("cache", "show", "ABCD", "--body").stdout
    assert "no key of a stored answer begins with 'ffff'" in cli("cache", "show", "ffff", code=3).stderr
    assert "several keys begin with 000" in cli("cache", "show", "000", code=1).stderr


def test_what_a_provider_said_does_not_steer_the_terminal(cli, cli_json) -> None:
    key = cli_json("cache", "list", "--provider", "anthropic")["answers"][0]["key"]
    assert "\ufffd[2J\u20ac\nyes" in cli("cache", "show", key, "--body").stdout
    assert cli_json("cache", "show", key, "--body")["body"] == "\x1b[2J\u20ac\r\nyes"


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (("--all",), {1, 2, 3}),
        (("--project", "RED"), {1, 3}),
        (("--provider", "anthropic"), {3}),
        (("--model", "gpt-5*", "--older-than", "1d"), {1}),
        (("--key", "ab"), {1}),
        (("--expired",), {2}),
        (("--expired", "--project", "red"), set()),
    ],
)
def test_purge(cli, cli_json, home: Path, words: tuple[str, ...], gone: set[int]) -> None:
    assert cli_json("cache", "purge", *words, "--dry-run") == {"dry_run": True, "deleted": len(gone)}
    assert len(left(home)) == 3
    assert cli_json("cache", "purge", *words, "--yes") == {"dry_run": False, "deleted": len(gone)}
    assert left(home) == [f"r-{n}" for n in (3, 2, 1) if n not in gone]
    rows = cli_json("audit", "list", "--action", "cache.purge")["rows"]
    assert [row["after"]["deleted"] for row in rows] == [len(gone)]


def test_purge_asks(cli, home: Path) -> None:
    assert "Delete 2 stored answers?" in cli("cache", "purge", "--project", "red", code=1, stdin="n\n").stderr
    assert len(left(home)) == 3
    assert "Deleted 2 stored answers." in cli("cache", "purge", "--project", "red", stdin="y\n").stdout
    assert "Deleted 1 stored answer." in cli("cache", "purge", "--all", "--yes").stdout
    assert "Deleted 0 stored answers." in cli("cache", "purge", "--all").stdout, "nothing to ask about"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("purge",), 2, "say which: --project"),
        (("purge", "--all", "--expired"), 2, "--all by itself"),
        (("purge", "--project", "nix"), 3, "no project named 'nix'"),
        (("purge", "--older-than", "soon"), 2, "is not a duration"),
        (("purge", "--older-than", "99999999999w"), 2, "older-than"),
        (("stats", "--key", "xyz"), 1, "'xyz' is no key of a stored answer"),
        (("list", "--limit", "0"), 2, "--limit"),
        (("list", "--cursor", str(1 << 63)), 2, "--cursor"),
    ],
)
def test_what_cannot_be_asked(cli, home: Path, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in cli("cache", *words, code=code).stderr
    assert len(left(home)) == 3


def test_a_damaged_database(cli, home: Path) -> None:
    Home(home).cache_db.write_bytes(b"no database" * 1000)
    assert "can be deleted while no proxy runs" in cli("cache", "stats", code=1).stderr


def test_the_help_teaches_how_to_begin(cli) -> None:
    said = cli("cache", "--help").stdout
    assert "Cache-Control" in said
    assert 'mode = "on"' in said


def test_cleanup_takes_what_is_out_of_date(cli_json, home: Path) -> None:
    assert cli_json("cleanup", "--dry-run")["removed"]["stored answers"] == 1
    assert len(left(home)) == 3
    assert cli_json("cleanup")["removed"]["stored answers"] == 1
    assert left(home) == ["r-3", "r-1"]


def test_a_project_takes_its_answers_along(cli_json, home: Path) -> None:
    done = cli_json("project", "delete", "red", "--everything", "--confirm", "red")
    assert (done["project"], done["answers"]) == ("red", 2)
    assert left(home) == ["r-2"]


def test_a_project_without_a_cache_can_be_deleted(cli_json, home: Path) -> None:
    for path in home.glob("cache.db*"):
        path.unlink()
    assert cli_json("project", "delete", "red", "--everything", "--confirm", "red")["answers"] == 0


def test_doctor_tells_of_a_damaged_one(cli, home: Path) -> None:
    def found() -> dict[str, str]:
        said = json.loads(cli("doctor", "--json", code=1, env={"LLM_INTERCEPT_PORT": "9"}).stdout)
        return next(finding for finding in said if finding["check"] == "cache")

    assert found()["status"] == "ok"
    Home(home).cache_db.write_bytes(b"no database" * 1000)
    assert found()["status"] == "failed"
    assert "can be deleted while no proxy runs" in found()["message"]
    assert "only stored answers are lost" in found()["fix"]


def test_a_backup_has_none(cli, home: Path, tmp_path: Path) -> None:
    cli("backup", str(tmp_path / "b.tar"))
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert not [name for name in tar.getnames() if "cache" in name]
