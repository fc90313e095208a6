"""WebSockets: relayed with the key swapped, metered by their frames, one row for each response."""

import contextlib
import json
import signal
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from socket import SHUT_RD, SO_LINGER, SOL_SOCKET
from typing import Any

import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.live.loopback import Answer, Request, Upstream, nobody, upstream
from tests.live.proxied import Proxied, proxied
from tests.live.sockets import Socket
from tests.live.stack import Stack

RESPONSES = "/v1/responses"
REALTIME = "/v1/realtime?model=gpt-realtime"
ASK = {"type": "response.create", "model": "gpt-5.2", "input": "Tell me a story."}
WORDS = ("Once", " upon", " a", " time")


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """It stores answers; those of WebSockets are none of its business."""
    home, config = tmp_path_factory.mktemp("sockets"), '[cache]\nmode = "on"\n'
    with proxied(home, {"openai": server.url}, config=config) as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream) -> None:
    server.script = nobody
    server.requests.clear()


def client(proxy: Stack, path: str, token: str, **options: Any) -> ClientConnection:
    url = f"ws://127.0.0.1:{proxy.port}{path}"
    options = {"additional_headers": {"authorization": f"Bearer {token}"}, **options}
    return connect(url, proxy=None, compression=None, **options)


def tunnelled(proxy: Proxied, path: str, **options: Any) -> ClientConnection:
    trust = ssl.create_default_context(cafile=str(proxy.home / "certs" / "mitmproxy-ca-cert.pem"))
    headers = {"authorization": f"Bearer {proxy.token}"}
    url = f"wss://api.openai.com{path}"
    return connect(url, proxy=proxy.url, ssl=trust, additional_headers=headers, **options)


def response(number: int, status: str, **more: object) -> dict[str, Any]:
    return {
        "id": f"resp_{number}",
        "object": "response",
        "status": status,
        "model": "gpt-5.2-2025-12-11",
        **more,
    }


def usage(number: int) -> dict[str, Any]:
    return {
        "input_tokens": 100 * number,
        "input_tokens_details": {"cached_tokens": 10 * number},
        "output_tokens": 20 * number,
        "output_tokens_details": {"reasoning_tokens": 5 * number},
        "total_tokens": 120 * number,
    }


def created(number: int) -> dict[str, Any]:
    return {"type": "response.created", "response": response(number, "in_progress")}


def deltas(number: int) -> list[dict[str, Any]]:
    where = {"type": "response.output_text.delta", "response_id": f"resp_{number}", "item_id": "m"}
    return [{**where, "output_index": 0, "content_index": 0, "delta": word} for word in WORDS]


def completed(number: int) -> dict[str, Any]:
    return {"type": "response.completed", "response": response(number, "completed", usage=usage(number))}


