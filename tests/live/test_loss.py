"""Nothing is lost, nothing is counted twice: kill -9, SIGTERM, hang-ups, cuts, silence, a locked database."""

import contextlib
import http.client
import json
import signal
import socket
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live import wire
from tests.live.loopback import Answer, Gate, Request, Upstream, nobody, upstream
from tests.live.proxied import Call, Proxied, metric, proxied
from tests.live.stack import free_port, wait_for

pytestmark = pytest.mark.live

HANGERS = 200


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream) -> None:
    server.script = nobody
    server.requests.clear()


def bases(server: Upstream) -> dict[str, str]:
    return {"openai": server.url, "anthropic": server.url}


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """For tests that leave their proxy alive."""
    with proxied(tmp_path_factory.mktemp("loss"), bases(server)) as running:
        yield running


@pytest.fixture
def mortal(server: Upstream, tmp_path: Path) -> Iterator[Proxied]:
    """For tests that end it."""
    with proxied(tmp_path / "home", bases(server)) as running:
        yield running


def holding(server: Upstream, pieces: list[bytes]) -> Gate:
    """Streams `pieces`, then waits for the gate and ends."""
    gate = server.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(*pieces)
        await gate.passed()
        await answer.end()

    server.script = script
    return gate


def begun(server: Upstream, proxy: Proxied, pieces: list[bytes] | None = None) -> tuple[Call, Gate]:
    """A stream under way, of which the client has seen all that was sent."""
    pieces = pieces or wire.chat_stream()[:3]
    gate = holding(server, pieces)
    response = proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED)
    assert response.take(len(b"".join(pieces))) == b"".join(pieces)
    return response, gate


# --- killed


def test_kill_9_in_mid_stream_leaves_one_interrupted_row(server: Upstream, mortal: Proxied) -> None:
    response, gate = begun(server, mortal)
    mortal.processes["proxy"].stop(signal.SIGKILL)
    with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
        response.read()
    response.close()
    gate.open()
    mortal.start_proxy()
    [row] = mortal.settled()
    assert row["outcome"] == "interrupted"
    assert row["request_id"] == response.id
    assert (row["project"], row["token"], row["operation"]) == ("demo", "laptop", "chat")
    assert (row["model_requested"], row["stream"], row["status"]) == ("gpt-4o-mini", 1, None)
    assert row["request_sha256"] == server.last.sha256
    assert mortal.query("SELECT sum(requests) AS n, sum(errors) AS e FROM usage_hour") == [{"n": 1, "e": 1}]


def test_a_second_kill_and_start_adds_nothing(server: Upstream, mortal: Proxied) -> None:
    response, gate = begun(server, mortal)
    for _ in range(2):
        mortal.processes["proxy"].stop(signal.SIGKILL)
        mortal.start_proxy()
    response.close()
    gate.open()
    assert [row["outcome"] for row in mortal.settled()] == ["interrupted"]


