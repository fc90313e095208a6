import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.home import Home
from llm_intercept.policy.failures import Failures
from llm_intercept.store.control import Control
from llm_intercept.store.listeners import Listener
from llm_intercept.vault import Vault
from tests.store.conftest import Clock

OURS = {8001: "the dashboard", 8080: "the proxy itself"}


def create(control: Control, name: str, **more: Any) -> Listener:
    return control.listeners.create(name, **{"is_free": lambda _: True, "reserved": OURS, **more})


def test_a_listener(control: Control, clock: Clock) -> None:
    made = create(
        control, "Team", port=8101, provider="groq", project="demo", auth="required", host="0.0.0.0"
    )
    assert made == control.listeners.get("team")
    assert made.id.startswith("lsn_")
    assert (made.mode, made.host, made.port) == ("regular", "0.0.0.0", 8101)
    assert (made.provider, made.project, made.auth, made.cache) == ("groq", "demo", "required", "")
    assert (made.wanted, made.state, made.problem, made.running) == ("stopped", "stopped", "", False)
    assert made.created_at == made.changed_at == "2026-11-18T11:06:40.000000Z"


def test_which_answers_are_stored(control: Control) -> None:
    for mode in ("", "off", "opt-in", "on"):
        assert create(control, f"c{mode}", cache=mode).cache == mode


def test_ports_are_picked_around_what_is_taken(control: Control) -> None:
    assert create(control, "a").port == 8002
    assert create(control, "b").port == 8003
    assert create(control, "c", is_free=lambda port: port > 8010).port == 8011
    assert [listener.name for listener in control.listeners.list()] == ["a", "b", "c"]
    with pytest.raises(Conflict, match="no port from 8001 to 9000 is free; give one with --port N"):
        create(control, "d", is_free=lambda _: False)


def test_captured_programs_need_no_port(control: Control) -> None:
    made = create(control, "a", mode="local:curl", is_free=lambda _: False)
    assert (made.port, made.host, made.mode) == (None, "", "local:curl")
    assert create(control, "b", mode="local:wget").port is None
    with pytest.raises(ConfigError, match="has no port"):
        create(control, "c", mode="local:curl", port=8101)


def test_the_mode_is_stored_in_one_spelling(control: Control) -> None:
    assert create(control, "a", mode="reverse:https://API.openai.com:443/").mode == (
        "reverse:https://api.openai.com"
    )


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"name": "a b"}, ConfigError, "cannot be the name of a listener"),
        ({"name": "TEAM"}, Conflict, "named 'TEAM' exists already"),
        ({"port": 8101}, Conflict, "port 8101 is used by the listener team"),
        ({"port": 8080}, Conflict, "port 8080 is used by the proxy itself"),
        ({"port": 8001}, Conflict, "port 8001 is used by the dashboard"),
        ({"port": 8102, "is_free": lambda _: False}, Conflict, "port 8102 is taken by another program"),
        ({"port": 80}, ConfigError, "80 cannot be the port of a listener"),
        ({"mode": "socks5"}, ConfigError, "is not a mode"),
        ({"auth": "maybe"}, ConfigError, "use open or required"),
        ({"cache": "yes"}, ConfigError, "use off, opt-in or on"),
    ],
)
def test_what_cannot_be_created(
    control: Control, more: dict[str, Any], error: type[Exception], message: str
) -> None:
    create(control, "team", port=8101)
    with pytest.raises(error, match=message):
        create(control, **{"name": "other", **more})
    assert len(control.listeners.list()) == 1


def test_two_at_once_do_not_get_the_same_port(control: Control, home: Home, vault: Vault) -> None:
    with closing(Control(home.control_db, vault)) as other:

        def slow(port: int) -> bool:
            """Somebody else is faster while we ask the machine."""
            if not other.listeners.list():
                create(other, "faster", port=port)
            return True

        with pytest.raises(Conflict, match="has just taken"):
            create(control, "slower", port=8101, is_free=slow)


def test_states(control: Control, clock: Clock) -> None:
    create(control, "a")
    assert control.listeners.want("A", "running").wanted == "running"
    assert control.listeners.get("a").state == "stopped"
    clock.now += 1
    up = control.listeners.set_state("a", "running")
    assert (up.wanted, up.state, up.running, up.changed_at) == (
        "running",
        "running",
        True,
        "2026-11-18T11:06:41.000000Z",
    )
    assert control.listeners.want("a", "stopped").state == "running", "until the proxy has stopped it"
    assert control.listeners.set_state("a", "stopped").running is False


