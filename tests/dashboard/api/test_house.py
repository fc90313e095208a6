"""Keeping house over the API: backups, keys, settings, logs, imports, and a project as a file."""

import io
import json
import tarfile
from typing import Any

import pytest

from tests.dashboard.api.conftest import KEY, World

PASSPHRASE = "correct horse battery"


def actions(world: World, action: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = world.get(f"/audit?action={action}").json()["items"]
    return items


def error(answer: Any) -> tuple[int, str, str]:
    found = answer.json()["error"]
    return answer.status_code, found["code"], found["message"]


class TestBackups:
    def test_made_listed_verified_and_fetched(self, world: World) -> None:
        made = world.post("/maintenance/backups", {"passphrase": PASSPHRASE}).json()
        assert (made["secrets"], made["left_out"]) == ("locked", [])
        listed = world.get("/maintenance/backups").json()["items"][0]
        assert (listed["name"], listed["secrets"]) == (made["name"], "locked")
        verdict = world.post(f"/maintenance/backups/{made['name']}/verify").json()
        assert (verdict["ok"], verdict["problem"]) == (True, "")
        assert verdict["rows"]["usage.db"] == made["rows"]["usage.db"]
        assert verdict["rows"]["usage.db"]["requests"] == 300
        fetched = world.get(f"/maintenance/backups/{made['name']}/file")
        path = world.home.backups / made["name"]
        assert fetched.content == path.read_bytes()
        assert fetched.headers["content-length"] == str(path.stat().st_size)
        assert fetched.headers["content-type"] == "application/x-tar"
        for secret in (world.home.secret_key.read_bytes().split()[0], KEY.encode(), PASSPHRASE.encode()):
            assert secret not in fetched.content
        done = actions(world, "backup.download")
        assert [(row["object"]["name"], row["actor"]["name"]) for row in done] == [
            (made["name"], "root/root-token")
        ]

    @pytest.mark.parametrize("name", ["%2e%2e%2fsecret.key", "secret.key", ".hidden", "..", "nothing.tar"])
    def test_nothing_else_can_be_fetched(self, world: World, name: str) -> None:
        (world.home.backups / ".hidden").write_text("draft")
        for method, path in (("GET", f"{name}/file"), ("POST", f"{name}/verify")):
            assert world.ask(method, f"/maintenance/backups/{path}").status_code == 404

    def test_a_key_that_lies_open_is_not_given_out(self, world: World) -> None:
        with tarfile.open(world.home.backups / "plain.tar", "w") as tar:
            facts = {"kind": "llm-intercept backup", "format": 1, "secrets": "plain", "files": []}
            content = json.dumps(facts).encode()
            member = tarfile.TarInfo("manifest.json")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        (world.home.backups / "usage-before-m005.db").write_bytes(b"SQLite format 3\0")
        status, code, said = error(world.get("/maintenance/backups/plain.tar/file"))
        assert (status, code) == (409, "conflict")
        assert "encryption key as it is" in said
        assert error(world.get("/maintenance/backups/usage-before-m005.db/file"))[:2] == (409, "conflict")

    def test_a_damaged_one_is_told_of(self, world: World) -> None:
        name = world.post("/maintenance/backups", {}).json()["name"]
        content = bytearray((world.home.backups / name).read_bytes())
        content[len(content) // 2] ^= 255
        (world.home.backups / "damaged.tar").write_bytes(content)
        verdict = world.post("/maintenance/backups/damaged.tar/verify").json()
        assert verdict["ok"] is False
        assert "damaged.tar is damaged" in verdict["problem"]
        assert str(world.home.path) not in verdict["problem"]

    def test_a_short_passphrase_is_none(self, world: World) -> None:
        answer = world.post("/maintenance/backups", {"passphrase": "short"})
        assert error(answer)[:2] == (422, "invalid_value")
        assert "short" not in answer.text.replace("too short", "")


def test_a_new_key_encrypts_and_everything_goes_on(world: World) -> None:
    before = world.get("/maintenance/secret").json()
    assert (before["lost"], before["behind"]) == (0, 0)
    done = world.post("/maintenance/secret/rotate", {"drop_old": True}).json()
    assert done["renewed"] >= 3
    after = world.get("/maintenance/secret").json()
    assert [key["id"] for key in after["keys"]] == [done["key"]] != [key["id"] for key in before["keys"]]
    assert (after["lost"], after["behind"]) == (0, 0)
    assert world.get("/users/me", "mia").status_code == 200
    control = world.control()
    try:
        assert control.credentials.opened("openai", "default").secret.get_secret_value() == KEY
    finally:
        control.close()
    assert len(actions(world, "secret.rotate")) == 1


class TestImports:
    def test_all_of_them_or_none_and_every_reason(self, world: World) -> None:
        rows = [{"name": "bea"}, {"name": "mia"}, {"name": "cal", "email": "no address"}]
        status, code, said = error(world.post("/import/users", {"rows": rows}))
        assert (status, code) == (422, "unusable")
        assert "row 2" in said
        assert "row 3" in said
        assert world.get("/users/bea").status_code == 404

    def test_a_dry_run_makes_nothing(self, world: World) -> None:
        body = {"rows": [{"project": "alpha", "name": "dry"}], "dry_run": True}
        done = world.post("/import/tokens", body, "mia").json()
        assert (done["number"], done["names"], done["items"]) == (1, ["dry"], [])
        assert world.get("/tokens?prefix=dry").json()["items"] == []

    def test_tokens_work_and_keep_their_rules(self, world: World) -> None:
        policy = {"models": ["gpt-5*"], "parameters": {"max_tokens": {"max": 10}}}
        rows = [{"project": "alpha", "name": f"many-{n}", "policy": policy, "expires": "2d"} for n in (1, 2)]
        made = world.post("/import/tokens", {"rows": rows}, "mia").json()["items"]
        assert all(new["text"].startswith("lli_") for new in made)
        assert made[0]["token"]["policy"]["models"] == ["gpt-5*"]
        assert made[0]["token"]["expires_at"]
        again = world.post("/import/tokens", {"rows": rows}, "mia")
        assert error(again)[:2] == (422, "unusable")

    def test_what_is_not_ones_own_is_not_there(self, world: World) -> None:
        status, _, said = error(
            world.post("/import/tokens", {"rows": [{"project": "beta", "name": "x"}]}, "mia")
        )
        assert status == 422
        assert "there is no project" in said


def test_a_project_as_a_file(world: World) -> None:
    world.post("/tokens", {"project": "alpha", "name": "exported"})
    answer = world.get("/projects/alpha/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="alpha.tar.gz"'
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        names = set(tar.getnames())
        found = tar.extractfile("project.json")
        assert found is not None
        assert json.loads(found.read())["name"] == "alpha"
    assert {"manifest.json", "tokens.json", "requests.ndjson", "bodies.ndjson"} <= names
    assert not list(world.home.path.glob(".export.*"))
    assert actions(world, "project.export")[0]["object"]["name"] == "alpha"


class TestLogs:
    def test_pages_from_the_newest_on(self, world: World) -> None:
        lines = [
            {
                "ts": f"2026-11-20T07:00:{n // 3:02d}Z",
                "level": "WARNING" if n % 2 else "INFO",
                "message": f"n{n}",
            }
            for n in range(10)
        ]
        (world.home.logs / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        path, seen = "/maintenance/logs?kind=events&limit=4&until=2026-11-20", []
        while True:
            page = world.get(path).json()
            seen += [line["message"] for line in page["items"]]
            if page["next_cursor"] is None:
                break
            path = f"/maintenance/logs?kind=events&limit=4&until=2026-11-20&cursor={page['next_cursor']}"
        assert seen == [f"n{n}" for n in reversed(range(10))]

    def test_filters_hold_at_once(self, world: World) -> None:
        query = "kind=events&level=warning&text=N3&until=2026-11-20"
        found = world.get(f"/maintenance/logs?{query}").json()["items"]
        assert [line["message"] for line in found] == ["n3"]
        assert world.get("/maintenance/logs?since=2026-11-21&until=2026-11-22").json()["items"] == []


def test_settings_with_their_sources(world: World) -> None:
    found = {one["name"]: one for one in world.get("/maintenance/settings").json()["items"]}
    assert found["dashboard.api_rate"]["value"] == 0
    assert found["dashboard.api_rate"]["source"] == "environment LLM_INTERCEPT_DASHBOARD__API_RATE"
    assert found["port"] == {"name": "port", "value": 8080, "source": "default"}
