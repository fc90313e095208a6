"""Clients that go away from a project that says `drain`: the answer is read on, and its real usage counts."""

import asyncio
import contextlib
import http.client
import json
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.policy.limits import Limit
from tests.live import failover, wire
from tests.live.http2 import Call as Http2Call
from tests.live.http2 import Server
from tests.live.loopback import Answer, Gate, Request, Upstream, upstream
from tests.live.proxied import Call, Proxied, metric, proxied
from tests.live.stack import wait_for
from tests.live.test_drain import exit_code, stop
from tests.live.test_limits import counted

CONFIG = """
[models.aliases]
"claude-by-openai" = "openai/gpt-4o-mini"
"gpt-by-anthropic" = "anthropic/claude-sonnet-5"

[limits]
drain_bytes = 100000
"""
READ = "the answer was read to its end"
PATH = "/v1/chat/completions"
HOSTS = {"old": "api.openai.com", "new": "api.groq.com"}
COUNTED = (14, 11)  # what the provider says of its streams


@pytest.fixture(scope="module")
def old() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with failover.http2_server(tmp_path_factory.mktemp("provider")) as server:
        yield server


def draining(proxy: Proxied) -> None:
    with proxy.control() as control:
        control.projects.change("demo", hangup="drain")


@pytest.fixture(scope="module")
def proxy(old: Upstream, new: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    bases = {"openai": old.url, "anthropic": old.url, "groq": f"https://localhost:{new.port}"}
    config = f'upstream_ca = "{new.certificate}"\n{CONFIG}'
    with proxied(tmp_path_factory.mktemp("hangup"), bases, config=config) as running:
        draining(running)
        yield running


@pytest.fixture(autouse=True)
def _reset(old: Upstream, new: Server) -> None:
    old.requests.clear()
    new.calls.clear()


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


def whole(server: Upstream, body: bytes) -> Gate:
    gate = server.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await gate.passed()
        await answer.whole(200, body)

    server.script = script
    return gate


def noticed(proxy: Proxied, under_way: int = 1) -> None:
    """The proxy has seen what clients did before this: its loop serves everybody in turn."""
    assert metric(proxy.metrics(), "llm_in_flight") == under_way


def drained(proxy: Proxied, since: int, why: str = READ) -> dict[str, Any]:
    [row] = proxy.settled(since)
    assert (row["outcome"], row["status"], row["usage_source"]) == ("client_gone", 200, "provider")
    assert row["error_message"].endswith(why)
    return row


def reset(connection: http.client.HTTPConnection) -> None:
    """Not a goodbye but an RST."""
    assert connection.sock is not None
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sock.close()


@pytest.mark.parametrize("way", ["closed", "reset"])
@pytest.mark.parametrize("entry", ["base_url", "connect"])
def test_a_stream_is_read_to_its_end(old: Upstream, proxy: Proxied, entry: str, way: str) -> None:
    since, gate = proxy.last_id(), streaming(old, wire.chat_stream())
    connection = proxy.connection() if entry == "base_url" else proxy.tunnel(HOSTS["old"])
    path = wire.COMPLETIONS if entry == "base_url" else PATH
    connection.request("POST", path, json.dumps(wire.CHAT_STREAM_ASKED).encode(), proxy.headers)
    call = Call(connection, connection.getresponse())
    call.take(10)
    if way == "reset":
        reset(connection)
    call.close()
    noticed(proxy)
    gate.open()
    row = drained(proxy, since)
    assert (row["input_tokens"], row["output_tokens"]) == COUNTED
    assert (row["finish_reason"], row["entry"]) == ("stop", entry)


STREAMS: dict[str, tuple[str, dict[str, Any], list[bytes], tuple[int, int]]] = {
    "passed through": (wire.ANTHROPIC, wire.MESSAGES_STREAM, wire.message_stream(), (25, 13)),
    "usage asked for by us": (wire.COMPLETIONS, wire.CHAT_STREAM, wire.chat_stream(), COUNTED),
    "translated": (
        wire.ANTHROPIC,
        {**wire.MESSAGES_STREAM, "model": "claude-by-openai"},
        wire.chat_stream(),
        COUNTED,
    ),
    "translated the other way": (
        wire.COMPLETIONS,
        {**wire.CHAT_STREAM, "model": "gpt-by-anthropic"},
        wire.message_stream(),
        (25, 13),
    ),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("seen", [0, 3], ids=["before the first word", "after three"])
def test_streams(old: Upstream, proxy: Proxied, name: str, seen: int) -> None:
    path, body, pieces, tokens = STREAMS[name]
    since, gate = proxy.last_id(), streaming(old, pieces, seen)
    with proxy.call(path, body) as call:
        if seen:
            call.take(10)
    noticed(proxy)
    gate.open()
    row = drained(proxy, since)
    assert (row["input_tokens"], row["output_tokens"]) == tokens
    assert (row["stream"], row["attempts"]) == (1, 1)


WHOLE = {
    "passed through": (wire.COMPLETIONS, wire.CHAT, wire.chat_answer(), (14, 4)),
    "translated": (
        wire.ANTHROPIC,
        {**wire.MESSAGES, "model": "claude-by-openai"},
        wire.chat_answer(),
        (14, 4),
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_answers(old: Upstream, proxy: Proxied, name: str) -> None:
    path, body, answer, tokens = WHOLE[name]
    since, gate = proxy.last_id(), whole(old, answer)
    connection = proxy.connection()
    connection.request("POST", path, json.dumps(body).encode(), proxy.headers)
    wait_for(lambda: old.requests and old.last.complete, "the request has arrived")
    connection.close()
    noticed(proxy)
    gate.open()
    row = drained(proxy, since)
    assert (row["input_tokens"], row["output_tokens"]) == tokens
    assert row["response_bytes"] == len(answer)


def test_an_error_is_an_error(old: Upstream, proxy: Proxied) -> None:
    """Nothing is tried again for nobody."""
    since, gate = proxy.last_id(), old.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await gate.passed()
        await answer.whole(503, b'{"error":{"message":"not now","type":"server_error"}}')

    old.script = script
    connection = proxy.connection()
    connection.request("POST", wire.COMPLETIONS, json.dumps(wire.CHAT).encode(), proxy.headers)
    wait_for(lambda: old.requests and old.last.complete, "the request has arrived")
    connection.close()
    noticed(proxy)
    gate.open()
    [row] = proxy.settled(since)
    assert (row["outcome"], row["status"], row["output_tokens"]) == ("client_gone", 503, None)
    assert len(old.requests) == row["attempts"] == 1


def test_cut_is_cut(old: Upstream, proxy: Proxied) -> None:
    since, gate = proxy.last_id(), streaming(old, wire.chat_stream())
    with proxy.control() as control:
        control.projects.change("demo", hangup="cut")
    try:
        with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
            call.take(10)
        [row] = proxy.settled(since)
        assert (row["outcome"], row["usage_source"]) == ("client_gone", "estimated")
    finally:
        draining(proxy)
        gate.open()


@pytest.mark.parametrize("body", [wire.CHAT, wire.CHAT_STREAM_ASKED], ids=["whole", "stream"])
def test_a_question_that_was_cut_before_its_answer_is_counted(
    old: Upstream, proxy: Proxied, body: dict[str, Any]
) -> None:
    since, gate = proxy.last_id(), whole(old, wire.chat_answer())
    with proxy.control() as control:
        control.projects.change("demo", hangup="cut")
        id_ = control.limits.set(Limit(scope="project", name="demo", measure="tokens", amount=10**6)).id
    try:
        connection = proxy.connection()
        connection.request("POST", wire.COMPLETIONS, json.dumps(body).encode(), proxy.headers)
        wait_for(lambda: old.requests and old.last.complete, "the request has arrived")
        connection.close()
        [row] = proxy.settled(since)
        assert (row["outcome"], row["status"], row["usage_source"]) == ("client_gone", None, "estimated")
        assert row["input_tokens"] > 0
        assert row["output_tokens"] == 0
        assert row["cost_nanos"] > 0
        assert counted(proxy, id_) == (row["input_tokens"], 0)
    finally:
        draining(proxy)
        gate.open()
        with proxy.control() as control:
            control.limits.remove(id_)


def test_what_is_too_long_is_given_up(old: Upstream, proxy: Proxied) -> None:
    since, gate = proxy.last_id(), old.gate()
    ended = old.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(wire.chat_chunk("Once"))
        await gate.passed()
        try:
            while True:
                await answer.send(wire.chat_chunk(" upon" * 200))
        finally:
            ended.open()

    old.script = script
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        call.take(10)
    noticed(proxy)
    gate.open()
    [row] = proxy.settled(since)
    ended.wait("the provider was hung up on")
    assert (row["outcome"], row["usage_source"]) == ("client_gone", "estimated")
    assert row["error_message"].endswith("not read to the end: there was too much more of it")
    assert 10_000 < row["output_tokens"] < 60_000


def test_what_takes_too_long_is_given_up(old: Upstream, tmp_path: Path) -> None:
    gate = streaming(old, wire.chat_stream())
    config = "[limits]\ndrain_seconds = 0.1\n"
    with proxied(tmp_path / "home", {"openai": old.url}, config=config) as brief:
        draining(brief)
        with brief.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
            call.take(10)
        [row] = brief.rows(1)
        assert (row["outcome"], row["usage_source"]) == ("client_gone", "estimated")
        assert row["error_message"].endswith("not read to the end: it took too long")
    gate.open()


def test_a_provider_that_breaks_off(old: Upstream, proxy: Proxied) -> None:
    since, gate = proxy.last_id(), old.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(*wire.chat_stream()[:3])
        await gate.passed()
        answer.cut()

    old.script = script
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        call.take(10)
    noticed(proxy)
    gate.open()
    [row] = proxy.settled(since)
    assert (row["outcome"], row["usage_source"], row["output_tokens"]) == ("client_gone", "estimated", 3)
    assert "its answer broke off" in row["error_message"]


def test_its_slot_stays_taken(old: Upstream, proxy: Proxied) -> None:
    gate = streaming(old, wire.chat_stream())
    with proxy.control() as control:
        slot = control.limits.set(Limit(scope="project", name="demo", measure="concurrency", amount=1)).id
        tokens = control.limits.set(Limit(scope="project", name="demo", measure="tokens", amount=10**6)).id
    try:
        with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
            call.take(10)
        noticed(proxy)
        with proxy.call(wire.COMPLETIONS, wire.CHAT) as refused:
            assert refused.status == 429
        gate.open()
        assert counted(proxy, slot) == (0, 0)
        assert counted(proxy, tokens) == (sum(COUNTED), 0)
    finally:
        with proxy.control() as control:
            for id_ in (slot, tokens):
                control.limits.remove(id_)


# --- HTTP/2


def http2_stream(gates: dict[str, Gate]) -> Callable[[Http2Call], Any]:
    async def script(call: Http2Call) -> None:
        await call.arrived.wait()
        name = json.loads(call.body)["user"]
        call.head(200, failover.SSE)
        pieces = wire.chat_stream()
        call.send(pieces[0])
        await asyncio.to_thread(gates[name].wait, "the test goes on")  # another loop than the gate's
        for piece in pieces[1:]:
            call.send(piece)
        call.end()

    return script


def http1_stream(gates: dict[str, Gate]) -> Callable[[Request, Answer], Any]:
    async def script(request: Request, answer: Answer) -> None:
        name = json.loads(await request.read())["user"]
        pieces = wire.chat_stream()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(pieces[0])
        await gates[name].passed()
        await answer.send(*pieces[1:])
        await answer.end()

    return script


@contextlib.contextmanager
def both(old: Upstream, new: Server, to: str) -> Iterator[dict[str, Gate]]:
    """Two calls, `stays` and `goes`, on one connection to the proxy."""
    gates = {name: old.gate() for name in ("stays", "goes")}
    if to == "old":
        old.script = http1_stream(gates)
    else:
        new.script = http2_stream(gates)
    yield gates


@pytest.mark.parametrize("to", HOSTS)
def test_one_of_two_is_reset(old: Upstream, new: Server, proxy: Proxied, to: str) -> None:
    since = proxy.last_id()
    path = PATH if to == "old" else f"/openai{PATH}"
    with both(old, new, to) as gates, failover.client(proxy, HOSTS[to]) as client:
        bodies = {name: json.dumps({**wire.CHAT_STREAM_ASKED, "user": name}).encode() for name in gates}
        head = {"authorization": f"Bearer {proxy.token}"}
        calls = {name: client.post(path, body, head) for name, body in bodies.items()}
        client.until(lambda: all(call.body for call in calls.values()))
        client.reset(calls["goes"])
        noticed(proxy, 2)
        gates["stays"].open()
        client.until(lambda: calls["stays"].ended)
        assert calls["stays"].body == b"".join(wire.chat_stream())
        noticed(proxy, 1)
        gates["goes"].open()
        rows = proxy.settled(since)
    assert sorted((row["outcome"], row["usage_source"], row["output_tokens"]) for row in rows) == [
        ("client_gone", "provider", 11),
        ("ok", "provider", 11),
    ]


@pytest.mark.parametrize("to", HOSTS)
def test_both_go_with_their_connection(old: Upstream, new: Server, proxy: Proxied, to: str) -> None:
    since = proxy.last_id()
    path = PATH if to == "old" else f"/openai{PATH}"
    with both(old, new, to) as gates:
        with failover.client(proxy, HOSTS[to]) as client:
            bodies = {name: json.dumps({**wire.CHAT_STREAM_ASKED, "user": name}).encode() for name in gates}
            head = {"authorization": f"Bearer {proxy.token}"}
            calls = [client.post(path, body, head) for body in bodies.values()]
            client.until(lambda: all(call.body for call in calls))
        noticed(proxy, 2)
        gates["stays"].open()
        wait_for(lambda: metric(proxy.metrics(), "llm_in_flight") == 1, "one has been read")
        gates["goes"].open()
        rows = proxy.settled(since)
    assert [(row["outcome"], row["usage_source"]) for row in rows] == [("client_gone", "provider")] * 2


# --- the end of the proxy


@pytest.mark.parametrize("patience", ["600", "0.1"], ids=["waited for", "not for long"])
def test_a_shutdown_waits_for_it(old: Upstream, tmp_path: Path, patience: str) -> None:
    gate = streaming(old, wire.chat_stream())
    extra = {"LLM_INTERCEPT_DRAIN": patience}
    with proxied(tmp_path / "home", {"openai": old.url}, extra=extra) as mortal:
        draining(mortal)
        with mortal.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
            call.take(10)
        noticed(mortal)
        stop(mortal)
        if patience == "600":
            gate.open()
        assert exit_code(mortal) == 0
        [row] = mortal.query("SELECT * FROM requests")
    gate.open()
    assert row["outcome"] == "client_gone"
    assert row["usage_source"] == ("provider" if patience == "600" else "estimated")


def test_kill_9_leaves_one_row(old: Upstream, tmp_path: Path) -> None:
    gate = streaming(old, wire.chat_stream())
    with proxied(tmp_path / "home", {"openai": old.url}) as mortal:
        draining(mortal)
        with mortal.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
            call.take(10)
        noticed(mortal)
        mortal.processes["proxy"].stop(signal.SIGKILL)
        mortal.start_proxy()
        assert [row["outcome"] for row in mortal.settled()] == ["interrupted"]
    gate.open()