def test_kill_9_with_many_under_way(server: Upstream, mortal: Proxied) -> None:
    """Streams of several clients, answers that are complete, and a request that no answer came for."""
    arrived, never = server.gate(), server.gate()

    async def script(request: Request, answer: Answer) -> None:
        user = json.loads(await request.read())["user"]
        if user == "unanswered":
            arrived.open()
            await never.passed()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(*wire.chat_stream()[:3])
        if user == "waits":
            await never.passed()
        await answer.send(*wire.chat_stream()[3:])
        await answer.end()

    server.script = script
    with contextlib.ExitStack() as stack:
        for user in ["waits", "ends"] * 8:
            call = stack.enter_context(
                mortal.call(wire.COMPLETIONS, {**wire.CHAT_STREAM_ASKED, "user": user})
            )
            call.take(10)
            if user == "ends":
                call.read()
        silent = stack.enter_context(contextlib.closing(mortal.connection()))
        body = json.dumps({**wire.CHAT_STREAM_ASKED, "user": "unanswered"})
        silent.request("POST", wire.COMPLETIONS, body, mortal.headers)
        arrived.wait("the request at the provider")
        mortal.processes["proxy"].stop(signal.SIGKILL)
    never.open()
    mortal.start_proxy()
    rows = mortal.settled()
    assert Counter(row["outcome"] for row in rows) == {"interrupted": 9, "ok": 8}
    assert len({row["request_id"] for row in rows}) == 17
    totals = mortal.query("SELECT sum(requests) AS n, sum(output_tokens) AS o FROM usage_hour")
    assert totals == [{"n": 17, "o": 8 * 11}]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_kill_9_right_after_an_answer_leaves_its_row(server: Upstream, mortal: Proxied, stream: bool) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        if stream:
            await answer.stream(*wire.chat_stream())
        else:
            await answer.whole(200, wire.chat_answer())

    server.script = script
    body = wire.CHAT_STREAM if stream else wire.CHAT

    def once(_: int) -> str:
        with mortal.call(wire.COMPLETIONS, body) as response:
            response.read()
            return response.id

    with ThreadPoolExecutor(4) as pool:
        answered = list(pool.map(once, range(12)))
    mortal.processes["proxy"].stop(signal.SIGKILL)
    mortal.start_proxy()
    rows = mortal.settled()
    assert sorted(row["request_id"] for row in rows) == sorted(answered)
    tokens = (14, 11) if stream else (14, 4)
    for row in rows:
        assert (row["outcome"], row["usage_source"], row["status"]) == ("ok", "provider", 200)
        assert (row["input_tokens"], row["output_tokens"]) == tokens
        assert row["cost_nanos"] > 0
    totals = mortal.query("SELECT sum(requests) AS n, sum(input_tokens) AS i FROM usage_day")
    assert totals == [{"n": 12, "i": 12 * 14}]


def test_sigterm_while_streaming_writes_the_row(server: Upstream, mortal: Proxied) -> None:
    response, gate = begun(server, mortal)
    assert mortal.processes["proxy"].stop(signal.SIGTERM) == 0
    response.close()
    gate.open()
    [row] = mortal.query("SELECT * FROM requests")
    assert row["outcome"] in ("interrupted", "client_gone")
    assert row["output_tokens"] > 0
    assert row["usage_source"] == "estimated"
    mortal.start_proxy()
    assert len(mortal.settled()) == 1


# --- hung up


def hangers(server: Upstream) -> list[Gate]:
    """Anthropic's streams begin with the input's count; OpenAI's say nothing before their end."""
    gates = [server.gate()]

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        openai = "completions" in request.target
        await answer.send(*(wire.chat_stream()[:5] if openai else wire.message_stream()[:6]))
        await gates[0].passed()

    server.script = script
    return gates


def reset(call: Call) -> None:
    """Makes its end a reset, as of a client that was killed."""
    assert call.connection.sock is not None
    call.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_200_clients_that_hang_up_leave_200_rows(server: Upstream, proxy: Proxied) -> None:
    since = proxy.last_id()
    gates = hangers(server)

    def hang(number: int) -> None:
        openai = number % 2 == 0
        path = wire.COMPLETIONS if openai else wire.ANTHROPIC
        body = wire.CHAT_STREAM if openai else wire.MESSAGES_STREAM
        with proxy.call(path, body) as call:
            call.take(40 + number)
            if number % 3 == 0:
                reset(call)

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(hang, range(HANGERS)))
    rows = proxy.settled(since)
    gates[0].open()
    assert Counter(row["outcome"] for row in rows) == {"client_gone": HANGERS}
    assert len({row["request_id"] for row in rows}) == HANGERS
    for row in rows:
        # One token may have been all, and that is what the provider's placeholder says.
        assert row["usage_source"] == "estimated" or row["output_tokens"] == 1
        assert 0 < row["output_tokens"] <= 11
        assert row["input_tokens"] == (25 if row["provider"] == "anthropic" else pytest.approx(9, abs=4))
        assert row["cost_nanos"] > 0
        assert row["attempts"] == 1
    assert metric(proxy.metrics(), "llm_in_flight") == 0


def test_usage_that_came_before_the_hang_up_is_the_providers(server: Upstream, proxy: Proxied) -> None:
    since = proxy.last_id()
    pieces = wire.chat_stream()[:-1]
    response, gate = begun(server, proxy, pieces)
    response.close()
    [row] = proxy.settled(since)
    gate.open()
    assert (row["outcome"], row["usage_source"]) == ("client_gone", "provider")
    assert (row["input_tokens"], row["output_tokens"]) == (14, 11)


