"""Named listeners: started and stopped beside others, with own defaults, and back after kill -9."""

import contextlib
import dataclasses
import http.client
import json
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.cli.listener import ANSWER_SECONDS
from llm_intercept.store.listeners import Listener
from tests.live import wire
from tests.live.loopback import Answer, Gate, Request, Script, Upstream, upstream
from tests.live.proxied import Call, Proxied, proxied
from tests.live.stack import ROOT, free_port, get, wait_for

NAMES = ("openai", "anthropic", "groq")
PATH = "/v1/chat/completions"


async def answers(request: Request, answer: Answer) -> None:
    """Also as a parent proxy of sorts: what comes through a tunnel is answered as well."""
    if request.method == "CONNECT":
        await answer.whole(200, b"")
        return
    body = json.loads(await request.read() or b"{}")
    await answer.whole(200, wire.chat_answer(body.get("model", "")))


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream(answers) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    home = tmp_path_factory.mktemp("listeners")
    with proxied(home, dict.fromkeys(NAMES, server.url)) as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream) -> None:
    server.script = answers
    server.requests.clear()


def listener(proxy: Proxied, name: str) -> Listener:
    with proxy.control() as control:
        return control.listeners.get(name)


def create(proxy: Proxied, name: str, **more: Any) -> int:
    """As the command does it, without starting a process; the port."""
    port = more.pop("port", None) or free_port()
    with proxy.control() as control:
        control.listeners.create(name, port=port, is_free=lambda _: True, **more)
    return port


def want(proxy: Proxied, name: str, wanted: Any) -> Listener:
    """What the proxy has made of it."""
    with proxy.control() as control:
        control.listeners.want(name, wanted)
        found = ("running", "error") if wanted == "running" else ("stopped",)
        return wait_for(
            lambda: (now := control.listeners.get(name)).state in found and now,
            f"{name} to be {wanted}",
            ANSWER_SECONDS * 4,
        )


def started(proxy: Proxied, name: str, **more: Any) -> Proxied:
    """The proxy as a client of this listener sees it."""
    port = create(proxy, name, **more)
    assert want(proxy, name, "running").state == "running"
    return dataclasses.replace(proxy, port=port)


def post(by: Proxied, path: str = PATH, headers: Mapping[str, str] | None = None) -> Call:
    return by.call(path, wire.CHAT, headers)


def own_key(by: Proxied, path: str = PATH, key: str = "sk-the-clients-own-key") -> tuple[int, bytes]:
    with post(by, path, {"authorization": f"Bearer {key}"}) as call:
        return call.status, call.read()


def test_a_call_by_a_listener_has_its_defaults(server: Upstream, proxy: Proxied) -> None:
    """Created and started by the command while the proxy runs."""
    port = free_port()
    out = proxy.cli(
        *("listener", "create", "groq", "--port", str(port), "--provider", "groq"),
        *("--project", "demo", "--start", "--json"),
    )
    assert json.loads(out)["state"] == "running"
    by = dataclasses.replace(proxy, port=port)
    with post(by) as call:
        assert (call.status, proxy.row(call)["project"]) == (200, "demo")
        row = proxy.row(call)
    assert (row["listener"], row["provider"], row["token"]) == ("groq", "groq", "laptop")
    assert server.requests[-1].header("authorization") == "Bearer sk-real-groq-0123456789abcdefghij"
    with post(by, headers={"authorization": "Bearer sk-the-clients-own-key"}) as call:
        row = proxy.row(call)
    assert (row["listener"], row["provider"], row["project"]) == ("groq", "groq", "demo")
    assert row["token"].startswith("own:")
    with post(proxy) as call:
        row = proxy.row(call)
    assert (row["listener"], row["provider"]) == ("", "openai")
    assert proxy.cli("listener", "stop", "groq") == "Stopped the listener groq.\n"
    assert get(f"{by.url}/health")[0] == 0