def test_a_problem_is_forgotten_with_the_next_start(control: Control) -> None:
    create(control, "a")
    control.listeners.want("a", "running")
    broken = control.listeners.set_state("a", "error", "port 8002 is taken")
    assert (broken.wanted, broken.problem, broken.running) == ("running", "port 8002 is taken", False)
    again = control.listeners.want("a", "running")
    assert (again.state, again.problem) == ("stopped", "")


@pytest.mark.parametrize(
    ("wanted", "state", "refused"),
    [
        ("running", "running", True),
        ("running", "stopped", True),
        ("stopped", "running", True),
        ("stopped", "stopped", False),
        ("running", "error", False),
    ],
)
def test_deleting(control: Control, wanted: Any, state: Any, refused: bool) -> None:
    create(control, "a")
    control.listeners.want("a", wanted)
    control.listeners.set_state("a", state)
    if refused:
        with pytest.raises(Conflict, match="stop it first: llm-intercept listener stop a"):
            control.listeners.delete("A")
    else:
        assert control.listeners.delete("A").name == "a"
        assert create(control, "b").port == 8002, "its port is free again"


@pytest.mark.parametrize(
    "act",
    [
        lambda table: table.get("nope"),
        lambda table: table.delete("nope"),
        lambda table: table.want("nope", "running"),
        lambda table: table.set_state("nope", "running"),
    ],
)
def test_one_that_is_not_there(control: Control, act: Callable[[object], object]) -> None:
    with pytest.raises(NotFound, match="no listener named 'nope'"):
        act(control.listeners)


def test_the_snapshot_follows_other_processes(control: Control, home: Home, vault: Vault) -> None:
    assert control.listening == {}
    with closing(Control(home.control_db, vault)) as other:
        create(other, "Team", port=8101)
    assert control.listening == {}
    control.refresh()
    assert control.listening["Team"].port == 8101


def test_states_are_words_that_are_known(control: Control, home: Home) -> None:
    """What an older or newer version has written is shown as it is."""
    create(control, "a")
    with closing(sqlite3.connect(home.control_db)) as raw:
        raw.execute("UPDATE listeners SET state = 'paused'")
        raw.commit()
    assert control.listeners.get("a").running is False


def test_without_a_token_in_a_project(control: Control) -> None:
    control.projects.create("demo", capture="all")
    control.refresh()
    assert (control.own_key("sk-x", "demo").project, control.own_key("sk-x").project) == ("demo", "default")
    assert (control.anonymous("demo").project, control.anonymous("demo").capture) == ("demo", "all")
    assert control.anonymous("gone").project == "default"
    assert not control.is_inactive("demo")
    control.projects.set_active("demo", False)
    control.refresh()
    assert control.is_inactive("demo")


@pytest.mark.parametrize(
    ("wanted", "state", "alive", "said"),
    [
        ("stopped", "stopped", True, "stopped"),
        ("running", "running", True, "running"),
        ("running", "stopped", True, "starting"),
        ("running", "running", False, "starts with the proxy"),
        ("running", "error", True, "error"),
        ("stopped", "running", False, "stopped"),
    ],
)
def test_how_one_stands(control: Control, wanted: Any, state: Any, alive: bool, said: str) -> None:
    create(control, "a")
    control.listeners.want("a", wanted)
    assert control.listeners.set_state("a", state).standing(alive) == said


@pytest.mark.parametrize(
    ("mode", "host", "url"),
    [
        ("regular", "127.0.0.1", "http://127.0.0.1:8101"),
        ("upstream:http://proxy.example:3128", "0.0.0.0", "http://127.0.0.1:8101"),
        ("reverse:https://api.openai.com", "::1", "http://[::1]:8101"),
        ("wireguard", "127.0.0.1", ""),
        ("local:curl", "127.0.0.1", ""),
    ],
)
def test_where_clients_connect(control: Control, mode: str, host: str, url: str) -> None:
    port = None if mode.startswith("local") else 8101
    assert create(control, "a", mode=mode, host=host, port=port).url == url


