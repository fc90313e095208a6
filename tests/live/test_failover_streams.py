"""Tries and time: streams that are held back, waits between tries, clients that go away, timeouts."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from llm_intercept.policy.routing import Route
from tests.live import failover, wire
from tests.live.failover import then, tries_of
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import AWS, REAL, Proxied, proxied
from tests.live.stack import free_port, wait_for
from tests.live.test_failover import SSE, answer, ask, poisoned, silent, status

CONFIG = """
[retries]
backoff = 0.001
hold_ms = 100
budget = 20
[breaker]
consecutive = 0
rate = 0
[providers.deepseek.timeouts]
first_byte = 0.2
"""
ROUTES: dict[str, dict[str, Any]] = {
    "pair": {"targets": ["openai/gpt-4o", "groq/"]},
    "other": {"targets": ["anthropic/claude-sonnet-5", "bedrock/amazon.nova-micro-v1:0"]},
    "refused": {"targets": ["mistral/", "groq/"]},
    "unconnected": {"targets": ["cohere/", "groq/"], "timeouts": {"connect": 0.3}},
    "unspoken": {"targets": ["xai/grok-4", "groq/"], "timeouts": {"connect": 0.3, "first_byte": 0.1}},
    "unlimited": {"targets": ["xai/grok-4", "groq/"], "timeouts": {"connect": 0, "first_byte": 0.3}},
    "quick": {"targets": ["openai/gpt-4o", "groq/"], "timeouts": {"first_byte": 0.2}},
    "slow": {"targets": ["deepseek/", "groq/"]},
    "idle": {"targets": ["openai/gpt-4o", "groq/"], "timeouts": {"idle": 0.2}},
    "total": {"targets": ["openai/gpt-4o", "groq/"], "timeouts": {"total": 0.2}},
    "lone": {"targets": ["openai/gpt-4o"], "timeouts": {"total": 0.2}},
}
RESPONSES = "/openai/v1/responses"
AMAZON = "application/vnd.amazon.eventstream"


@pytest.fixture(scope="module")
def there() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(scope="module")
def dead() -> Iterator[int]:
    """A port that takes no connection, and refuses none: its backlog is full."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def dumb() -> Iterator[int]:
    """A port that takes every connection and never says a word, so that no TLS comes about."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def proxy(
    there: Upstream, dead: int, dumb: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    names = ("openai", "groq", "anthropic", "gemini", "bedrock", "deepseek")
    bases = {name: there.url for name in names}
    bases |= {"mistral": f"http://127.0.0.1:{free_port()}", "cohere": f"http://127.0.0.1:{dead}"}
    bases["xai"] = f"https://127.0.0.1:{dumb}"
    keys = {name: REAL.format(name) for name in bases} | {"bedrock": AWS}
    with proxied(tmp_path_factory.mktemp("failover"), bases, config=CONFIG, keys=keys) as running:
        with running.control() as control:
            for name, route in ROUTES.items():
                match = {"models": [f"{name}-*"]}
                control.routes.set(Route.model_validate({"name": name, "match": match, **route}))
            for name in ("anthropic", "gemini", "bedrock"):
                secret = AWS.replace("REAL0001", "REAL0002") if name == "bedrock" else REAL.format("second")
                control.credentials.add(name, SecretStr(secret), name="second")
        yield running


@pytest.fixture(autouse=True)
def _reset(proxy: Proxied, there: Upstream) -> None:
    there.requests.clear()
    there.script = answer
    failover.forgive(proxy)


# --- streams that begin with an error


def _streams(pieces: list[bytes], content_type: str = SSE[0][1]) -> Any:
    async def script(request: Request, to: Answer) -> None:
        await request.read()
        await to.stream(*pieces, content_type=content_type)

    return script


CREATED = {
    "type": "response.created",
    "response": {"id": "resp_1", "status": "in_progress"},
    "sequence_number": 0,
}
DELTA = {"type": "response.output_text.delta", "delta": "lighthouse", "output_index": 0, "sequence_number": 1}
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
COMPLETED = {
    "type": "response.completed",
    "response": {"id": "resp_1", "model": "gpt-4o", "status": "completed", "usage": USAGE},
    "sequence_number": 2,
}
FAILED = {
    "type": "response.failed",
    "response": {"id": "resp_1", "status": "failed", "error": {"code": "server_error", "message": "busy"}},
    "sequence_number": 1,
}
RESPONDED = [wire.event(one, str(one["type"])) for one in (CREATED, DELTA, COMPLETED)]
GOOGLE = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}
OVERLOADED = wire.event({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "error")
GOOD_GEMINI = [b"data: " + chunk + b"\r\n\r\n" for chunk in wire.gemini_chunks()]
POISONS = [
    pytest.param(
        wire.ANTHROPIC, wire.MESSAGES_STREAM, [wire.message_start(), OVERLOADED],
        wire.message_stream(), SSE[0][1], id="anthropic",
    ),
    pytest.param(
        RESPONSES, {"model": "pair-x", "input": "hi", "stream": True},
        [RESPONDED[0], wire.event(FAILED, "response.failed")], RESPONDED, SSE[0][1], id="responses",
    ),
    pytest.param(
        wire.GEMINI + "?alt=sse", wire.GEMINI_BODY, [wire.event(GOOGLE)], GOOD_GEMINI, SSE[0][1], id="gemini",
    ),
    pytest.param(
        wire.GEMINI, wire.GEMINI_BODY, [b"[" + json.dumps(GOOGLE).encode(), b"]"], wire.gemini_array(),
        "application/json; charset=UTF-8", id="gemini array",
    ),
    pytest.param(
        wire.CONVERSE, wire.CONVERSE_BODY,
        [wire.converse_stream()[0], wire.aws_event("modelStreamErrorException", {"message": "busy"})],
        wire.converse_stream(), AMAZON, id="converse",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "bad", "good", "kind"), POISONS)
def test_a_stream_that_begins_with_an_error_is_a_try_that_failed(
    proxy: Proxied, there: Upstream, path: str, body: object, bad: list[bytes], good: list[bytes], kind: str
) -> None:
    there.script = then(_streams(bad, kind), _streams(good, kind))
    with proxy.call(path, body) as call:
        assert (call.status, call.read()) == (200, b"".join(good))
        row = proxy.row(call)
    assert (row["outcome"], row["attempts"]) == ("ok", 2)
    assert [outcome for _, outcome, _ in tries_of(proxy, row)] == ["provider_error", "ok"]
    first, second = (request.header("authorization") or str(request.fields) for request in there.requests)
    assert first != second  # another provider's key, or another key


def test_translated_it_is_as_well(proxy: Proxied, there: Upstream) -> None:
    async def script(request: Request, to: Answer) -> None:
        if request.target.endswith("/messages"):
            await _streams([wire.message_start(), OVERLOADED])(request, to)
        else:
            await _streams(wire.converse_stream(), AMAZON)(request, to)

    there.script = script
    with proxy.call(wire.COMPLETIONS, ask("other-model", True)) as call:
        said = call.read()
        row = proxy.row(call)
    assert b"lighthouse" in said
    assert b"busy" not in said
    assert said.endswith(wire.DONE)
    assert (row["outcome"], row["provider"]) == ("ok", "bedrock")
    expected = [("anthropic", "provider_error", 200)] * 2 + [("bedrock", "ok", 200)]
    assert tries_of(proxy, row) == expected  # each with a key of its own


@pytest.mark.parametrize("model", ["pair-model", "other-model"], ids=["passed", "translated"])
def test_what_was_held_back_too_long_is_the_client_s(proxy: Proxied, there: Upstream, model: str) -> None:
    """The stream's beginning reaches the client without content; what follows cannot be undone."""
    gate = there.gate()
    messages = model.startswith("other")
    start = wire.message_start() if messages else wire.event({**_role(), "usage": None})
    error = OVERLOADED if messages else wire.event({"error": {"message": "busy", "type": "server_error"}})

    async def script(request: Request, to: Answer) -> None:
        await request.read()
        await to.head(200, SSE)
        await to.send(start)
        await gate.passed()
        await to.send(error)
        await to.end()

    there.script = script
    with proxy.call(wire.COMPLETIONS, ask(model, True)) as call:
        assert call.status == 200
        seen = call.take(1)
        gate.open()
        said = seen + call.read()
        row = proxy.row(call)
    assert b"busy" in said
    assert (row["outcome"], row["attempts"]) == ("provider_error", 1)
    assert len(there.requests) == 1


