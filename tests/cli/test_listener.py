import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_intercept import presence
from llm_intercept.cli import listener
from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault


@contextlib.contextmanager
def proxy(folder: Path, answer: Callable[[Control], None]) -> Iterator[None]:
    """A proxy that is announced, and does with the table what the test says until the end."""
    home, over = Home(folder), threading.Event()
    home.ensure()
    presence.announce(folder, "http://127.0.0.1:18080")

    def serve() -> None:
        control = Control(home.control_db, Vault.load(home.secret_key, {}))
        with contextlib.closing(control):
            while not over.wait(0.02):
                answer(control)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        presence.withdraw(folder)


def obedient(control: Control) -> None:
    for found in control.listeners.list():
        if found.state != found.wanted:
            control.listeners.set_state(found.name, "running" if found.wanted == "running" else "stopped")


def unable(control: Control) -> None:
    for found in control.listeners.list():
        if (found.wanted, found.state) == ("running", "stopped"):
            control.listeners.set_state(found.name, "error", "port 8002 is taken by another program")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_create_list_show_delete(cli, cli_json) -> None:
    cli("project", "create", "Demo")
    port = free_port()
    words = ("--project", "demo", "--provider", "GROQ", "--port", str(port), "--cache", "opt-in")
    made = cli_json("listener", "create", "Team", *words)
    assert made["cache"] == "opt-in"
    assert (made["name"], made["port"], made["project"], made["provider"]) == ("Team", port, "Demo", "groq")
    assert (made["standing"], made["url"]) == ("stopped", f"http://127.0.0.1:{port}")
    assert [found["name"] for found in cli_json("listener", "list")] == ["Team"]
    assert str(port) in cli("listener", "list").stdout
    shown = cli("listener", "show", "team").stdout
    assert f"export HTTPS_PROXY=http://127.0.0.1:{port}" in shown
    assert f"OPENAI_BASE_URL=http://127.0.0.1:{port}/v1" in shown
    assert cli_json("listener", "show", "team") == made
    assert "Deleted" in cli("listener", "delete", "team", "--yes").stdout
    assert "listener create NAME" in cli("listener", "list").stdout


def test_changing_one(cli, cli_json) -> None:
    cli("project", "create", "Demo")
    made = cli_json("listener", "create", "team", "--auth", "required", "--provider", "groq")
    changed = cli_json(
        *("listener", "set", "TEAM", "--project", "demo", "--provider", "", "--auth", "default"),
        *("--cache", "on", "--name", "staff", "--mode", "upstream:http://proxy.example:3128"),
    )
    assert (changed["id"], changed["name"], changed["port"]) == (made["id"], "staff", made["port"])
    assert (changed["project"], changed["provider"], changed["auth"]) == ("Demo", "", "")
    assert (changed["cache"], changed["mode"]) == ("on", "upstream:http://proxy.example:3128")
    assert "required" in cli("listener", "set", "staff", "--auth", "required").stdout
    assert cli_json("listener", "show", "staff")["cache"] == "on"


def test_one_that_is_running_keeps_its_name_and_place(cli, cli_json) -> None:
    cli("listener", "create", "team", "--start")
    assert cli_json("listener", "set", "team", "--cache", "off")["cache"] == "off"
    text = cli("listener", "set", "team", "--port", "18199", code=1).stderr
    assert "its port can be changed only while it is stopped: llm-intercept listener stop team" in text


def test_deleting_asks_first(cli) -> None:
    cli("listener", "create", "team")
    assert (
        "Delete the listener team on 127.0.0.1:"
        in cli("listener", "delete", "team", stdin="n", code=1).stdout
    )
    assert "Deleted" in cli("listener", "delete", "team", stdin="y").stdout


def test_a_port_is_picked(cli_json) -> None:
    assert 8001 < cli_json("listener", "create", "team")["port"] <= 9000


def test_ports_of_our_own(cli) -> None:
    assert "used by the proxy itself" in cli("listener", "create", "a", "--port", "8080", code=1).stderr
    assert "used by the dashboard" in cli("listener", "create", "a", "--port", "8001", code=1).stderr


