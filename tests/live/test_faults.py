"""A bug of ours refuses the call in the client's own error format and nothing goes upstream; a bug in
what only watches is nobody's business but the log's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import AWS, Proxied, proxied
from tests.live.stack import wait_for

SCRIPT = Path(__file__).with_name("faulty.py")
CAPTURE = '[capture]\nbodies = "all"\n'


async def answer_all(request: Request, answer: Answer) -> None:
    body = await request.read()
    if "/files" in request.target:
        await answer.whole(200, b'{"id":"file-1","object":"file"}')
    elif json.loads(body).get("stream"):
        await answer.stream(*wire.chat_stream())
    else:
        await answer.whole(200, wire.chat_answer(json.loads(body)["model"]))


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream(answer_all) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    bases = {"openai": server.url, "anthropic": server.url, "bedrock": server.url}
    keys = {"openai": "sk-real-openai-key-012345", "anthropic": "sk-ant-real-key-0123456789", "bedrock": AWS}
    home = tmp_path_factory.mktemp("faults")
    with proxied(home, bases, config=CAPTURE, keys=keys, entry=(str(SCRIPT),)) as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream) -> None:
    server.script = answer_all
    server.requests.clear()


def logged(proxy: Proxied, text: str) -> bool:
    return text in (proxy.home / "logs" / "events.jsonl").read_text()


TUNNELS = ["TunnelGate.http_connect", "Drain.http_connect"]
# Before an error is told to a client.
UNSAID = ["Unsaid.responseheaders", "Unsaid.response"]
# On the way back answers in another dialect pass a gate, and what is to fail on purpose.
BACK = [
    "Failures.responseheaders",
    *UNSAID,
    "Translate.responseheaders",
    "Translate.response",
    "Stops.responseheaders",
]
# Between two tries.
AGAIN = ["Attempt.try_failed", "Translate.try_again", "Stops.try_again"]
CALLED = [
    "Identify.requestheaders",
    "Identify.request",
    "Portal.requestheaders",
    "Authenticate.requestheaders",
    "Authenticate.request",
    "Drain.requestheaders",
    "Failures.requestheaders",
    "Failures.request",
    "Route.requestheaders",
    "Route.request",
    "Admit.requestheaders",
    "Admit.request",
    "Translate.requestheaders",
    "Translate.request",
    "Stops.request",
]
UNSEEN = ["Record.error", *(f"Sockets.websocket_{name}" for name in ("start", "message", "end"))]
MOMENTS = ["", " late"]


def test_no_gate_is_left_out() -> None:
    from tests.live.faulty import guarded

    def names(guard: str) -> list[str]:
        return [f"{addon.__name__}.{hook}" for addon, hook in guarded(guard)]

    assert sorted(names("fail_closed")) == sorted([*TUNNELS, *CALLED, *BACK, *AGAIN])
    assert set(names("fail_open")) >= {*OBSERVERS, *UNSEEN}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("gate", CALLED)
def test_a_gate_that_fails_refuses(server: Upstream, proxy: Proxied, gate: str, moment: str) -> None:
    headers = {"x-fault": gate + moment}
    common: Any = {"api_key": proxy.token, "max_retries": 0, "default_headers": headers}
    since = proxy.last_id()
    with openai.OpenAI(base_url=f"{proxy.url}/v1", **common) as client:
        with pytest.raises(openai.InternalServerError) as refused:
            client.chat.completions.create(model="gpt-4o-mini", messages=wire.CHAT["messages"])  # type: ignore[call-overload]
        assert refused.value.status_code == 500
        assert isinstance(refused.value.body, dict)
    with (
        anthropic.Anthropic(base_url=proxy.url, **common) as other,
        pytest.raises(anthropic.InternalServerError),
    ):
        other.messages.create(**wire.MESSAGES)
    assert server.requests == []
    assert logged(proxy, f"gate {gate} failed")
    unidentified = gate + moment == "Identify.requestheaders"
    rows = proxy.settled(since)
    assert [row["outcome"] for row in rows] == ([] if unidentified else ["internal_error"] * 2)
    assert all((row["status"], row["error_type"]) == (500, "internal_error") for row in rows)
    assert all(row["attempts"] == 0 for row in rows)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("gate", [gate for gate in CALLED if gate.endswith("headers")])
def test_a_gate_that_fails_refuses_streamed_uploads(
    server: Upstream, proxy: Proxied, gate: str, moment: str
) -> None:
    """Their body streams to the provider from the head on: what was begun must not go out."""
    since = proxy.last_id()
    headers = {"content-type": "multipart/form-data; boundary=b", "x-fault": gate + moment}
    body = b"--b\r\n" + b"x" * 9_000_000 + b"\r\n--b--\r\n"
    with proxy.call("/openai/v1/files", body, headers) as call:
        assert call.status == 500
        assert "llm-intercept" in json.loads(call.read())["error"]["message"]
    assert server.requests == []
    outcomes = [row["outcome"] for row in proxy.settled(since)]
    assert outcomes == ([] if gate + moment == "Identify.requestheaders" else ["internal_error"])


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("gate", TUNNELS)
def test_a_tunnel_gate_that_fails_opens_no_tunnel(
    server: Upstream, proxy: Proxied, gate: str, moment: str
) -> None:
    connection = proxy.connection()
    connection.set_tunnel("127.0.0.1", server.port, {"x-fault": gate + moment, "connection": "close"})
    with pytest.raises(OSError, match="500"):
        connection.request("GET", "/")
    connection.close()
    assert server.requests == []


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("gate", BACK)
@pytest.mark.parametrize("kind", ["json", "stream", "error"])
def test_nothing_of_another_dialect_gets_past_a_gate_that_fails(
    server: Upstream, proxy: Proxied, gate: str, moment: str, kind: str
) -> None:
    """A call to Anthropic by an OpenAI client: rather no answer than one that the client cannot read."""
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}

    async def script(request: Request, answer: Answer) -> None:
        assert request.target.startswith("/v1/messages")
        await request.read()
        if kind == "stream":
            await answer.stream(*wire.message_stream())
        elif kind == "error":
            await answer.whole(400, json.dumps(error).encode())
        else:
            await answer.whole(200, wire.message_answer())

    server.script = script
    since = proxy.last_id()
    body = {**(wire.CHAT_STREAM if kind == "stream" else wire.CHAT), "model": "anthropic/claude-sonnet-5"}
    with proxy.call(wire.COMPLETIONS, body, {"x-fault": gate + moment}) as call:
        said = call.read()
    assert b"message_start" not in said
    assert b'"type":"message"' not in said.replace(b" ", b"")
    assert b'"type":"error"' not in said.replace(b" ", b"")
    if gate.endswith(".responseheaders") or kind == "error":
        assert call.status == 500
        assert json.loads(said)["error"]["code"] == "internal_error"
        [row] = proxy.settled(since)
        assert (row["outcome"], row["status"], row["attempts"]) == ("internal_error", 500, 1)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("gate", AGAIN)
def test_a_gate_that_fails_between_two_tries_refuses(
    server: Upstream, proxy: Proxied, gate: str, moment: str
) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(503, b'{"error":{"message":"busy","type":"server_error"}}')

    server.script = script
    since = proxy.last_id()
    with proxy.call(wire.COMPLETIONS, wire.CHAT, {"x-fault": gate + moment}) as call:
        assert call.status == 500
        assert json.loads(call.read())["error"]["code"] == "internal_error"
    assert len(server.requests) == 1
    [row] = proxy.settled(since)
    assert (row["outcome"], row["status"]) == ("internal_error", 500)


def test_a_part_that_fails_while_it_is_awaited_refuses(server: Upstream, proxy: Proxied) -> None:
    with proxy.call("/sim/v1/chat/completions", wire.CHAT) as call:
        assert call.status == 500
        assert json.loads(call.read())["error"]["message"]
        assert proxy.row(call)["outcome"] == "internal_error"


def test_a_body_that_cannot_be_read_refuses(server: Upstream, proxy: Proxied) -> None:
    with proxy.call(wire.COMPLETIONS, {**wire.CHAT, "model": "fault-read"}) as call:
        assert call.status == 500
        row = proxy.row(call)
    assert (row["outcome"], server.requests) == ("internal_error", [])


def test_a_bedrock_client_gets_its_own_error(server: Upstream, proxy: Proxied) -> None:
    path = "/bedrock/model/amazon.nova-micro-v1:0/converse"
    body = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    with proxy.call(path, body, {"x-fault": "Route.request"}) as call:
        assert call.status == 500
        assert call.headers["x-amzn-errortype"]
    assert server.requests == []


# --- what only watches

OBSERVERS = ["Watch.responseheaders", "Record.requestheaders", "Record.request", "Record.response"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_an_observer_that_fails_costs_nothing(
    server: Upstream, proxy: Proxied, observer: str, moment: str, stream: bool
) -> None:
    body = wire.CHAT_STREAM_ASKED if stream else wire.CHAT
    with proxy.call(wire.COMPLETIONS, body, {"x-fault": observer + moment}) as call:
        assert call.status == 200
        assert call.read() == (b"".join(wire.chat_stream()) if stream else wire.chat_answer("gpt-4o-mini"))
    assert len(server.requests) == 1
    if observer != "Record.requestheaders" or moment:
        wait_for(lambda: logged(proxy, f"{observer} failed"), "the line in the log")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("hook", ["Cache.request", "CacheStatus.responseheaders"])
def test_a_cache_that_fails_costs_answers_alone(
    server: Upstream, proxy: Proxied, hook: str, moment: str
) -> None:
    kept = {"cache-control": "max-age=600"}
    body = {**wire.CHAT, "messages": [{"role": "user", "content": f"{hook}{moment}"}]}
    for fault in ({}, {"x-fault": f"{hook}{moment}"}, {}):
        with proxy.call(wire.COMPLETIONS, body, {**kept, **fault}) as call:
            assert (call.status, call.read()) == (200, wire.chat_answer("gpt-4o-mini"))
    assert len(server.requests) == (2 if hook == "Cache.request" and not moment else 1)
    wait_for(lambda: logged(proxy, f"{hook} failed"), "the line in the log")


def test_a_cache_that_fails_between_two_tries_costs_nothing(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        if len(server.requests) > 1:
            await answer_all(request, answer)
        else:
            await request.read()
            await answer.whole(503, b'{"error":{"message":"busy","type":"server_error"}}')

    server.script = script
    headers = {"cache-control": "max-age=600", "x-fault": "Cache.try_again"}
    body = {**wire.CHAT, "messages": [{"role": "user", "content": "again"}]}
    with proxy.call(wire.COMPLETIONS, body, headers) as call:
        assert (call.status, call.read()) == (200, wire.chat_answer("gpt-4o-mini"))
    assert proxy.row(call)["cache"] == "miss"
    assert len(server.requests) == 2


def test_an_observer_that_fails_costs_an_upload_nothing(server: Upstream, proxy: Proxied) -> None:
    body = b"--b\r\n" + b"x" * 9_000_000 + b"\r\n--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b", "x-fault": "Record.requestheaders"}
    with proxy.call("/openai/v1/files", body, headers) as call:
        assert (call.status, json.loads(call.read())["id"]) == (200, "file-1")
    assert server.last.size == len(body)


PARTS = ["fault-tap", "fault-dialect", "fault-journal", "fault-ledger", "fault-bodies"]
UNREAD = {False: ("fault-tap", "fault-ledger"), True: ("fault-tap", "fault-dialect", "fault-ledger")}
"""By whether it is a stream: whose fault leaves the provider's numbers unread, which the row then says."""


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_a_part_that_fails_costs_neither_the_call_nor_its_row(
    server: Upstream, proxy: Proxied, part: str, stream: bool
) -> None:
    since = proxy.last_id()
    pieces = [wire.chat_chunk("once"), wire.chat_chunk(part), *wire.chat_stream()]

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        if stream:
            await answer.stream(*pieces)
        else:
            await answer.whole(200, wire.chat_answer(part))

    server.script = script
    body = {**(wire.CHAT_STREAM_ASKED if stream else wire.CHAT), "model": part}
    with proxy.call(wire.COMPLETIONS, body) as call:
        assert call.status == 200
        assert call.read() == (b"".join(pieces) if stream else wire.chat_answer(part))
    row = proxy.row(call)
    assert (row["provider"], row["model_requested"], row["attempts"]) == ("openai", part, 1)
    assert (row["project"], row["token"], row["outcome"], row["status"]) == ("demo", "laptop", "ok", 200)
    assert (row["usage_source"] == "provider") == (part not in UNREAD[stream])
    assert ("reading stopped" in row["warnings"] or "could not be read" in row["warnings"]) == (
        part in UNREAD[stream]
    )
    assert proxy.query("SELECT count(*) AS n FROM requests WHERE id > ?", since) == [{"n": 1}]


def test_a_full_disk_does_not_stop_service(server: Upstream, proxy: Proxied) -> None:
    """The journal cannot be written: calls go on, and their rows still reach the database."""
    for _ in range(3):
        with proxy.call(wire.COMPLETIONS, {**wire.CHAT, "model": "fault-journal"}) as call:
            assert call.status == 200
            call.read()
            row = proxy.row(call)
        assert (row["outcome"], row["output_tokens"]) == ("ok", 4)


def test_the_fault_of_a_tap_is_named_on_the_row(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(wire.chat_chunk("fault-tap"), *wire.chat_stream())

    server.script = script
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        call.read()
        row = proxy.row(call)
    assert "Injected" in row["warnings"]


def test_the_proxy_is_still_well(proxy: Proxied) -> None:
    """After all of this it is ready, and no fault went past the guards."""
    with proxy.call("/ready") as call:
        assert (call.status, json.loads(call.read())["problems"]) == (200, [])
    log = proxy.processes["proxy"].log.read_text()
    assert "mitmproxy has crashed" not in log
    assert "Addon error" not in log