def test_changed_defaults_count_for_the_very_next_call(server: Upstream, proxy: Proxied) -> None:
    """On one connection that is kept, and nobody waits for the proxy to look."""
    with proxy.control() as control:
        control.projects.create("first")
        control.projects.create("second")
    by = started(proxy, "changing", project="first", provider="groq")
    headers = {"authorization": "Bearer sk-the-clients-own-key", "content-type": "application/json"}

    def called(status: int = 200) -> dict[str, Any]:
        connection.request("POST", PATH, json.dumps(wire.CHAT), headers)
        call = Call(connection, connection.getresponse())
        assert (call.status, bool(call.read())) == (status, True)
        return proxy.row(call)

    with contextlib.closing(by.connection()) as connection, proxy.control() as control:

        def change(**changes: Any) -> None:
            control.listeners.change("changing", is_free_at=lambda *_: True, **changes)

        row = called()
        assert (row["project"], row["provider"]) == ("first", "groq")
        change(project="second", cache="on")
        assert called()["project"] == "second"
        assert (called()["project"], len(server.requests)) == ("second", 2), "stored and given again"
        proxy.cli("listener", "set", "changing", "--cache", "off", "--provider", "openai")
        assert (called()["provider"], len(server.requests)) == ("openai", 3)
        change(auth="required")
        assert called(401)["outcome"] == "refused"
        change(auth="", project="")
        assert called()["project"] == "default"
    with pytest.raises(AssertionError, match="its port can be changed only while it is stopped"):
        proxy.cli("listener", "set", "changing", "--port", str(free_port()))


def test_another_name_and_port_after_a_stop(proxy: Proxied) -> None:
    by, port = started(proxy, "old-name"), free_port()
    want(proxy, "old-name", "stopped")
    words = ("listener", "set", "old-name", "--name", "new-name", "--port", str(port), "--json")
    assert json.loads(proxy.cli(*words))["standing"] == "stopped"
    want(proxy, "new-name", "running")
    with post(dataclasses.replace(proxy, port=port)) as call:
        assert proxy.row(call)["listener"] == "new-name"
    assert get(f"{by.url}/health")[0] == 0


def test_what_a_call_names_itself_comes_first(proxy: Proxied) -> None:
    by = started(proxy, "polite", provider="groq")
    with post(by, "/openai/v1/chat/completions") as call:
        assert proxy.row(call)["provider"] == "openai"
    with by.call("/v1/messages", wire.MESSAGES) as call:
        assert proxy.row(call)["provider"] == "anthropic", "a path that groq does not know"
    with by.call("/v1/new/thing", wire.CHAT) as call:
        assert proxy.row(call)["provider"] == "groq", "a path that nobody knows"
    assert get(f"{by.url}/health") == (200, b'{"status":"ok"}')
    with contextlib.closing(by.tunnel("api.openai.com")) as tunnel:
        tunnel.request("POST", PATH, json.dumps(wire.CHAT), proxy.headers)
        call = Call(tunnel, tunnel.getresponse())
        row = proxy.row(call)
    assert (row["entry"], row["provider"], row["listener"]) == ("connect", "openai", "polite")


