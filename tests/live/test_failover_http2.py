"""Tries for clients that speak HTTP/2 through CONNECT, with providers that do and that do not."""

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest

from llm_intercept.policy.routing import Route
from tests.live import failover, wire
from tests.live.failover import http2_answer, http2_status, row_of, tries_of
from tests.live.http2 import Call, Reply, Script, Server
from tests.live.loopback import PATIENCE, Upstream, upstream
from tests.live.proxied import Proxied, proxied
from tests.live.test_failover import CONFIG, FAILURES, answer, ask

PATH = "/v1/chat/completions"
HOST = "api.openai.com"
ROUTES = {
    "new-old": ["openai/gpt-4o", "groq/"],
    "new-other": ["openai/gpt-4o", "anthropic/claude-sonnet-5"],
    "old-new": ["groq/gpt-4o", "openai/"],
    "old-other": ["groq/gpt-4o", "mistral/", "anthropic/claude-sonnet-5"],
    "new-new": ["openai/gpt-4o", "deepseek/"],
}


@pytest.fixture(scope="module")
def old() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(scope="module")
def older() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with failover.http2_server(tmp_path_factory.mktemp("provider")) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(
    old: Upstream, older: Upstream, new: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    there = f"https://localhost:{new.port}"
    bases = {"openai": there, "deepseek": there, "groq": old.url, "anthropic": older.url}
    bases["mistral"] = "http://127.0.0.1:1"
    config = f'upstream_ca = "{new.certificate}"\n{CONFIG}'
    with proxied(tmp_path_factory.mktemp("failover"), bases, config=config) as running:
        with running.control() as control:
            for name, targets in ROUTES.items():
                route = {"name": name, "match": {"models": [f"{name}-*"]}, "targets": targets}
                control.routes.set(Route.model_validate(route))
        yield running


@pytest.fixture(autouse=True)
def _reset(proxy: Proxied, old: Upstream, older: Upstream, new: Server) -> None:
    for server in (old, older):
        server.requests.clear()
        server.script = answer
    new.calls.clear()
    new.script = http2_answer
    failover.forgive(proxy)


def call(proxy: Proxied, body: object) -> Reply:
    with failover.client(proxy, HOST) as client:
        reply = client.post(PATH, json.dumps(body).encode(), {"authorization": f"Bearer {proxy.token}"})
        client.until(lambda: reply.ended)
    return reply


NEW_FAILURES: dict[str, tuple[Script, str, int | None]] = {
    **{str(code): (http2_status(code), "provider_error", code) for code in (500, 502, 503, 504, 529)},
    **{str(code): (http2_status(code), "client_error", code) for code in (401, 403, 408, 409, 425, 429)},
    "reset": (failover.http2_reset, "upstream_cut", None),
    "hangs up": (failover.http2_hangs_up, "upstream_cut", None),
    "silent": (failover.http2_silent, "timeout", None),
    "poisoned": (failover.http2_poisoned, "provider_error", 200),
}
STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@STREAMS
@pytest.mark.parametrize(("route", "second"), [("new-old", "groq"), ("new-other", "anthropic")])
@pytest.mark.parametrize("how", NEW_FAILURES)
def test_an_http1_target_answers_for_one_of_http2(
    proxy: Proxied,
    new: Server,
    old: Upstream,
    older: Upstream,
    how: str,
    route: str,
    second: str,
    stream: bool,
) -> None:
    if how == "poisoned" and not stream:
        pytest.skip("an error inside a stream takes a stream")
    new.script, outcome, code = NEW_FAILURES[how]
    reply = call(proxy, ask(f"{route}-model", stream))
    _check(proxy, reply, stream, [("openai", outcome, code), (second, "ok", 200)])
    server = old if second == "groq" else older
    [sent] = server.requests
    assert sent.header("host") == f"127.0.0.1:{server.port}"
    assert proxy.token not in sent.head.decode()
    assert int(sent.header("content-length")) == len(sent.body)


@STREAMS
@pytest.mark.parametrize("how", FAILURES)
def test_an_http2_target_answers_for_one_of_http1(
    proxy: Proxied, new: Server, old: Upstream, how: str, stream: bool
) -> None:
    if how == "poisoned" and not stream:
        pytest.skip("an error inside a stream takes a stream")
    old.script, outcome, code = FAILURES[how]
    reply = call(proxy, ask("old-new-model", stream))
    _check(proxy, reply, stream, [("groq", outcome, code), ("openai", "ok", 200)])
    [sent] = new.calls
    assert sent.header(":authority") == f"localhost:{new.port}"
    assert sent.header("authorization") == "Bearer sk-real-openai-0123456789abcdefghij"
    assert "host" not in dict(sent.headers)


def _check(proxy: Proxied, reply: Reply, stream: bool, tries: list[tuple[str, str, int | None]]) -> None:
    assert reply.status == 200, reply.body
    assert failover.said(stream) in reply.body
    assert b"busy" not in reply.body
    assert not reply.reset
    row = row_of(proxy, reply.headers["x-llm-intercept-request-id"])
    assert (row["outcome"], row["entry"], row["attempts"]) == ("ok", "connect", len(tries))
    assert tries_of(proxy, row) == tries


@STREAMS
def test_over_a_target_that_cannot_be_reached(proxy: Proxied, old: Upstream, stream: bool) -> None:
    old.script, _, _ = FAILURES["503"]
    reply = call(proxy, ask("old-other-model", stream))
    expected = [
        ("groq", "provider_error", 503),
        ("mistral", "connect_failed", None),
        ("anthropic", "ok", 200),
    ]
    _check(proxy, reply, stream, expected)


@STREAMS
def test_another_provider_on_the_same_connection(proxy: Proxied, new: Server, stream: bool) -> None:
    """Two providers at one address: the same HTTP/2 connection serves both tries."""

    async def script(call: Call) -> None:
        await (http2_answer if "deepseek" in call.header("authorization") else http2_status(503))(call)

    new.script = script
    reply = call(proxy, ask("new-new-model", stream))
    _check(proxy, reply, stream, [("openai", "provider_error", 503), ("deepseek", "ok", 200)])
    first, second = new.calls
    assert first.server is second.server


@pytest.mark.parametrize("how", [name for name in NEW_FAILURES if name not in ("hangs up", "401", "403")])
def test_a_retry_leaves_others_on_its_connections_alone(proxy: Proxied, new: Server, how: str) -> None:
    """One call streams all the while, another fails and is tried again on the very same connections."""
    failing, _, _ = NEW_FAILURES[how]
    finish, pieces = threading.Event(), wire.chat_stream()
    failures = iter([failing])

    async def script(call: Call) -> None:
        await call.arrived.wait()
        if json.loads(call.body).get("user") != "steady":
            await next(failures, http2_answer)(call)
            return
        call.head(200, failover.SSE)
        call.send(pieces[0])
        await asyncio.to_thread(finish.wait, PATIENCE)
        for piece in pieces[1:]:
            call.send(piece)
        call.end()

    new.script = script
    model = "gpt-4o" if how != "poisoned" else "new-new-model"
    headers = {"authorization": f"Bearer {proxy.token}"}
    with failover.client(proxy, HOST) as client:
        steady = client.post(PATH, json.dumps({**ask("gpt-4o", True), "user": "steady"}).encode(), headers)
        client.until(lambda: steady.body)
        retried = client.post(PATH, json.dumps(ask(model, True)).encode(), headers)
        client.until(lambda: retried.ended)
        assert (retried.status, retried.body) == (200, b"".join(pieces))
        assert steady.body == pieces[0]
        finish.set()
        client.until(lambda: steady.ended)
    assert steady.body == b"".join(pieces)
    assert len({id(call.server) for call in new.calls}) == 1
    row = row_of(proxy, retried.headers["x-llm-intercept-request-id"])
    assert (row["outcome"], row["attempts"]) == ("ok", 2)
    assert row_of(proxy, steady.headers["x-llm-intercept-request-id"])["attempts"] == 1


def test_a_client_that_gives_up_one_call_between_its_tries(proxy: Proxied, new: Server) -> None:
    """One call waits for its next try and is reset; another on the same connection goes on."""
    waiting = threading.Event()

    async def script(call: Call) -> None:
        await call.arrived.wait()
        if json.loads(call.body).get("user") == "steady":
            await http2_answer(call)
            return
        await http2_status(503, ("retry-after", "20"))(call)
        waiting.set()

    new.script = script
    since = proxy.last_id()
    headers = {"authorization": f"Bearer {proxy.token}"}
    with failover.client(proxy, HOST) as client:
        left = client.post(PATH, json.dumps(ask("gpt-4o", False)).encode(), headers)
        assert waiting.wait(PATIENCE)
        # An answer to another call proves that the failure of the first one has been seen.
        steady = client.post(PATH, json.dumps({**ask("gpt-4o", False), "user": "steady"}).encode(), headers)
        client.until(lambda: steady.ended)
        assert not left.ended
        client.reset(left)
        again = client.post(PATH, json.dumps({**ask("gpt-4o", False), "user": "steady"}).encode(), headers)
        client.until(lambda: again.ended)
    rows = proxy.settled(since)
    assert sorted(row["outcome"] for row in rows) == ["client_gone", "ok", "ok"]
    [gone] = [row for row in rows if row["outcome"] == "client_gone"]
    assert tries_of(proxy, gone) == [("openai", "provider_error", 503)]
    assert len(new.calls) == 3
