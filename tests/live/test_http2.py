"""Clients that speak HTTP/2 (curl, Go, Rust), in front of providers that do and that do not."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import wire
from tests.live.http2 import Call, Client, Server
from tests.live.loopback import PATIENCE, Answer, Request, Upstream, upstream
from tests.live.proxied import Proxied, proxied

SSE = "text/event-stream"
PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def old(request: pytest.FixtureRequest) -> Iterator[Upstream]:
    """A provider that speaks HTTP/1.1 only."""
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A provider that speaks HTTP/2, in a thread of its own."""

    async def nobody(call: Call) -> None:
        call.reset()

    server = Server(tmp_path_factory.mktemp("provider"), nobody)
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with await server.serve():
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    yield server
    loop.call_soon_threadsafe(stop.set)
    thread.join(PATIENCE)
    loop.close()


@pytest.fixture(scope="module")
def proxy(old: Upstream, new: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    bases = {"openai": old.url, "anthropic": f"https://localhost:{new.port}", "mistral": "http://127.0.0.1:1"}
    config = f'upstream_ca = "{new.certificate}"\n'
    with proxied(tmp_path_factory.mktemp("http2"), bases, config=config) as running:
        yield running


@pytest.fixture
def connect(proxy: Proxied) -> Callable[[str], Client]:
    root: Path = proxy.home / "certs" / "mitmproxy-ca-cert.pem"
    return lambda host: Client(proxy.port, host, root)


def bearer(proxy: Proxied) -> dict[str, str]:
    return {"authorization": f"Bearer {proxy.token}"}


def encoded(body: object) -> bytes:
    return json.dumps(body).encode()


def test_calls_on_one_connection_are_apart(
    old: Upstream, proxy: Proxied, connect: Callable[[str], Client]
) -> None:
    """One waits, one is given up by the client, one is quick: each ends in its own way."""
    since = proxy.last_id()
    pieces = wire.chat_stream()
    gates = {name: old.gate() for name in ("slow", "gone")}

    async def script(request: Request, answer: Answer) -> None:
        name = json.loads(await request.read())["user"]
        await answer.head(200, [("content-type", SSE)])
        await answer.send(pieces[0])
        if name in gates:
            await gates[name].passed()
        await answer.send(*pieces[1:])
        await answer.end()

    old.script = script
    with connect("api.openai.com") as client:
        calls = {
            name: client.post(PATH, encoded({**wire.CHAT_STREAM_ASKED, "user": name}), bearer(proxy))
            for name in ("slow", "gone", "quick")
        }
        client.until(lambda: calls["quick"].ended and calls["slow"].body and calls["gone"].body)
        assert (calls["quick"].status, calls["quick"].body) == (200, b"".join(pieces))
        assert calls["slow"].body == calls["gone"].body == pieces[0]
        client.reset(calls["gone"])
        gates["slow"].open()
        client.until(lambda: calls["slow"].ended)
        assert calls["slow"].body == b"".join(pieces)
    rows = {row["request_id"]: row for row in proxy.settled(since)}
    gates["gone"].open()
    by_name = {name: rows[call.headers["x-llm-intercept-request-id"]] for name, call in calls.items()}
    assert {name: row["outcome"] for name, row in by_name.items()} == {
        "slow": "ok",
        "gone": "client_gone",
        "quick": "ok",
    }
    assert len(rows) == 3
    assert by_name["gone"]["usage_source"] == "estimated"
    assert by_name["slow"]["output_tokens"] == by_name["quick"]["output_tokens"] == 11
    assert all(proxy.token not in request.head.decode() for request in old.requests)


def test_a_body_without_a_length_reaches_an_http1_provider(
    old: Upstream, proxy: Proxied, connect: Callable[[str], Client]
) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, wire.chat_answer())

    old.script = script
    body = encoded(wire.CHAT)
    with connect("api.openai.com") as client:
        reply = client.post(PATH, body, bearer(proxy))
        client.until(lambda: reply.ended)
    assert (reply.status, reply.body) == (200, wire.chat_answer())
    assert (old.last.body, old.last.header("content-length")) == (body, str(len(body)))
    assert old.last.header("host") == f"127.0.0.1:{old.port}"


def test_an_upload_without_a_length_reaches_an_http1_provider(
    old: Upstream, proxy: Proxied, connect: Callable[[str], Client]
) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, b'{"id":"file-1"}')

    old.script = script
    body = b"--b\r\n" + b"0123456789abcdef" * 20_000 + b"\r\n--b--\r\n"
    since = proxy.last_id()
    with connect("api.openai.com") as client:
        headers = {**bearer(proxy), "content-type": "multipart/form-data; boundary=b"}
        reply = client.post("/v1/files", body, headers)
        client.until(lambda: reply.ended)
    assert (reply.status, old.last.size) == (200, len(body))
    [row] = proxy.settled(since)
    assert row["request_sha256"] == row["upstream_sha256"] == old.last.sha256
    assert (row["request_bytes"], row["outcome"]) == (len(body), "ok")


def test_hidden_usage(old: Upstream, proxy: Proxied, connect: Callable[[str], Client]) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, b"".join(wire.chat_stream()), SSE)

    old.script = script
    with connect("api.openai.com") as client:
        reply = client.post(PATH, encoded(wire.CHAT_STREAM), bearer(proxy))
        client.until(lambda: reply.ended)
    assert (reply.status, reply.body) == (200, b"".join(wire.chat_stream(usage=False)))
    assert "transfer-encoding" not in reply.headers