def _role() -> dict[str, Any]:
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def test_a_try_s_time_does_not_end_the_next(proxy: Proxied, there: Upstream) -> None:
    """What the first stream was held back for runs out while the second one is under way."""
    gate = there.gate()
    pieces = [wire.event({**_role(), "usage": None}), *wire.chat_stream()]

    async def second(request: Request, to: Answer) -> None:
        await request.read()
        await to.head(200, SSE)
        await to.send(pieces[0])
        await gate.passed()
        await to.send(*pieces[1:])
        await to.end()

    there.script = then(poisoned, second)
    with proxy.call(wire.COMPLETIONS, ask("pair-model", True)) as call:
        seen = call.take(len(pieces[0]))  # let go by the second one's time, which began after the first one's
        gate.open()
        assert seen + call.read() == b"".join(pieces)
        row = proxy.row(call)
    assert (row["outcome"], row["attempts"]) == ("ok", 2)


def test_a_connection_that_is_lost_while_held_back(proxy: Proxied, there: Upstream) -> None:
    async def cut(request: Request, to: Answer) -> None:
        await request.read()
        await to.head(200, SSE)
        await to.send(wire.event(_role()))
        to.cut()

    there.script = then(cut, answer)
    with proxy.call(wire.COMPLETIONS, ask("pair-model", True)) as call:
        assert (call.status, call.read()) == (200, b"".join(wire.chat_stream()))
        row = proxy.row(call)
    assert tries_of(proxy, row) == [("openai", "upstream_cut", 200), ("groq", "ok", 200)]