def until(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(socket.recv())
        if message["type"] == kind:
            return message


async def answer_all(request: Request, answer: Answer) -> None:
    """One response for each message, numbered."""
    socket = await Socket.accept(request, answer)
    number = 0
    while await socket.receive() is not None:
        number += 1
        await socket.send(created(number), *deltas(number), completed(number))


@pytest.mark.parametrize("entry", ["base_url", "connect"])
def test_one_row_for_each_response(server: Upstream, proxy: Proxied, entry: str) -> None:
    server.script = answer_all
    since = proxy.last_id()
    opened = tunnelled(proxy, RESPONSES) if entry == "connect" else client(proxy, RESPONSES, proxy.token)
    with opened as socket:
        for number in (1, 2, 3):
            socket.send(json.dumps(ASK))
            assert until(socket, "response.completed") == completed(number)
    rows = proxy.settled(since)
    assert [row["output_tokens"] for row in rows] == [20, 40, 60]
    for number, row in enumerate(rows, 1):
        assert (row["outcome"], row["status"], row["operation"], row["stream"]) == ("ok", 200, "responses", 1)
        assert (row["input_tokens"], row["cache_read_tokens"]) == (100 * number, 10 * number)
        assert (row["reasoning_tokens"], row["usage_source"]) == (5 * number, "provider")
        assert (row["model_requested"], row["model"]) == ("gpt-5.2", "gpt-5.2-2025-12-11")
        assert (row["project"], row["token"], row["credential"]) == ("demo", "laptop", "default")
        assert (row["entry"], row["response_id"], row["attempts"]) == (entry, f"resp_{number}", 1)
        assert row["cost_nanos"] > 0
        assert 0 < row["ttft_ms"] <= row["duration_ms"]
        assert row["request_bytes"] == len(json.dumps(ASK))
        assert row["cache"] == ""
    assert len({row["request_id"] for row in rows}) == 3
    [upgrade] = server.requests
    assert upgrade.header("authorization") == "Bearer sk-real-openai-0123456789abcdefghij"
    assert proxy.token not in upgrade.head.decode()
    assert upgrade.header("sec-websocket-key")


def test_a_token_in_another_header_of_the_upgrade_stays_here(server: Upstream, proxy: Proxied) -> None:
    server.script = answer_all
    stray = {"x-my-key": proxy.token, "cookie": f"a=b; t={proxy.token}"}
    headers = {"authorization": f"Bearer {proxy.token}", **stray}
    with client(proxy, RESPONSES, proxy.token, additional_headers=headers) as socket:
        socket.send(json.dumps(ASK))
        until(socket, "response.completed")
    [upgrade] = server.requests
    assert proxy.token not in upgrade.head.decode()
    assert upgrade.header("cookie") == "a=b"
    with pytest.raises(InvalidStatus, match="426"):
        client(proxy, RESPONSES, "", additional_headers=stray)
    assert len(server.requests) == 1


def test_responses_that_interleave(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        socket = await Socket.accept(request, answer)
        await socket.receive()
        await socket.receive()
        await socket.send(created(1), created(2))
        for one, two in zip(deltas(1), deltas(2), strict=True):
            await socket.send(one, two)
        await socket.send(completed(2), completed(1))
        await socket.receive()

    server.script = script
    since = proxy.last_id()
    with client(proxy, RESPONSES, proxy.token) as socket:
        socket.send(json.dumps(ASK))
        socket.send(json.dumps({**ASK, "model": "gpt-5-mini"}))
        for _ in range(2):
            until(socket, "response.completed")
    rows = {row["response_id"]: row for row in proxy.settled(since)}
    assert {name: row["output_tokens"] for name, row in rows.items()} == {"resp_1": 20, "resp_2": 40}
    assert {name: row["model_requested"] for name, row in rows.items()} == {
        "resp_1": "gpt-5.2",
        "resp_2": "gpt-5-mini",
    }


def test_every_frame_passes_as_it_is(server: Upstream, proxy: Proxied) -> None:
    """Large ones, binary ones, ones that are no JSON and ones in many languages, in order and both ways."""
    texts = [
        "",
        "no JSON",
        '{"type": 5}',
        "[]",
        "x" * 3_000_000,
        "日本語 🎈 " * 1000,
        '{"type":"response.done"}',
    ]

    async def script(request: Request, answer: Answer) -> None:
        socket = await Socket.accept(request, answer)
        while (message := await socket.receive()) is not None:
            await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send(message))

    server.script = script
    with client(proxy, REALTIME, proxy.token, max_size=None) as socket:
        for text in texts:
            socket.send(text)
            assert socket.recv() == text
        socket.send(bytes(range(256)) * 1000)
        assert socket.recv() == bytes(range(256)) * 1000
        socket.ping().wait(30)


def test_messages_are_not_held_back(server: Upstream, proxy: Proxied) -> None:
    """The provider sends the next event once the client has the one before."""

    async def script(request: Request, answer: Answer) -> None:
        socket = await Socket.accept(request, answer)
        for event in (created(1), *deltas(1), completed(1)):
            await socket.receive()
            await socket.send(event)
        await socket.receive()

    server.script = script
    since = proxy.last_id()
    with client(proxy, RESPONSES, proxy.token) as socket:
        socket.send(json.dumps(ASK))
        for event in (created(1), *deltas(1), completed(1)):
            assert json.loads(socket.recv()) == event
            socket.send('{"type":"seen"}')
    [row] = proxy.settled(since)
    assert row["output_tokens"] == 20


@pytest.mark.parametrize("politely", [True, False], ids=["close", "reset"])
def test_a_hang_up_in_mid_response_leaves_its_row(server: Upstream, proxy: Proxied, politely: bool) -> None:
    async def script(request: Request, answer: Answer) -> None:
        socket = await Socket.accept(request, answer)
        await socket.receive()
        await socket.send(created(1), *deltas(1))
        await socket.receive()

    server.script = script
    since = proxy.last_id()
    with contextlib.suppress(OSError), client(proxy, RESPONSES, proxy.token) as socket:
        socket.send(json.dumps(ASK))
        for event in (created(1), *deltas(1)):
            assert json.loads(socket.recv()) == event
        if not politely:
            socket.socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            socket.socket.shutdown(SHUT_RD)  # a thread that reads would keep it open
            socket.socket.close()
    [row] = proxy.settled(since)
    assert (row["outcome"], row["usage_source"], row["output_tokens"]) == ("client_gone", "estimated", 4)
    assert row["model_requested"] == "gpt-5.2"


def test_a_provider_that_goes_away_in_mid_response(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        socket = await Socket.accept(request, answer)
        await socket.receive()
        await socket.send(created(1), *deltas(1)[:2])
        socket.cut()

    server.script = script
    since = proxy.last_id()
    with client(proxy, RESPONSES, proxy.token) as socket:
        socket.send(json.dumps(ASK))
        with pytest.raises(ConnectionClosed):
            until(socket, "response.completed")
    [row] = proxy.settled(since)
    assert (row["outcome"], row["usage_source"], row["output_tokens"]) == ("upstream_cut", "estimated", 2)


def test_kill_9_in_mid_response(server: Upstream, tmp_path: Path) -> None:
    """The response that was answered keeps its row; what was under way is an interrupted one."""

    async def script(request: Request, answer: Answer) -> None:
        socket = await Socket.accept(request, answer)
        await socket.receive()
        await socket.send(created(1), *deltas(1), completed(1))
        await socket.receive()
        await socket.send(created(2), *deltas(2))
        await socket.receive()

    server.script = script
    with proxied(tmp_path / "home", {"openai": server.url}) as mortal:
        with client(mortal, RESPONSES, mortal.token) as socket:
            socket.send(json.dumps(ASK))
            until(socket, "response.completed")
            socket.send(json.dumps(ASK))
            for event in (created(2), *deltas(2)):
                assert json.loads(socket.recv()) == event
            mortal.processes["proxy"].stop(signal.SIGKILL)
        mortal.start_proxy()
        rows = mortal.settled()
    assert sorted(row["outcome"] for row in rows) == ["interrupted", "ok"]
    assert [row["output_tokens"] for row in rows if row["outcome"] == "ok"] == [20]


def test_a_response_that_fails(server: Upstream, proxy: Proxied) -> None:
    error = {"type": "invalid_request_error", "code": "model_not_found", "message": "No such model."}

    async def script(request: Request, answer: Answer) -> None:
        socket = await Socket.accept(request, answer)
        await socket.receive()
        await socket.send({"type": "error", "status": 400, "error": error})
        await socket.receive()

    server.script = script
    since = proxy.last_id()
    with client(proxy, RESPONSES, proxy.token) as socket:
        socket.send(json.dumps(ASK))
        until(socket, "error")
    [row] = proxy.settled(since)
    assert row["outcome"] == "provider_error"
    assert row["error_message"] == "No such model."


def test_a_connection_without_a_response_is_one_row(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        socket = await Socket.accept(request, answer)
        await socket.receive()

    server.script = script
    since = proxy.last_id()
    with client(proxy, RESPONSES, proxy.token):
        pass
    [row] = proxy.settled(since)
    assert (row["outcome"], row["status"], row["output_tokens"]) == ("ok", 101, None)


# --- refused


def test_a_refused_token_is_426(server: Upstream, proxy: Proxied) -> None:
    """On which clients fall back to HTTP, where they are told why."""
    since = proxy.last_id()
    wrong = proxy.token[:-1] + ("a" if proxy.token[-1] != "a" else "b")
    with pytest.raises(InvalidStatus) as refused, client(proxy, RESPONSES, wrong):
        pass
    assert refused.value.response.status_code == 426
    assert json.loads(refused.value.response.body)["error"]["code"] == "token_mistyped"
    assert server.requests == []
    [row] = proxy.settled(since)
    assert (row["outcome"], row["status"], row["error_type"]) == ("refused", 426, "token_mistyped")


def test_what_the_provider_refuses_passes(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await answer.whole(401, b'{"error":{"message":"Incorrect API key","type":"invalid_request_error"}}')

    server.script = script
    since = proxy.last_id()
    with pytest.raises(InvalidStatus) as refused, client(proxy, RESPONSES, proxy.token):
        pass
    assert refused.value.response.status_code == 401
    [row] = proxy.settled(since)
    assert (row["outcome"], row["status"]) == ("client_error", 401)
    assert row["error_message"] == "Incorrect API key"


def test_a_key_in_the_protocol_header(server: Upstream, proxy: Proxied) -> None:
    """How browsers send it, which can set no headers: the token goes, the key comes, the protocol stays."""

    async def script(request: Request, answer: Answer) -> None:
        socket = await Socket.accept(request, answer, ("sec-websocket-protocol", "realtime"))
        await socket.receive()

    server.script = script
    protocols = ["realtime", f"openai-insecure-api-key.{proxy.token}"]
    with client(proxy, REALTIME, "", additional_headers={}, subprotocols=protocols) as socket:
        assert socket.subprotocol == "realtime"
    assert server.last.header("sec-websocket-protocol") == "realtime"
    assert server.last.header("authorization").startswith("Bearer sk-real-openai")
    assert proxy.token not in server.last.head.decode()


# --- the official SDK in front of the simulator


# The SDK's own use of its WebSocket library.
LEGACY = pytest.mark.filterwarnings("ignore:connect\\(\\) must be used:DeprecationWarning")


@pytest.fixture(scope="module")
def sdk(stack: Stack) -> Iterator[openai.OpenAI]:
    token = json.loads(stack.cli("token", "create", "--project", "demo", "--name", "ws", "--json"))["token"]
    with openai.OpenAI(api_key=token, base_url=f"{stack.url}/v1", max_retries=0) as made:
        yield made


@LEGACY
def test_responses_by_the_official_sdk(stack: Stack, sdk: openai.OpenAI) -> None:
    since = stack.last_id()
    reported = []
    with sdk.responses.connect() as connection:
        for text in ("Say hello to the proxy.", "And once more, please."):
            connection.send({"type": "response.create", "model": "gpt-5.2", "input": text})  # type: ignore[arg-type]
            for event in connection:
                if event.type == "response.completed":
                    assert event.response.usage is not None
                    reported.append((event.response.usage.input_tokens, event.response.usage.output_tokens))
                    break
    rows = stack.rows(2, since)
    assert [(row["input_tokens"], row["output_tokens"]) for row in rows] == reported
    assert all((row["operation"], row["outcome"]) == ("responses", "ok") for row in rows)


@LEGACY
def test_realtime_by_the_official_sdk(stack: Stack, sdk: openai.OpenAI) -> None:
    since = stack.last_id()
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello there"}]}
    with sdk.realtime.connect(model="gpt-realtime") as connection:
        connection.conversation.item.create(item=item)  # type: ignore[arg-type]
        connection.response.create()
        for event in connection:
            if event.type == "response.done":
                usage = event.response.usage
                break
    [row] = stack.rows(1, since)
    assert usage is not None
    assert (row["input_tokens"], row["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert (row["operation"], row["outcome"], row["model_requested"]) == ("realtime", "ok", "gpt-realtime")
    assert row["output_tokens"] > 0