def _slow(gate: Gate) -> Script:
    """One event, and the rest when the gate is open."""

    async def slow(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        first, *rest = wire.chat_stream()
        await answer.send(first)
        await gate.passed()
        await answer.send(*rest)
        await answer.end()

    return slow


def test_starting_and_stopping_others_does_not_touch_a_stream(server: Upstream, proxy: Proxied) -> None:
    steady, other = started(proxy, "steady"), started(proxy, "other")
    gate = server.gate()
    server.script = _slow(gate)
    with steady.call(PATH, wire.CHAT_STREAM_ASKED) as own, other.call(PATH, wire.CHAT_STREAM_ASKED) as theirs:
        assert own.take(10)
        assert theirs.take(10)
        want(proxy, "other", "stopped")
        assert get(f"{other.url}/health")[0] == 0
        started(proxy, "third")
        assert get(f"{steady.url}/health")[0] == 200
        gate.open()
        assert own.read().endswith(wire.DONE)
        assert theirs.read().endswith(wire.DONE), "calls of a listener that is stopped go on"
        assert proxy.row(theirs)["outcome"] == "ok"


def test_a_kept_connection_takes_no_calls_of_a_stopped_listener(server: Upstream, proxy: Proxied) -> None:
    by = started(proxy, "kept")
    with contextlib.closing(by.connection()) as connection:
        connection.request("POST", PATH, json.dumps(wire.CHAT), by.headers)
        assert connection.getresponse().read()
        want(proxy, "kept", "stopped")
        connection.request("POST", PATH, json.dumps(wire.CHAT), by.headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (503, "listener_stopped")
    assert len(server.requests) == 1


def test_a_port_that_is_taken_is_said_so(proxy: Proxied) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        create(proxy, "late", port=port)
        found = want(proxy, "late", "running")
        assert found.state == "error"
        assert (
            found.problem == f"port {port} is taken by another program; free it and start the listener again"
        )
    assert want(proxy, "late", "running").state == "running", "free again"
    create(proxy, "same", port=proxy.port)
    assert "used by the proxy itself" in want(proxy, "same", "running").problem


def test_creating_one_on_a_port_that_is_taken(server: Upstream, proxy: Proxied) -> None:
    port = str(server.port)
    with pytest.raises(AssertionError, match=f"port {port} is taken by another program; choose another"):
        proxy.cli("listener", "create", "crowded", "--port", port)


def test_reverse_mode_serves_the_provider_of_its_url(server: Upstream, proxy: Proxied) -> None:
    by = started(proxy, "reversed", mode="reverse:https://api.openai.com", provider="openai")
    with post(by) as call:
        row = proxy.row(call)
    assert (call.status, row["entry"], row["provider"]) == (200, "reverse", "openai")
    assert (row["listener"], row["project"], row["outcome"]) == ("reversed", "demo", "ok")
    assert server.requests[-1].header("authorization") == "Bearer sk-real-openai-0123456789abcdefghij"
    assert server.requests[-1].header("host") == f"127.0.0.1:{server.port}"
    assert own_key(by)[0] == 200
    assert server.requests[-1].header("authorization") == "Bearer sk-the-clients-own-key"


def test_upstream_mode_leaves_through_the_parent(server: Upstream, proxy: Proxied) -> None:
    with upstream(answers) as parent:
        by = started(proxy, "parent", mode=f"upstream:{parent.url}")
        with post(by) as call:
            assert (call.status, proxy.row(call)["listener"]) == (200, "parent")
        with contextlib.closing(by.tunnel("api.openai.com")) as tunnel:
            tunnel.request("POST", PATH, json.dumps(wire.CHAT), proxy.headers)
            assert proxy.row(Call(tunnel, tunnel.getresponse()))["outcome"] == "ok"
        targets = [request.target for request in parent.requests]
    assert targets == [f"{server.url}{PATH}", f"127.0.0.1:{server.port}", PATH]
    assert server.requests == []


def test_off_loopback_only_tokens_are_served(server: Upstream, proxy: Proxied) -> None:
    by = started(proxy, "open-house", host="0.0.0.0", auth="open")
    status, body = own_key(by)
    assert (status, json.loads(body)["error"]["code"]) == (401, "token_required")
    assert own_key(proxy)[0] == 200, "the proxy itself is as open as it was"
    with post(by) as call:
        assert call.status == 200


def test_off_loopback_nobody_gets_a_tunnel_into_the_private_network(proxy: Proxied) -> None:
    by = started(proxy, "guarded", host="0.0.0.0")
    with upstream(answers) as private:
        anonymous = by.connection()
        anonymous.set_tunnel("127.0.0.1", private.port)
        with pytest.raises(OSError, match="407"):
            anonymous.request("GET", "/")
        with contextlib.suppress(OSError, http.client.HTTPException):
            _through(by, private.port)
        assert private.requests == []
        _through(proxy, private.port)
        assert len(private.requests) == 1, "whoever is on this machine may"


def _through(by: Proxied, port: int) -> None:
    """One request by a tunnel to this port of the machine, with a token."""
    tunnel = by.connection()
    tunnel.set_tunnel("127.0.0.1", port, {"proxy-authorization": f"Bearer {by.token}"})
    with contextlib.closing(tunnel):
        tunnel.request("GET", "/")
        tunnel.getresponse().read()


def test_a_listener_can_ask_for_tokens_on_loopback(proxy: Proxied) -> None:
    by = started(proxy, "strict", auth="required")
    assert own_key(by)[0] == 401
    with post(by) as call:
        assert call.status == 200


def test_a_project_that_is_switched_off(proxy: Proxied) -> None:
    with proxy.control() as control:
        control.projects.create("off")
        control.projects.set_active("off", False)
    by = started(proxy, "off", project="off")
    status, body = own_key(by)
    assert (status, json.loads(body)["error"]["code"]) == (403, "project_inactive")


def test_wireguard_listens_and_leaves_a_configuration_for_clients(proxy: Proxied) -> None:
    started(proxy, "wg", mode="wireguard")
    conf = proxy.home / "wireguard-wg.conf"
    assert "[Peer]" in wait_for(lambda: conf.exists() and conf.read_text(), "a client's configuration")
    assert conf.stat().st_mode & 0o777 == 0o600
    assert (proxy.home / "wireguard-wg.keys.json").stat().st_mode & 0o777 == 0o600


STOCK = [False, True]


@pytest.mark.parametrize("stock", STOCK, ids=["proxy", "mitmdump"])
def test_what_was_running_runs_again_after_kill_9(server: Upstream, tmp_path: Path, stock: bool) -> None:
    with _stack(tmp_path / "home", server, stock) as stack:
        first, second = started(stack, "first"), started(stack, "second")
        create(stack, "idle")
        started(stack, "gone")
        want(stack, "gone", "stopped")
        broken = started(stack, "broken")
        stack.processes["proxy"].stop(signal.SIGKILL)
        with socket.create_server(("127.0.0.1", broken.port)):
            stack.start_proxy()
            for by in (first, second):
                wait_for(lambda by=by: get(f"{by.url}/health")[0] == 200, "the same port to answer")
            log = wait_for(lambda: (t := _log(stack)).count("Successfully") == 2 and t, "both log lines")
            wait_for(lambda: listener(stack, "broken").state == "error", "an error of the third")
        with post(first) as call:
            assert (call.status, stack.row(call)["listener"]) == (200, "first")
        stack.processes["proxy"].stop()
        assert (listener(stack, "first").wanted, listener(stack, "first").state) == ("running", "running")
    assert "Found 3 proxies that were left in running state" in log
    assert f"Successfully restarted proxy first on port {first.port}" in log
    assert f"Successfully restarted proxy second on port {second.port}" in log


def test_a_stream_by_a_listener_ends_before_the_proxy_does(server: Upstream, tmp_path: Path) -> None:
    gate = server.gate()
    server.script = _slow(gate)
    with _stack(tmp_path / "home", server, stock=False) as stack:
        by = started(stack, "last")
        with by.call(PATH, wire.CHAT_STREAM_ASKED) as call:
            assert call.take(10)
            process = stack.processes["proxy"].popen
            assert process is not None
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: get(f"{by.url}/health")[0] == 0, "no new connections")
            gate.open()
            assert call.read().endswith(wire.DONE)
        assert process.wait(30) == 0
        assert stack.row(call)["outcome"] == "ok"


def _log(stack: Proxied) -> str:
    return (stack.home / "logs" / "events.jsonl").read_text()


class Stock(Proxied):
    """The same addons on stock mitmproxy."""

    def start_proxy(self) -> None:
        argv = [str(Path(sys.executable).with_name("mitmdump")), "-q", "-s", str(ROOT / "addons/gateway.py")]
        self._start("proxy", [*argv, "--listen-port", str(self.port)], f"{self.url}/ready")


@contextlib.contextmanager
def _stack(home: Path, server: Upstream, stock: bool) -> Iterator[Proxied]:
    if not stock:
        with proxied(home, {"openai": server.url}) as running:
            yield running
        return
    home.mkdir()
    stack = Stock(home)
    stack.write_config({"openai": server.url})
    stack.prepare({"openai": "sk-real-openai-key-012345"})
    try:
        stack.start_proxy()
        yield stack
    finally:
        stack.stop()
