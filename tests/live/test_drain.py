"""SIGTERM: what is under way may finish, nothing new begins, what takes too long is ended with a row."""

import contextlib
import http.client
import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.live import wire
from tests.live.http2 import Client
from tests.live.loopback import Answer, Gate, Request, Upstream, nobody, upstream
from tests.live.proxied import Call, Proxied, proxied
from tests.live.sockets import Socket
from tests.live.stack import ROOT, get, wait_for

pytestmark = pytest.mark.live

LONG, SHORT = "600", "0.1"
ALIAS = '[models.aliases]\n"claude-via-openai" = "openai/gpt-4o-mini"\n'

BEGINNING, REST = (b"".join(pieces) for pieces in (wire.chat_stream()[:3], wire.chat_stream()[3:]))

type Start = Callable[[str], Proxied]


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream) -> None:
    server.script = nobody
    server.requests.clear()


@pytest.fixture
def start(server: Upstream, tmp_path: Path) -> Iterator[Start]:
    """A proxy of the test's own, with this limit."""
    with contextlib.ExitStack() as stack:

        def started(limit: str) -> Proxied:
            bases = {"openai": server.url, "anthropic": server.url}
            extra = {"LLM_INTERCEPT_DRAIN": limit}
            return stack.enter_context(proxied(tmp_path / "home", bases, config=ALIAS, extra=extra))

        yield started


def streaming(server: Upstream, pieces: list[bytes], seen: int = 3) -> Gate:
    """A provider that streams the first `seen` pieces, and the rest when the gate is open."""
    gate = server.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(*pieces[:seen])
        await gate.passed()
        await answer.send(*pieces[seen:])
        await answer.end()

    server.script = script
    return gate


@contextlib.contextmanager
def begun(proxy: Proxied, server: Upstream) -> Iterator[tuple[Call, Gate]]:
    """A stream of which the client has seen what was sent."""
    gate = streaming(server, wire.chat_stream())
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        assert call.take(len(BEGINNING)) == BEGINNING
        yield call, gate


def restart(proxy: Proxied, *command: str | Path) -> None:
    """The same home and port, served by another program."""
    process = proxy.processes["proxy"]
    process.stop()
    option = "--listen-port" if "-s" in command else "--port"
    process.argv = [*map(str, command), option, str(proxy.port)]
    process.start()
    wait_for(lambda: get(f"{proxy.url}/ready")[0] == 200, "the proxy is not ready")


def stop(proxy: Proxied) -> None:
    """SIGTERM; returns when no connection is accepted any more."""
    _signal(proxy)
    wait_for(lambda: not _accepts(proxy.port), "the port is closed")


def _signal(proxy: Proxied) -> None:
    popen = proxy.processes["proxy"].popen
    assert popen is not None
    popen.send_signal(signal.SIGTERM)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def exit_code(proxy: Proxied) -> int:
    popen = proxy.processes["proxy"].popen
    assert popen is not None
    return popen.wait(timeout=30)


def outcomes(proxy: Proxied) -> list[str]:
    return [row["outcome"] for row in proxy.query("SELECT outcome FROM requests ORDER BY id")]


def events(proxy: Proxied) -> str:
    return (proxy.home / "logs" / "events.jsonl").read_text()


@pytest.mark.parametrize("stock", [False, True], ids=["lean", "stock"])
def test_a_stream_under_way_arrives_whole(server: Upstream, start: Start, stock: bool) -> None:
    proxy = start(LONG)
    if stock:
        restart(proxy, Path(sys.executable).with_name("mitmdump"), "-q", "-s", ROOT / "addons" / "gateway.py")
    with begun(proxy, server) as (call, gate):
        stop(proxy)
        gate.open()
        assert call.read() == REST
    assert exit_code(proxy) == 0
    assert outcomes(proxy) == ["ok"]
    assert "draining: 1 calls under way, at most 600 s" in events(proxy)
    assert "drained: all calls have finished" in events(proxy)


def test_a_large_answer_is_sent_to_its_end(server: Upstream, start: Start) -> None:
    """More than what the sockets in between can hold, to a client that is in no hurry to read it."""
    proxy = start(LONG)
    whole = wire.chat_answer("word " * 3_000_000)

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, whole)

    server.script = script
    with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
        stop(proxy)
        assert call.read() == whole
    assert exit_code(proxy) == 0
    assert outcomes(proxy) == ["ok"]


