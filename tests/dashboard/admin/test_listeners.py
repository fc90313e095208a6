"""Listeners by their forms: made, changed, started, stopped, deleted."""

import socket

import pytest

from llm_intercept import presence
from tests.dashboard.admin.conftest import Admin, said

PAGE = "/-/llm/listeners"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_one_is_made_as_the_form_says(admin: Admin) -> None:
    port = free_port()
    text = admin.done(
        f"{PAGE}/new",
        name="team",
        port=str(port),
        mode="regular",
        host="127.0.0.1",
        project="default",
        auth="required",
        cache="on",
    )
    assert "It is stopped" in said(text)
    assert "stored answers on" in text
    with admin.control() as control:
        listener = control.listeners.get("team")
    assert (listener.port, listener.project, listener.auth) == (port, "default", "required")
    assert listener.cache == "on"
    assert admin.last_audit().action == "listener.create"


def test_a_reverse_proxy_knows_its_provider(admin: Admin) -> None:
    admin.done(f"{PAGE}/new", name="claude", mode="reverse:https://api.anthropic.com", host="127.0.0.1")
    with admin.control() as control:
        assert control.listeners.get("claude").provider == "anthropic"


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"name": ""}, "name", "needed"),
        ({"name": "a b"}, "name", "cannot be the name of a listener"),
        ({"name": "taken"}, "name", "exists already"),
        ({"port": "x"}, "port", "not a whole number"),
        ({"port": "80"}, "port", "1024"),
        ({"port": "8080"}, "port", "the proxy itself"),
        ({"mode": "sideways"}, "mode", "not a mode"),
        ({"mode": "reverse:https://example.com"}, "provider", "no provider"),
        ({"mode": "local:curl", "port": "9999"}, "port", "no port"),
        ({"host": "999.0.0.1"}, "host", "cannot be listened on"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin: Admin, fields: dict[str, str], where: str, words: str
) -> None:
    with admin.control() as control:
        control.listeners.create("taken", is_free=lambda _: True)
    base = {"name": "team", "mode": "regular", "host": "127.0.0.1"}
    assert words in admin.refused(f"{PAGE}/new", **(base | fields))[where]


def test_a_taken_port_is_told(admin: Admin) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        found = admin.refused(f"{PAGE}/new", name="team", mode="regular", host="127.0.0.1", port=port)
    assert "taken by another program" in found["port"]


def test_started_and_stopped_without_a_proxy(admin: Admin) -> None:
    admin.done(f"{PAGE}/new", name="team", mode="regular", host="127.0.0.1")
    assert "starts with the next one" in said(admin.done(f"{PAGE}/team/start"))
    with admin.control() as control:
        assert control.listeners.get("team").wanted == "running"
    assert "is stopped" in said(admin.done(f"{PAGE}/team/stop"))
    assert admin.last_audit().action == "listener.stop"


def test_what_the_proxy_could_not_start_is_said(admin: Admin) -> None:
    """A proxy that is there, in the person of this process, and does not like the port."""
    admin.done(f"{PAGE}/new", name="team", mode="regular", host="127.0.0.1")
    with admin.control() as control:
        control.listeners.want("team", "running")
        control.listeners.set_state("team", "error", "port 1 is taken")
    presence.announce(admin.home.path, "http://127.0.0.1:18080")
    text = admin.visitor.get(PAGE).text
    assert "port 1 is taken" in text


def test_changed(admin: Admin) -> None:
    port = free_port()
    place = {"name": "team", "mode": "regular", "host": "127.0.0.1", "port": str(port)}
    admin.done(f"{PAGE}/new", **place, auth="required")
    form = admin.get(f"{PAGE}/team/edit")
    assert f'value="{port}"' in form
    assert "Start it as well" not in form
    text = admin.done(f"{PAGE}/team/edit", **place | {"name": "staff"}, project="default", cache="on")
    assert "staff is changed" in said(text)
    with admin.control() as control:
        listener = control.listeners.get("staff")
    assert (listener.port, listener.project, listener.auth, listener.cache) == (port, "default", "", "on")
    assert admin.last_audit().action == "listener.change"
    wrong = place | {"name": "staff", "mode": "sideways"}
    assert "not a mode" in admin.refused(f"{PAGE}/staff/edit", **wrong)["mode"]
    assert (
        "the proxy itself"
        in admin.refused(f"{PAGE}/staff/edit", **wrong | {"mode": "", "port": "8080"})["port"]
    )


def test_one_that_is_running_has_its_defaults_changed_alone(admin: Admin) -> None:
    admin.done(f"{PAGE}/new", name="team", mode="regular", host="127.0.0.1")
    admin.done(f"{PAGE}/team/start")
    form = admin.get(f"{PAGE}/team/edit")
    assert "only while it is stopped" in form
    assert 'name="port"' not in form
    admin.done(f"{PAGE}/team/edit", provider="groq", auth="open")
    with admin.control() as control:
        listener = control.listeners.get("team")
    assert (listener.provider, listener.auth, listener.wanted) == ("groq", "open", "running")


def test_deleted_after_a_question(admin: Admin) -> None:
    admin.done(f"{PAGE}/new", name="team", mode="regular", host="127.0.0.1")
    assert "Delete the listener team?" in admin.get(f"{PAGE}/team/delete")
    admin.done(f"{PAGE}/team/start")
    assert "is running" in said(admin.done(f"{PAGE}/team/delete", confirmed="yes"))
    admin.done(f"{PAGE}/team/stop")
    assert "is deleted" in said(admin.done(f"{PAGE}/team/delete", confirmed="yes"))
    with admin.control() as control:
        assert control.listeners.list() == []