def test_a_client_that_hangs_up_before_the_answer(server: Upstream, proxy: Proxied) -> None:
    since = proxy.last_id()
    arrived, gate = server.gate(), server.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        arrived.open()
        await gate.passed()

    server.script = script
    connection = proxy.connection()
    connection.request("POST", wire.COMPLETIONS, json.dumps(wire.CHAT).encode(), proxy.headers)
    arrived.wait("the request at the provider")
    connection.close()
    [row] = proxy.settled(since)
    gate.open()
    assert (row["outcome"], row["status"], row["attempts"]) == ("client_gone", None, 1)
    assert row["response_bytes"] == 0


def test_a_client_that_hangs_up_in_its_own_request(server: Upstream, proxy: Proxied) -> None:
    """Nothing went to the provider; it is a row all the same."""
    since = proxy.last_id()
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        head = f"POST {wire.COMPLETIONS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {proxy.token}\r\n"
        client.sendall(f'{head}content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{"mod'.encode())
    [row] = wait_for(lambda: proxy.settled(since), "a row")
    assert (row["outcome"], row["attempts"], row["status"]) == ("client_gone", 0, None)
    assert server.requests == []


# --- the provider goes away


@pytest.mark.parametrize(
    ("fields", "end"),
    [([("content-length", "5000")], b""), ([], b'data: {"id":"chatcmpl-1","choi')],
    ids=["counted", "inside an event"],
)
def test_an_upstream_that_cuts_is_a_cut_for_the_client(
    server: Upstream, proxy: Proxied, fields: list[tuple[str, str]], end: bytes
) -> None:
    """Where nothing well-formed can be added."""
    pieces = [*wire.chat_stream()[:4], *([end] if end else [])]

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream"), *fields])
        await answer.send(*pieces)
        answer.cut()

    server.script = script
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as response:
        with pytest.raises((http.client.IncompleteRead, ConnectionError)) as cut:
            response.read()
        row = proxy.row(response)
    if isinstance(cut.value, http.client.IncompleteRead):
        assert cut.value.partial == b"".join(pieces)
    assert (row["outcome"], row["status"], row["usage_source"]) == ("upstream_cut", 200, "estimated")


def test_a_stream_whose_upstream_went_away_ends_with_an_error_event(server: Upstream, proxy: Proxied) -> None:
    pieces = wire.chat_stream()[:4]

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(*pieces)
        answer.cut()

    server.script = script
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as response:
        body = response.read()
        row = proxy.row(response)
    before, _, rest = body.partition(b'data: {"error"')
    assert before == b"".join(pieces)
    assert b'"upstream_disconnected"' in rest
    assert rest.endswith(b"\n\ndata: [DONE]\n\n")
    assert (row["outcome"], row["status"], row["usage_source"]) == ("upstream_cut", 200, "estimated")
    assert row["output_tokens"] == 4
    assert row["error_message"]
    assert proxy.query("SELECT outcome FROM attempts WHERE request_id = ?", row["id"]) == [
        {"outcome": "upstream_cut"}
    ]


