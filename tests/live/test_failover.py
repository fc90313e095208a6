"""Tries: what is tried again, where, and what the client sees of it. Two scripted providers, one proxy."""

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from llm_intercept.policy.routing import Route
from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import Proxied, proxied

CONFIG = """
[retries]
backoff = 0.001
[timeouts]
first_byte = 1
[breaker]
consecutive = 0
rate = 0
"""
BUSY = b'{"error":{"message":"busy","type":"server_error"}}'
SSE = [("content-type", "text/event-stream")]

type Part = Callable[[Request, Answer], Awaitable[None]]


@pytest.fixture(scope="module")
def first() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(scope="module")
def second() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(first: Upstream, second: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    bases = {"openai": first.url, "groq": second.url, "anthropic": second.url}
    with proxied(tmp_path_factory.mktemp("failover"), bases, config=CONFIG) as running:
        with running.control() as control:
            for name, to in (("same", "groq/"), ("other", "anthropic/claude-sonnet-5")):
                route = {"name": name, "match": {"models": [f"{name}-*"]}, "targets": ["openai/gpt-4o", to]}
                control.routes.set(Route.model_validate(route))
        yield running


@pytest.fixture(autouse=True)
def _reset(first: Upstream, second: Upstream) -> None:
    for server in (first, second):
        server.requests.clear()
        server.script = answer


async def answer(request: Request, answer: Answer) -> None:
    """Whatever is asked, in the dialect and the way it is asked."""
    asked = json.loads(await request.read())
    messages = request.target.endswith("/messages")
    if asked.get("stream"):
        await answer.stream(*(wire.message_stream() if messages else wire.chat_stream()))
    else:
        await answer.whole(200, wire.message_answer() if messages else wire.chat_answer())


def status(code: int, *fields: tuple[str, str]) -> Part:
    async def part(request: Request, answer: Answer) -> None:
        await request.read()
        length = ("content-length", str(len(BUSY)))
        await answer.head(code, [("content-type", "application/json"), length, *fields])
        await answer.send(BUSY)

    return part


async def chunked(request: Request, answer: Answer) -> None:
    """An error without a length."""
    await request.read()
    await answer.head(503, [("content-type", "application/json")])
    await answer.send(BUSY[:10], BUSY[10:])
    await answer.end()


async def lost(request: Request, answer: Answer) -> None:
    await request.read()
    answer.cut()


async def silent(request: Request, answer: Answer) -> None:
    await request.read()
    await request.reader.read()


async def poisoned(request: Request, answer: Answer) -> None:
    """200, and then nothing but an error."""
    await request.read()
    await answer.stream(wire.event(json.loads(BUSY)), wire.DONE)


FAILURES: dict[str, tuple[Part, str, int | None]] = {
    **{str(code): (status(code), "provider_error", code) for code in (500, 502, 503, 504, 529)},
    **{str(code): (status(code), "client_error", code) for code in (401, 403, 408, 409, 425, 429)},
    "chunked": (chunked, "provider_error", 503),
    "lost": (lost, "upstream_cut", None),
    "silent": (silent, "timeout", None),
    "poisoned": (poisoned, "provider_error", 200),
}


def ask(model: str, stream: bool) -> dict[str, Any]:
    return {**(wire.CHAT_STREAM_ASKED if stream else wire.CHAT), "model": model}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("route", ["same", "other"])
@pytest.mark.parametrize("how", FAILURES)
def test_the_second_target_answers_for_the_first(
    proxy: Proxied, first: Upstream, second: Upstream, how: str, route: str, stream: bool
) -> None:
    if how == "poisoned" and not stream:
        pytest.skip("an error inside a stream takes a stream")
    first.script, outcome, code = FAILURES[how]
    forgive(proxy)
    with proxy.call(wire.COMPLETIONS, ask(f"{route}-model", stream)) as call:
        said = call.read()
        assert call.status == 200, said
        row = proxy.row(call)
    assert (b"lighthouse" if stream else b"Once upon a time") in said, said
    assert b"busy" not in said
    assert b"message_start" not in said
    assert (row["outcome"], row["status"], row["attempts"], row["route"]) == ("ok", 200, 2, route)
    assert row["provider"] == ("groq" if route == "same" else "anthropic")
    tries = proxy.query("SELECT * FROM attempts WHERE request_id = ? ORDER BY number", row["id"])
    assert [(t["number"], t["provider"], t["outcome"], t["status"]) for t in tries] == [
        (1, "openai", outcome, code),
        (2, row["provider"], "ok", 200),
    ]
    assert tries[0]["model"] == "gpt-4o"
    assert (tries[0]["cost_nanos"], tries[1]["cost_nanos"]) == (None, row["cost_nanos"])
    [sent] = second.requests
    assert (b"gpt-4o" in sent.body, proxy.token in sent.head.decode()) == (False, False)


def forgive(proxy: Proxied) -> None:
    """No key cools down from one case to the next."""
    with proxy.control() as control:
        control.breakers.ask()


@pytest.mark.parametrize("code", [400, 404, 413, 422])
def test_what_the_client_did_wrong_is_its_own(
    proxy: Proxied, first: Upstream, second: Upstream, code: int
) -> None:
    first.script = status(code)
    with proxy.call(wire.COMPLETIONS, ask("same-model", False)) as call:
        assert (call.status, call.read()) == (code, BUSY)
        assert proxy.row(call)["attempts"] == 1
    assert second.requests == []


def test_when_all_fail_the_last_says_why(proxy: Proxied, first: Upstream, second: Upstream) -> None:
    first.script, second.script = status(503), status(500)
    with proxy.call(wire.COMPLETIONS, ask("same-model", False)) as call:
        assert (call.status, call.read()) == (500, BUSY)
        row = proxy.row(call)
    assert (row["outcome"], row["attempts"]) == ("provider_error", 3)


def test_after_the_first_byte_nothing_is_tried_again(
    proxy: Proxied, first: Upstream, second: Upstream
) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, SSE)
        await answer.send(*wire.chat_stream()[:3])
        answer.cut()

    first.script = script
    with proxy.call(wire.COMPLETIONS, ask("same-model", True)) as call:
        said = call.read()
        row = proxy.row(call)
    assert said.startswith(b"".join(wire.chat_stream()[:3]))
    assert b"upstream_disconnected" in said
    assert (row["outcome"], row["attempts"]) == ("upstream_cut", 1)
    assert second.requests == []


def test_a_key_that_is_used_up_is_followed_by_the_next(
    proxy: Proxied, first: Upstream, second: Upstream
) -> None:
    async def script(request: Request, then: Answer) -> None:
        if "extra" in request.header("authorization"):
            await answer(request, then)
        else:
            await status(429, ("retry-after", "30"))(request, then)

    first.script = script
    forgive(proxy)
    with proxy.control() as control:
        control.credentials.add("openai", SecretStr("sk-extra-0123456789abcdefghij"), name="extra")
    try:
        rows = []
        for _ in range(4):
            with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
                assert call.status == 200
                rows.append(proxy.row(call))
    finally:
        with proxy.control() as control:
            control.credentials.remove("openai", "extra")
    assert {row["credential"] for row in rows} == {"extra"}
    # The same conversation asks the same key first; once that cools down it is not asked at all.
    assert [row["attempts"] for row in rows[1:]] == [1, 1, 1]