def test_new_calls_on_kept_connections_are_told_to_come_again(server: Upstream, start: Start) -> None:
    proxy = start(LONG)
    with begun(proxy, server) as (call, gate), kept(proxy) as first, kept(proxy) as second:
        with kept(proxy) as third:
            stop(proxy)
            refused = ask(first, "POST", wire.ANTHROPIC, json.dumps(wire.MESSAGES), proxy.headers)
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert refused.headers["connection"] == "close"
            error = json.loads(refused.read())
            assert (error["type"], error["error"]["type"]) == ("error", "overloaded_error")
            ready = ask(second, "GET", "/ready")
            assert (ready.status, ready.headers["connection"]) == (503, "close")
            assert json.loads(ready.read())["problems"] == ["it is being stopped"]
            tunnel = ask(third, "CONNECT", "example.com:443", headers={"host": "example.com:443"})
            assert (tunnel.status, tunnel.headers["retry-after"]) == (503, "1")
        gate.open()
        call.read()
    assert exit_code(proxy) == 0
    assert sorted(outcomes(proxy)) == ["ok", "refused"]
    assert len(server.requests) == 1


@contextlib.contextmanager
def kept(proxy: Proxied) -> Iterator[http.client.HTTPConnection]:
    """A connection that has had its first answer."""
    with contextlib.closing(proxy.connection()) as connection:
        ask(connection, "GET", "/live").read()
        yield connection


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: str | None = None,
    headers: dict[str, str] | None = None,
) -> http.client.HTTPResponse:
    connection.request(method, path, body, headers or {})
    return connection.getresponse()


def test_what_takes_too_long_is_interrupted(server: Upstream, start: Start) -> None:
    proxy = start(SHORT)
    with begun(proxy, server) as (call, gate):
        _signal(proxy)
        error, done = call.read().removesuffix(b"\n\n").split(b"\n\n")
        assert "llm-intercept was stopped" in json.loads(error.removeprefix(b"data: "))["error"]["message"]
        assert done == b"data: [DONE]"
        assert exit_code(proxy) == 0
        gate.open()
    [row] = proxy.query("SELECT * FROM requests")
    assert (row["outcome"], row["request_id"], row["usage_source"]) == ("interrupted", call.id, "estimated")
    assert "drained: 1 calls were ended" in events(proxy)


def test_a_translated_stream_ends_with_an_error_of_the_clients_dialect(
    server: Upstream, start: Start
) -> None:
    proxy = start(SHORT)
    gate = streaming(server, wire.chat_stream())
    with proxy.call(wire.ANTHROPIC, {**wire.MESSAGES_STREAM, "model": "claude-via-openai"}) as call:
        beginning = call.take(100)
        _signal(proxy)
        whole = beginning + call.read()
    assert whole.count(b"event: error") == 1
    assert b"llm-intercept was stopped" in whole
    assert whole.endswith(b"}\n\n")
    assert exit_code(proxy) == 0
    gate.open()
    assert outcomes(proxy) == ["interrupted"]


def test_a_call_without_an_answer_yet_is_answered(server: Upstream, start: Start) -> None:
    proxy = start(SHORT)
    arrived, gate = server.gate(), server.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        arrived.open()
        await gate.passed()

    server.script = script
    with contextlib.closing(proxy.connection()) as connection:
        connection.request("POST", wire.COMPLETIONS, json.dumps(wire.CHAT), proxy.headers)
        arrived.wait("the call at the provider")
        _signal(proxy)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert json.loads(answer.read())["error"]["code"] == "interrupted"
    assert exit_code(proxy) == 0
    gate.open()
    assert outcomes(proxy) == ["interrupted"]


def test_a_call_between_two_tries_is_answered(server: Upstream, start: Start) -> None:
    proxy = start(SHORT)

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        body = b'{"error":{"message":"later","type":"server_error"}}'
        await answer.head(503, [("retry-after", "20"), ("content-length", str(len(body)))])
        await answer.send(body)

    server.script = script
    with contextlib.closing(proxy.connection()) as connection:
        connection.request("POST", wire.COMPLETIONS, json.dumps(wire.CHAT), proxy.headers)
        wait_for(lambda: server.requests, "the first try")
        _signal(proxy)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert json.loads(answer.read())["error"]["code"] == "interrupted"
    assert exit_code(proxy) == 0
    assert outcomes(proxy) == ["interrupted"]
    assert len(server.requests) == 1