def test_an_upstream_that_ends_before_its_answer(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        answer.cut()

    server.script = script
    with proxy.call(wire.ANTHROPIC, wire.MESSAGES) as response:
        assert response.status == 502
        assert json.loads(response.read())["type"] == "error"
        row = proxy.row(response)
    assert (row["outcome"], row["status"], row["attempts"]) == ("upstream_cut", 502, 2)


@pytest.fixture(scope="module")
def silent() -> Iterator[int]:
    """A port that accepts no more connections and refuses none: connecting to it takes for ever."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
        yield port


@pytest.fixture(scope="module")
def impatient(server: Upstream, silent: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Gives up after a moment; mistral's port is closed, groq's never answers."""
    targets = bases(server) | {
        "gemini": server.url,
        "mistral": f"http://127.0.0.1:{free_port()}",
        "groq": f"http://127.0.0.1:{silent}",
    }
    config = "[timeouts]\nfirst_byte = 0.5\nconnect = 0.5\n"
    with proxied(tmp_path_factory.mktemp("impatient"), targets, config=config) as running:
        yield running


def test_a_refused_connection_is_a_provider_shaped_502(impatient: Proxied) -> None:
    with impatient.call("/mistral/v1/chat/completions", wire.CHAT) as response:
        assert response.status == 502
        error = json.loads(response.read())
        row = impatient.row(response)
    assert "127.0.0.1" in json.dumps(error)
    assert (row["outcome"], row["status"], row["error_type"]) == (
        "connect_failed",
        502,
        "upstream_unreachable",
    )
    assert (row["attempts"], row["input_tokens"], row["cost_nanos"]) == (2, None, None)
    tries = impatient.query("SELECT * FROM attempts WHERE request_id = ?", row["id"])
    assert [(t["outcome"], t["status"]) for t in tries] == [("connect_failed", None)] * 2


def test_a_connection_that_never_comes_about_is_a_timeout(impatient: Proxied) -> None:
    with impatient.call("/groq/v1/chat/completions", wire.CHAT) as response:
        assert response.status == 504
        row = impatient.row(response)
    assert (row["outcome"], row["status"]) == ("timeout", 504)


SHAPES = [
    pytest.param(wire.COMPLETIONS, wire.CHAT, ("error", "message"), id="openai"),
    pytest.param(wire.ANTHROPIC, wire.MESSAGES, ("error", "type"), id="anthropic"),
    pytest.param(
        "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
        {"contents": [{"parts": [{"text": "hi"}]}]},
        ("error", "status"),
        id="gemini",
    ),
]


@pytest.mark.parametrize(("path", "body", "member"), SHAPES)
def test_silence_is_a_provider_shaped_504(
    server: Upstream, impatient: Proxied, path: str, body: object, member: tuple[str, str]
) -> None:
    gate = server.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await gate.passed()

    server.script = script
    with impatient.call(path, body) as response:
        assert response.status == 504
        assert json.loads(response.read())[member[0]][member[1]]
        row = impatient.row(response)
    gate.open()
    assert (row["outcome"], row["status"], row["error_type"]) == ("timeout", 504, "upstream_timeout")


def test_a_stream_that_has_begun_may_pause_longer_than_the_first_byte(
    server: Upstream, impatient: Proxied
) -> None:
    response, gate = begun(server, impatient)
    begun_script = server.script

    async def mute(request: Request, answer: Answer) -> None:
        await request.read()
        await gate.passed()

    server.script = mute
    with impatient.call(wire.COMPLETIONS, wire.CHAT) as other:
        assert other.status == 504  # so long has the first one been silent
    server.script = begun_script
    gate.open()
    with contextlib.closing(response):
        assert response.read() == b""
        assert impatient.row(response)["outcome"] == "ok"


# --- the database


def test_a_locked_database_loses_nothing(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, wire.chat_answer())

    server.script = script
    since = proxy.last_id()
    answered = []
    with contextlib.closing(sqlite3.connect(proxy.home / "usage.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(20):
            with proxy.call(wire.COMPLETIONS, wire.CHAT) as response:
                assert response.status == 200
                response.read()
                answered.append(response.id)
        wait_for(lambda: metric(proxy.metrics(), "llm_writer_lag_seconds") > 2, "two seconds of lock")
        assert proxy.query("SELECT id FROM requests WHERE id > ?", since) == []
        other.execute("ROLLBACK")
    rows = proxy.settled(since)
    assert sorted(row["request_id"] for row in rows) == sorted(answered)
    assert all(row["outcome"] == "ok" for row in rows)


def test_rows_that_a_lock_kept_out_survive_kill_9(server: Upstream, mortal: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, wire.chat_answer())

    server.script = script
    with contextlib.closing(sqlite3.connect(mortal.home / "usage.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(5):
            with mortal.call(wire.COMPLETIONS, wire.CHAT) as response:
                response.read()
        mortal.processes["proxy"].stop(signal.SIGKILL)
        assert mortal.query("SELECT count(*) AS n FROM requests") == [{"n": 0}]
        other.execute("ROLLBACK")
    mortal.start_proxy()
    rows = mortal.settled()
    assert [(row["outcome"], row["output_tokens"]) for row in rows] == [("ok", 4)] * 5
