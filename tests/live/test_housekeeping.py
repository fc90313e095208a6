"""Keeping house while a proxy works: cleaning up, rotating the key, taking a backup."""

import contextlib
import json
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_intercept.home import Home
from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.usage import write_batch
from tests.live.stack import Stack, get, running, wait_for

pytestmark = pytest.mark.live
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    path = tmp_path_factory.mktemp("house") / "home"
    home = Home(path)
    home.ensure()
    old = time.time_ns() // 1000 - 400 * DAY_US
    rows = [RequestRow(id=old + n, request_id=f"old-{n}", project="default", model="m") for n in range(700)]
    with contextlib.closing(connect(home.usage_db)) as connection:
        write_batch(connection, rows)
    with running(path, config="[retention]\nrequests_days = 365\n") as started:
        yield started


def ask(stack: Stack) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = urllib.request.Request(
        f"{stack.url}/v1/chat/completions", body, {"content-type": "application/json"}
    )
    with opener.open(request, timeout=20) as answer:
        return int(answer.status)


def test_the_proxy_cleans_up_by_itself(stack: Stack) -> None:
    oldest = stack.last_id() - 365 * DAY_US
    wait_for(
        lambda: not stack.query("SELECT 1 FROM requests WHERE id < ? LIMIT 1", oldest),
        "old calls are removed",
    )
    assert stack.query("SELECT sum(requests) AS n FROM usage_day") == [{"n": 700}]
    audited = "SELECT actor_kind FROM audit WHERE action = 'cleanup.run'"

    def who() -> list[tuple[str]]:
        with contextlib.closing(sqlite3.connect(stack.home / "control.db")) as control:
            return control.execute(audited).fetchall()

    assert wait_for(who, "a row in the audit log") == [("proxy",)]


def test_the_key_changes_under_a_running_proxy(stack: Stack) -> None:
    assert ask(stack) == 200
    for _ in range(3):
        stack.cli("secret", "rotate", "--drop-old")
        assert ask(stack) == 200
    assert get(f"{stack.url}/ready")[0] == 200
    assert "can be decrypted" in stack.cli("secret", "check")


def test_a_backup_of_a_running_proxy(stack: Stack, tmp_path: Path) -> None:
    assert ask(stack) == 200
    stack.rows(1, 0)
    path = tmp_path / "b.tar"
    stack.cli("backup", str(path))
    refused = stack.cli("restore", str(path), "--force", check=False)
    assert refused == ""
    stack.cli("restore", str(path), "--home", str(tmp_path / "other"))
    with contextlib.closing(sqlite3.connect(tmp_path / "other" / "usage.db")) as restored:
        count = restored.execute("SELECT count(*) FROM requests").fetchone()[0]
    assert 1 <= count <= stack.query("SELECT count(*) AS n FROM requests")[0]["n"]
    assert ask(stack) == 200