def test_a_new_call_on_an_http2_connection_is_told_to_come_again(server: Upstream, start: Start) -> None:
    """And the one beside it arrives whole."""
    proxy = start(LONG)
    gate = streaming(server, wire.chat_stream())
    headers = {"authorization": f"Bearer {proxy.token}"}
    path = wire.COMPLETIONS.removeprefix("/openai")
    root = proxy.home / "certs" / "mitmproxy-ca-cert.pem"
    with Client(proxy.port, "api.openai.com", root) as client:
        stream = client.post(path, json.dumps(wire.CHAT_STREAM_ASKED).encode(), headers)
        client.until(lambda: len(stream.body) == len(BEGINNING))
        stop(proxy)
        other = client.post(path, json.dumps(wire.CHAT).encode(), headers)
        client.until(lambda: other.ended)
        assert (other.status, other.headers["retry-after"]) == (503, "1")
        assert "connection" not in other.headers
        gate.open()
        client.until(lambda: stream.ended)
    assert stream.body == BEGINNING + REST
    assert exit_code(proxy) == 0
    assert sorted(outcomes(proxy)) == ["ok", "refused"]


def test_a_second_signal_does_not_wait(server: Upstream, start: Start) -> None:
    proxy = start(LONG)
    with begun(proxy, server) as (_, gate):
        stop(proxy)
        _signal(proxy)
        assert exit_code(proxy) == 0
        gate.open()
    assert outcomes(proxy) == ["interrupted"]


def test_up_waits_for_what_is_under_way(server: Upstream, start: Start) -> None:
    proxy = start(LONG)
    restart(proxy, sys.executable, "-m", "llm_intercept.cli", "up", "--no-dashboard")
    with begun(proxy, server) as (call, gate):
        stop(proxy)
        gate.open()
        assert call.read() == REST
    assert exit_code(proxy) == 0
    assert outcomes(proxy) == ["ok"]


def test_nobody_waits_for_idle_connections_and_tunnels(server: Upstream, start: Start) -> None:
    proxy = start(LONG)
    host, port = "127.0.0.1", server.port
    with kept(proxy), contextlib.closing(proxy.connection()) as tunnel:
        tunnel.set_tunnel(host, port)
        tunnel.request("GET", "/", headers={"host": "stranger"})
        assert tunnel.getresponse().read()
        _signal(proxy)
        assert exit_code(proxy) == 0


def test_nobody_waits_for_a_silent_websocket(server: Upstream, start: Start) -> None:
    proxy = start(LONG)

    async def script(request: Request, answer: Answer) -> None:
        await (await Socket.accept(request, answer)).receive()

    server.script = script
    with socket_to(proxy) as client:
        stop(proxy)
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=30)
        assert exit_code(proxy) == 0
    assert outcomes(proxy) == ["ok"]


def test_a_response_in_a_websocket_ends_before_the_socket_does(server: Upstream, start: Start) -> None:
    proxy, gate = start(LONG), server.gate()
    response = {"id": "resp_1", "object": "response", "model": "gpt-5.2-2025-12-11"}
    usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}

    async def script(request: Request, answer: Answer) -> None:
        there = await Socket.accept(request, answer)
        await there.receive()
        await there.send({"type": "response.created", "response": {**response, "status": "in_progress"}})
        await gate.passed()
        done = {**response, "status": "completed", "usage": usage}
        await there.send({"type": "response.completed", "response": done})
        await there.receive()

    server.script = script
    with socket_to(proxy) as client:
        client.send(json.dumps({"type": "response.create", "model": "gpt-5.2", "input": "hi"}))
        assert json.loads(client.recv(timeout=30))["type"] == "response.created"
        stop(proxy)
        gate.open()
        assert json.loads(client.recv(timeout=30))["type"] == "response.completed"
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=30)
        assert exit_code(proxy) == 0
    assert outcomes(proxy) == ["ok"]


def socket_to(proxy: Proxied) -> ClientConnection:
    headers = {"authorization": f"Bearer {proxy.token}"}
    url = f"ws://127.0.0.1:{proxy.port}/openai/v1/responses"
    return connect(url, proxy=None, compression=None, additional_headers=headers)