# --- clients that go away


def test_a_client_that_hangs_up_between_two_tries(proxy: Proxied, there: Upstream) -> None:
    since = proxy.last_id()
    there.script = status(503, ("retry-after", "15"))
    connection = proxy.connection()
    connection.request("POST", wire.COMPLETIONS, json.dumps(wire.CHAT), proxy.headers)
    wait_for(lambda: there.requests, "the first try")
    # Its failure has been taken in once another call's has: they are seen in order.
    there.script = answer
    with proxy.call(wire.ANTHROPIC, wire.MESSAGES) as other:
        assert other.read()
    connection.close()
    rows = wait_for(lambda: len(found := proxy.settled(since)) == 2 and found, "both rows")
    [row] = [row for row in rows if row["provider"] == "openai"]
    assert (row["outcome"], row["attempts"], row["status"]) == ("client_gone", 1, None)
    assert tries_of(proxy, row) == [("openai", "provider_error", 503)]
    assert len(there.requests) == 2
    assert row["cost_nanos"] is None


def test_a_client_that_hangs_up_while_its_stream_is_held_back(proxy: Proxied, there: Upstream) -> None:
    begun, over = there.gate(), there.gate()

    async def script(request: Request, to: Answer) -> None:
        await request.read()
        await to.head(200, SSE)
        begun.open()
        await request.reader.read()  # until the proxy hangs up
        over.open()

    since = proxy.last_id()
    there.script = script
    connection = proxy.connection()
    connection.request("POST", wire.COMPLETIONS, json.dumps(ask("pair-model", True)), proxy.headers)
    begun.wait("the beginning of the stream")
    connection.close()
    over.wait("the provider's side is ended as well")
    [row] = proxy.settled(since)
    assert (row["outcome"], row["attempts"]) == ("client_gone", 1)
    assert len(there.requests) == 1


# --- connections