def test_a_port_of_another_program(cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        text = cli("listener", "create", "a", "--port", port, code=1).stderr
    assert f"port {port} is taken by another program" in text


def test_the_port_of_a_proxy_that_was_started_elsewhere(cli, home: Path) -> None:
    with proxy(home, obedient):
        text = cli("listener", "create", "a", "--port", "18080", code=1).stderr
    assert "used by the proxy itself" in text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("create", "a", "--mode", "socks5"), 1, "is not a mode of a listener"),
        (("create", "a", "--auth", "maybe"), 2, "--auth"),
        (("create", "a", "--cache", "maybe"), 2, "--cache"),
        (("create", "a", "--provider", "nope"), 3, "no provider 'nope'"),
        (("create", "a", "--project", "nope"), 3, "no project named 'nope'"),
        (("create", "a", "--mode", "reverse:https://example.com"), 1, "is no provider's host"),
        (
            ("create", "a", "--mode", "reverse:https://api.openai.com", "--provider", "groq"),
            1,
            "api.openai.com is OpenAI, not groq",
        ),
        (("create", "a", "--host", "192.0.2.1"), 1, "192.0.2.1 cannot be listened on"),
        (("show", "nope"), 3, "no listener named 'nope'"),
        (("set", "nope", "--cache", "on"), 3, "no listener named 'nope'"),
        (("set", "nope"), 2, "say what to change"),
        (("set", "nope", "--cache", "maybe"), 2, "--cache"),
        (("start", "nope"), 3, "no listener named 'nope'"),
        (("stop", "nope"), 3, "no listener named 'nope'"),
        (("delete", "nope", "--yes"), 3, "no listener named 'nope'"),
    ],
)
def test_errors(cli, words: tuple[str, ...], code: int, message: str) -> None:
    assert message in cli("listener", *words, code=code).stderr


def test_a_reverse_proxy_has_the_provider_of_its_url(cli, cli_json) -> None:
    made = cli_json("listener", "create", "a", "--mode", "reverse:https://api.openai.com")
    assert made["provider"] == "openai"
    assert "in place of https://api.openai.com" in cli("listener", "show", "a").stdout


def test_what_captures_programs_has_no_port(cli, cli_json) -> None:
    made = cli_json("listener", "create", "a", "--mode", "local:curl")
    assert (made["port"], made["url"]) == (None, "")
    assert "a program that it captures (curl)" in cli("listener", "show", "a").stdout
    assert (
        "--port" in cli("listener", "create", "b", "--mode", "local:curl", "--port", "18101", code=1).stderr
    )


def test_wireguard(cli, cli_json, home: Path) -> None:
    assert cli_json("listener", "create", "a", "--mode", "wireguard")["url"] == ""
    assert str(home / "wireguard-a.conf") in cli("listener", "show", "a").stdout
    (home / "wireguard-a.conf").write_text("[Interface]")
    cli("listener", "delete", "a", "--yes")
    assert not (home / "wireguard-a.conf").exists()


def test_without_a_proxy_it_starts_with_the_next_one(cli, cli_json) -> None:
    cli("listener", "create", "team")
    assert "No proxy is running: team starts with the next one" in cli("listener", "start", "team").stdout
    assert cli_json("listener", "show", "team")["standing"] == "starts with the proxy"
    text = cli("listener", "delete", "team", "--yes", code=1).stderr
    assert "stop it first: llm-intercept listener stop team" in text
    assert cli_json("listener", "stop", "team")["standing"] == "stopped"


def test_a_proxy_that_starts_and_stops_it(cli, cli_json, home: Path) -> None:
    with proxy(home, obedient):
        made = cli_json("listener", "create", "team", "--start")
        assert (made["state"], made["standing"]) == ("running", "running")
        again = cli("listener", "start", "team").stdout
        assert f"The listener team is running on 127.0.0.1:{made['port']}." in again
        assert "Stopped the listener team." in cli("listener", "stop", "team").stdout
    assert cli_json("listener", "show", "team")["state"] == "stopped"


def test_a_proxy_that_cannot_start_it(cli, cli_json, home: Path) -> None:
    with proxy(home, unable):
        text = cli("listener", "create", "team", "--start", code=1).stderr
    assert "team could not be started: port 8002 is taken by another program" in text
    assert "It could not be started: port 8002" in cli("listener", "show", "team").stdout
    assert cli_json("listener", "show", "team")["standing"] == "error"


def test_a_proxy_that_does_not_answer(cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "ANSWER_SECONDS", 0.0)
    with proxy(home, lambda _: None):
        assert "has not answered yet" in cli("listener", "create", "team", "--start").stdout
        control = Control(Home(home).control_db, Vault.load(Home(home).secret_key, {}))
        with contextlib.closing(control):
            control.listeners.set_state("team", "running")
        assert "has not stopped team" in cli("listener", "stop", "team", code=1).stderr