def change(control: Control, name: str, **more: Any) -> Listener:
    return control.listeners.change(name, **{"is_free_at": lambda *_: True, "reserved": OURS, **more})


def test_defaults_change_while_it_is_running(control: Control, clock: Clock) -> None:
    made = create(control, "a", port=8101, provider="groq", auth="required")
    control.listeners.want("a", "running")
    control.listeners.set_state("a", "running")
    clock.now += 1
    changed = change(control, "A", cache="on", project="demo", auth="", port=8101, new_name="a")
    assert (changed.cache, changed.project, changed.auth, changed.provider) == ("on", "demo", "", "groq")
    assert (changed.id, changed.port, changed.state, changed.wanted) == (made.id, 8101, "running", "running")
    assert changed.changed_at > made.changed_at
    assert change(control, "a", provider="").provider == ""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"port": 8102}, "its port can be"),
        ({"new_name": "b"}, "its name can be"),
        ({"host": "::1", "mode": "wireguard", "new_name": "A"}, "its host, mode and name can be"),
        ({"mode": "local:curl"}, "its host, mode and port can be"),
    ],
)
def test_name_and_place_change_only_while_it_is_stopped(
    control: Control, more: dict[str, Any], words: str
) -> None:
    before = create(control, "a", port=8101)
    control.listeners.want("a", "running")
    with pytest.raises(Conflict, match=f"a is running; {words} changed only while it is stopped: .* stop a"):
        change(control, "a", cache="on", **more)
    assert control.listeners.get("a").cache == before.cache, "nothing of it"
    control.listeners.want("a", "stopped")
    assert change(control, "a", **more).id == before.id


def test_another_place(control: Control) -> None:
    create(control, "a", port=8101)
    asked: list[tuple[str, int, bool]] = []

    def is_free_at(host: str, port: int, udp: bool) -> bool:
        asked.append((host, port, udp))
        return port != 8110

    moved = change(control, "a", host="::1", mode="wireguard", is_free_at=is_free_at)
    assert (moved.mode, moved.host, moved.port, asked) == ("wireguard", "::1", 8101, [("::1", 8101, True)])
    assert change(control, "a", mode="local:curl").port is None
    back = change(control, "a", mode="regular")
    assert (back.host, back.port) == ("127.0.0.1", 8002), "the first that is free"
    assert (
        change(control, "a", mode="reverse:https://API.openai.com/").mode == "reverse:https://api.openai.com"
    )
    with pytest.raises(Conflict, match="port 8110 is taken by another program"):
        change(control, "a", port=8110, is_free_at=is_free_at)
    assert change(control, "a", cache="on", is_free_at=lambda *_: False).port == 8002, "nobody is asked"


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"new_name": "a b"}, ConfigError, "cannot be the name of a listener"),
        ({"new_name": "OTHER"}, Conflict, "named 'OTHER' exists already"),
        ({"port": 8102}, Conflict, "port 8102 is used by the listener other"),
        ({"port": 8080}, Conflict, "port 8080 is used by the proxy itself"),
        ({"port": 0}, ConfigError, "0 cannot be the port of a listener"),
        ({"mode": "local:curl", "port": 8103}, ConfigError, "has no port"),
        ({"mode": "socks5"}, ConfigError, "is not a mode"),
        ({"auth": "maybe"}, ConfigError, "use open or required"),
        ({"cache": "yes"}, ConfigError, "use off, opt-in or on"),
    ],
)
def test_what_cannot_be_changed(
    control: Control, more: dict[str, Any], error: type[Exception], message: str
) -> None:
    create(control, "other", port=8102)
    made = create(control, "team", port=8101)
    with pytest.raises(error, match=message):
        change(control, "team", provider="groq", **more)
    assert control.listeners.get("team") == made


def test_what_is_simulated_goes_along_with_the_name(control: Control) -> None:
    made = create(control, "a")
    control.failures.set("listener", "a", Failures(seed=7))
    assert change(control, "a", new_name="Team").id == made.id
    assert [(entry.name, entry.failures.seed) for entry in control.failures.list()] == [("Team", 7)]
    assert change(control, "team", new_name="TEAM").name == "TEAM", "only written in another way"
