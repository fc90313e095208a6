"""The command that serves the dashboard: its arguments, its secret, its links, and that it really starts."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from llm_intercept.cli.dashboard import dashboard, login_link, new_setup_link, serve_arguments, ways_in
from llm_intercept.errors import Conflict
from llm_intercept.home import Home
from llm_intercept.settings import Settings
from llm_intercept.store.audit_search import AuditQuery, search
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault


def test_the_arguments_keep_everybody_out(empty: Home) -> None:
    argv, env = serve_arguments(empty, Settings(), 8765)
    assert argv[:4] == [sys.executable, "-m", "datasette", "serve"]
    assert "--default-deny" in argv
    assert str(empty.usage_db) in argv
    assert str(empty.control_db) not in argv
    assert argv[argv.index("--port") + 1] == "8765"
    assert argv[argv.index("--host") + 1] == "127.0.0.1"
    assert Path(argv[argv.index("--config") + 1]).is_file()
    assert env["DATASETTE_LOAD_PLUGINS"] == ""
    assert env["DATASETTE_SECRET"] not in " ".join(argv)
    assert env["FORWARDED_ALLOW_IPS"] == "", "nobody on this machine says who somebody else is"


def test_the_secret_survives_a_restart_and_differs_between_homes(empty: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    other.ensure()
    settings = Settings()
    first, again = (serve_arguments(empty, settings, 1)[1]["DATASETTE_SECRET"] for _ in range(2))
    assert first == again
    assert serve_arguments(other, settings, 1)[1]["DATASETTE_SECRET"] != first


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:8001/"),
        ("0.0.0.0", "http://127.0.0.1:8001/"),
        ("::1", "http://[::1]:8001/"),
    ],
)
def test_links_can_be_opened_from_this_machine(empty: Home, host: str, expected: str) -> None:
    settings = Settings.model_validate({"dashboard": {"host": host}})
    assert login_link(empty, settings).startswith(expected + "-/llm/login?code=")


def test_the_command_prints_a_link_and_makes_the_home(tmp_path: Path) -> None:
    home = tmp_path / "fresh"
    found = CliRunner().invoke(
        dashboard, ["--login-link", "--port", "8123"], env={"LLM_INTERCEPT_HOME": str(home)}
    )
    assert found.exit_code == 0, found.output
    assert found.output.startswith("http://127.0.0.1:8123/-/llm/login?code=")
    assert (home / "usage.db").is_file()


def test_links_are_printed_as_long_as_nobody_exists(empty: Home) -> None:
    settings = Settings.model_validate({"dashboard": {"url": "https://llm.example.com/"}})
    login, setup = ways_in(empty, settings)
    assert "https://llm.example.com/-/llm/login?code=" in login
    assert "https://llm.example.com/-/llm/setup?code=" in setup
    control = Control(empty.control_db, Vault.load(empty.secret_key, {}))
    control.users.create("ada", role="admin")
    control.close()
    assert ways_in(empty, settings) == ["dashboard  https://llm.example.com/"]
    with pytest.raises(Conflict):
        new_setup_link(empty, settings)


@pytest.mark.live
def test_links_are_in_the_audit_log(empty: Home) -> None:
    links = [login_link(empty, Settings()), new_setup_link(empty, Settings())]
    control = Control(empty.control_db, Vault.load(empty.secret_key))
    rows = search(control.database, AuditQuery(action="link.create")).rows
    control.close()
    assert [(row.actor_kind, row.object_name, row.outcome) for row in rows] == [
        ("cli", "setup", "ok"),
        ("cli", "login", "ok"),
    ]
    assert not any(link.partition("code=")[2] in str(row) for link in links for row in rows)
    lines = (empty.logs / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines[-2:]] == [rows[1].id, rows[0].id]


def test_it_serves_and_stops(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {**os.environ, "LLM_INTERCEPT_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "llm_intercept.cli", "dashboard", "--port", str(port)]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        link = next(word for word in process.stderr.readline().split() if word.startswith("http"))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()
        )
        text = opened(opener, link)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
    assert "No calls yet" in text


def opened(opener: urllib.request.OpenerDirector, link: str) -> str:
    """The page behind a link of a server that is still starting."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with opener.open(link, timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            assert time.monotonic() < deadline, "the dashboard does not start"
            time.sleep(0.1)