def test_a_kept_connection_that_has_gone_stale(proxy: Proxied, there: Upstream) -> None:
    """The provider closes an idle connection right when the next request is on its way."""

    async def script(request: Request, to: Answer) -> None:
        await answer(request, to)

    there.script = then(script, _lost, script)
    since = proxy.last_id()
    connection = proxy.connection()
    for _ in range(2):
        connection.request("POST", wire.COMPLETIONS, json.dumps(wire.CHAT), proxy.headers)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, wire.chat_answer())
    connection.close()
    rows = proxy.settled(since)
    assert [row["attempts"] for row in rows] == [1, 2]
    assert tries_of(proxy, rows[1]) == [("openai", "upstream_cut", None), ("openai", "ok", 200)]
    first, second = there.requests[1:]
    assert (first.head, first.body) == (second.head, second.body)


async def _lost(request: Request, to: Answer) -> None:
    await request.read()
    to.cut()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("route", "provider", "outcome"),
    [
        ("refused", "mistral", "connect_failed"),
        ("unconnected", "cohere", "timeout"),
        ("unspoken", "xai", "timeout"),
        ("unlimited", "xai", "timeout"),
    ],
)
def test_a_target_without_a_connection(
    proxy: Proxied, route: str, provider: str, outcome: str, stream: bool
) -> None:
    with proxy.call(wire.COMPLETIONS, ask(f"{route}-model", stream)) as call:
        assert call.status == 200
        assert failover.said(stream) in call.read()
        row = proxy.row(call)
    assert tries_of(proxy, row) == [(provider, outcome, None), ("groq", "ok", 200)]


# --- timeouts


@pytest.mark.parametrize(("route", "provider"), [("quick", "openai"), ("slow", "deepseek")])
def test_the_first_byte_takes_too_long(proxy: Proxied, there: Upstream, route: str, provider: str) -> None:
    """A limit of the route, and one of the provider that is tried, not of the one that was called."""
    there.script = then(silent, answer)
    with proxy.call(wire.COMPLETIONS, ask(f"{route}-model", True)) as call:
        assert failover.said(True) in call.read()
        row = proxy.row(call)
    assert tries_of(proxy, row) == [(provider, "timeout", None), ("groq", "ok", 200)]


async def _half(request: Request, to: Answer) -> None:
    """Of an answer that is held whole."""
    await request.read()
    whole = wire.chat_answer()
    await to.head(200, [("content-type", "application/json"), ("content-length", str(len(whole)))])
    await to.send(whole[:20])


async def _pauses(request: Request, to: Answer) -> None:
    await _half(request, to)
    await request.reader.read()


async def _breaks_off(request: Request, to: Answer) -> None:
    await _half(request, to)
    to.cut()


@pytest.mark.parametrize(("how", "outcome"), [(_pauses, "timeout"), (_breaks_off, "upstream_cut")])
def test_an_answer_that_ends_half_way_is_tried_elsewhere(
    proxy: Proxied, there: Upstream, how: Any, outcome: str
) -> None:
    there.script = then(how, answer)
    with proxy.call(wire.COMPLETIONS, ask("idle-model", False)) as call:
        assert (call.status, call.read()) == (200, wire.chat_answer())
        row = proxy.row(call)
    assert tries_of(proxy, row) == [("openai", outcome, 200), ("groq", "ok", 200)]


@pytest.mark.parametrize(
    ("route", "why"),
    [("idle", b"the provider was silent for too long"), ("total", b"the call took longer than it may")],
)
def test_a_stream_that_stops_half_way_ends_in_an_error(
    proxy: Proxied, there: Upstream, route: str, why: bytes
) -> None:
    async def script(request: Request, to: Answer) -> None:
        await request.read()
        await to.head(200, SSE)
        await to.send(*wire.chat_stream()[:3])
        await request.reader.read()

    there.script = script
    with proxy.call(wire.COMPLETIONS, ask(f"{route}-model", True)) as call:
        said = call.read()
        row = proxy.row(call)
    assert said.startswith(b"".join(wire.chat_stream()[:3]))
    assert said.endswith(wire.DONE)
    assert b'{"message":"' + why + b'","type":"timeout_error"' in said
    assert (row["outcome"], row["attempts"]) == ("timeout", 1)