def test_refusals_and_failures(old: Upstream, proxy: Proxied, connect: Callable[[str], Client]) -> None:
    since = proxy.last_id()
    with connect("api.openai.com") as client:
        other = proxy.token[:-1] + ("y" if proxy.token.endswith("x") else "x")
        wrong = client.post(PATH, encoded(wire.CHAT), {"authorization": f"Bearer {other}"})
        client.until(lambda: wrong.ended)
    with connect("api.mistral.ai") as client:
        unreachable = client.post(PATH, encoded(wire.CHAT), bearer(proxy))
        client.until(lambda: unreachable.ended)
    assert (wrong.status, unreachable.status) == (401, 502)
    assert all(json.loads(reply.body)["error"]["message"] for reply in (wrong, unreachable))
    assert [row["outcome"] for row in proxy.settled(since)] == ["refused", "connect_failed"]


# --- HTTP/2 on both sides


def test_http2_from_end_to_end(new: Server, proxy: Proxied, connect: Callable[[str], Client]) -> None:
    """Each event passes before the next is sent; the provider is called by its own name."""
    pieces = wire.message_stream()
    seen = [threading.Event() for _ in pieces]

    async def script(call: Call) -> None:
        await call.arrived.wait()
        call.head(200, ("content-type", SSE))
        for piece, gate in zip(pieces, seen, strict=True):
            call.send(piece)
            await asyncio.to_thread(gate.wait, PATIENCE)
        call.end()

    new.script = script
    body = encoded(wire.MESSAGES_STREAM)
    since = proxy.last_id()
    with connect("api.anthropic.com") as client:
        reply = client.post("/v1/messages", body, {"x-api-key": proxy.token})
        for number, gate in enumerate(seen, 1):
            wanted = b"".join(pieces[:number])
            client.until(lambda wanted=wanted: len(reply.body) >= len(wanted))  # type: ignore[misc]
            assert reply.body == wanted
            gate.set()
        client.until(lambda: reply.ended)
    [call] = new.calls
    assert call.body == body
    assert (call.header(":authority"), call.header(":path")) == (f"localhost:{new.port}", "/v1/messages")
    assert call.header("x-api-key").startswith("sk-real-anthropic")
    assert "host" not in dict(call.headers)
    assert proxy.token not in str(call.headers)
    [row] = proxy.settled(since)
    assert (row["outcome"], row["input_tokens"], row["output_tokens"]) == ("ok", 25, 13)
    assert (row["entry"], row["host"]) == ("connect", "localhost")


def test_a_provider_that_resets_one_call_ends_only_that(
    new: Server, proxy: Proxied, connect: Callable[[str], Client]
) -> None:
    since = proxy.last_id()
    pieces = wire.message_stream()
    both = threading.Event()

    async def script(call: Call) -> None:
        await call.arrived.wait()
        call.head(200, ("content-type", SSE))
        call.send(b"".join(pieces[:4]))
        await asyncio.to_thread(both.wait, PATIENCE)
        if b"broken" in call.body:
            call.reset()
            return
        call.send(b"".join(pieces[4:]))
        call.end()

    new.script = script
    with connect("api.anthropic.com") as client:
        headers = {"x-api-key": proxy.token}
        broken, whole = (
            client.post(
                "/v1/messages", encoded({**wire.MESSAGES_STREAM, "metadata": {"user_id": name}}), headers
            )
            for name in ("broken", "whole")
        )
        client.until(lambda: broken.body and whole.body)
        both.set()
        client.until(lambda: broken.ended and whole.ended)
    assert whole.body == b"".join(pieces)
    before, _, last = broken.body.partition(b"event: error\n")
    assert before == b"".join(pieces[:4])
    assert b'"type":"api_error"' in last
    rows = {row["request_id"]: row["outcome"] for row in proxy.settled(since)}
    assert rows[whole.headers["x-llm-intercept-request-id"]] == "ok"
    assert rows[broken.headers["x-llm-intercept-request-id"]] == "upstream_cut"
    assert len(rows) == 2


def test_a_silent_call_ends_alone(new: Server, tmp_path: Path) -> None:
    """Two calls share both connections: one is never answered, the other streams on beyond the timeout."""
    pieces = wire.message_stream()
    finish = threading.Event()

    async def script(call: Call) -> None:
        await call.arrived.wait()
        if json.loads(call.body)["metadata"] == {"user_id": "silent"}:
            return
        call.head(200, ("content-type", SSE))
        call.send(pieces[0])
        await asyncio.to_thread(finish.wait, PATIENCE)
        for piece in pieces[1:]:
            call.send(piece)
        call.end()

    new.script = script
    config = f'upstream_ca = "{new.certificate}"\n[timeouts]\nfirst_byte = 0.5\n'
    bases = {"anthropic": f"https://localhost:{new.port}"}
    with proxied(tmp_path, bases, config=config) as proxy:
        since = proxy.last_id()
        root = proxy.home / "certs" / "mitmproxy-ca-cert.pem"
        with Client(proxy.port, "api.anthropic.com", root) as client:
            calls = {
                name: client.post(
                    "/v1/messages",
                    encoded({**wire.MESSAGES_STREAM, "metadata": {"user_id": name}}),
                    {"x-api-key": proxy.token},
                )
                for name in ("silent", "talking")
            }
            client.until(lambda: calls["silent"].ended)
            finish.set()
            client.until(lambda: calls["talking"].ended)
        assert (calls["silent"].status, json.loads(calls["silent"].body)["error"]["type"]) == (
            504,
            "timeout_error",
        )
        assert (calls["talking"].status, calls["talking"].body) == (200, b"".join(pieces))
        assert sorted(row["outcome"] for row in proxy.settled(since)) == ["ok", "timeout"]