def test_the_whole_call_takes_too_long(proxy: Proxied, there: Upstream) -> None:
    """There is no time left for another target."""
    there.script = silent
    with proxy.call(wire.COMPLETIONS, ask("total-model", False)) as call:
        assert call.status == 504
        assert b"did not answer in time" in call.read()
        row = proxy.row(call)
    assert tries_of(proxy, row) == [("openai", "timeout", None)]
    assert row["outcome"] == "timeout"


def test_the_whole_call_s_time_ends_while_it_waits(proxy: Proxied, there: Upstream) -> None:
    there.script = status(503, ("retry-after", "15"))
    with proxy.call(wire.COMPLETIONS, ask("lone-model", False)) as call:
        assert call.status == 504
        row = proxy.row(call)
    assert row["outcome"] == "timeout"
    assert tries_of(proxy, row) == [("openai", "provider_error", 503)]
    assert len(there.requests) == 1


# --- waits


def test_a_provider_s_own_time_is_waited_for(proxy: Proxied, there: Upstream) -> None:
    """Another call is answered while this one waits: its second request comes after that."""
    order: list[str] = []
    failed, release = there.gate(), there.gate()

    async def script(request: Request, to: Answer) -> None:
        name = json.loads(await request.read())["user"]
        order.append(name)
        if order == ["waiting"]:
            await _busy(to, "1")
            failed.open()
            return
        if name == "quick":
            await release.passed()
        await to.whole(200, wire.chat_answer())

    there.script = script
    connection = proxy.connection()
    connection.request("POST", wire.COMPLETIONS, json.dumps({**wire.CHAT, "user": "waiting"}), proxy.headers)
    failed.wait("the first try")
    release.open()
    with proxy.call("/groq/v1/chat/completions", {**wire.CHAT, "user": "quick"}) as call:
        assert call.read() == wire.chat_answer()
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, wire.chat_answer())
    connection.close()
    assert order == ["waiting", "quick", "waiting"]


async def _busy(to: Answer, retry_after: str) -> None:
    length = ("content-length", str(len(failover.BUSY)))
    await to.head(503, [failover.JSON, length, ("retry-after", retry_after)])
    await to.send(failover.BUSY)


@pytest.mark.parametrize("seconds", ["21", "86400"])
def test_a_wait_beyond_the_budget_is_the_client_s(proxy: Proxied, there: Upstream, seconds: str) -> None:
    there.script = status(503, ("retry-after", seconds))
    with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
        assert (call.status, call.read()) == (503, failover.BUSY)
        assert call.headers["retry-after"] == seconds
        assert proxy.row(call)["attempts"] == 1


def test_waits_of_nothing(proxy: Proxied, there: Upstream) -> None:
    there.script = then(status(429, ("retry-after", "0")), answer)
    with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
        assert (call.status, call.read()) == (200, wire.chat_answer())
        assert proxy.row(call)["attempts"] == 2


def test_many_at_once(proxy: Proxied, there: Upstream) -> None:
    """Half of all tries fail; every call is answered."""
    fails = iter(range(10_000))

    async def script(request: Request, to: Answer) -> None:
        await (status(503) if next(fails) % 2 else answer)(request, to)

    there.script = script
    since = proxy.last_id()

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*(asyncio.to_thread(one) for _ in range(24)))

    def one() -> bytes:
        with proxy.call(wire.COMPLETIONS, ask("pair-model", True)) as call:
            return call.read()

    answers = asyncio.run(all_of_them())
    rows = proxy.settled(since)
    assert len(rows) == len(answers) == 24
    good = [said for said in answers if said == b"".join(wire.chat_stream())]
    assert len(good) == len([row for row in rows if row["outcome"] == "ok"])
    assert {said for said in answers} <= {b"".join(wire.chat_stream()), failover.BUSY}
    assert all(row["attempts"] == len(tries_of(proxy, row)) for row in rows)
