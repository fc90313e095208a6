"""Limits through a real proxy: what they refuse never arrives, SDKs raise their errors, all is settled."""

import contextlib
import http.client
import json
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from llm_intercept.home import Home
from llm_intercept.policy.limits import Limit
from llm_intercept.store.reservations import Counters
from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import Proxied, proxied
from tests.live.stack import wait_for

PRICES = """
[[prices]]
model = "gpt-4o-mini*"
input = 1
output = 10

[[prices]]
model = "claude-sonnet-5"
input = 1
output = 10
"""


async def answer_all(request: Request, answer: Answer) -> None:
    body = json.loads(await request.read())
    if "/messages" in request.target:
        await answer.whole(200, wire.message_answer())
    elif body.get("stream"):
        await answer.stream(*wire.chat_stream())
    else:
        await answer.whole(200, wire.chat_answer())


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream(answer_all) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    home = tmp_path_factory.mktemp("limits")
    bases = {"openai": server.url, "anthropic": server.url}
    with proxied(home, bases, config=PRICES) as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream, proxy: Proxied) -> Iterator[None]:
    server.script = answer_all
    server.requests.clear()
    yield
    with proxy.control() as control:
        for record in control.limits.list():
            control.limits.remove(record.id)


def limit(proxy: Proxied, measure: str, amount: int, **more: object) -> str:
    """Sets it; the very next call obeys it."""
    given = {"scope": "project", "name": "demo", "measure": measure, "amount": amount, **more}
    with proxy.control() as control:
        return control.limits.set(Limit.model_validate(given)).id


def counted(proxy: Proxied, id_: str) -> tuple[int, int]:
    """(used, reserved), once nothing is under way any more."""
    proxy.settled()
    home = Home(proxy.home)

    def done() -> list[tuple[int, int]]:
        with closing(Counters(home.limits_db)) as counters:
            found = counters.read()
            idle = not counters.open_reservations()
        of_it = [(c.used, c.reserved) for key, c in found.items() if key.partition(":")[0] == id_]
        return [of_it[0] if of_it else (0, 0)] if idle else []

    return wait_for(done, "reservations are open")[0]


def chat(proxy: Proxied, **more: object) -> tuple[int, dict[str, Any]]:
    with proxy.call(wire.COMPLETIONS, {**wire.CHAT, "max_tokens": 50, **more}) as call:
        return call.status, json.loads(call.read())


def test_ten_of_fifty(server: Upstream, proxy: Proxied) -> None:
    id_ = limit(proxy, "requests", 10)
    with ThreadPoolExecutor(25) as threads:
        statuses = [status for status, _ in threads.map(lambda _: chat(proxy), range(50))]
    assert sorted(statuses) == [200] * 10 + [429] * 40
    assert len(server.requests) == 10
    assert counted(proxy, id_) == (10, 0)


def test_openai_raises_its_own_error(proxy: Proxied) -> None:
    id_ = limit(proxy, "requests", 1, per="day", timezone="Europe/Berlin")
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.token, max_retries=0) as client:
        say = client.chat.completions.with_raw_response
        ask: Any = {"model": "gpt-4o-mini", "messages": wire.CHAT["messages"]}
        headers = say.create(**ask).headers
        assert headers["x-ratelimit-limit-requests"] == "1"
        assert headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as refused:
            say.create(**ask)
    said = refused.value
    assert (
        f"Project demo may make 1 request a day (limit {id_}); 1 is used or reserved; resets at"
        in said.message
    )
    assert "Europe/Berlin" in said.message
    assert isinstance(said.body, dict)
    assert (said.code, said.body["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert int(said.response.headers["retry-after"]) > 0
    assert said.response.headers["x-ratelimit-remaining-requests"] == "0"


def test_anthropic_raises_its_own_error(proxy: Proxied) -> None:
    limit(proxy, "tokens", 300, per="minute")
    with anthropic.Anthropic(base_url=proxy.url, api_key=proxy.token, max_retries=0) as client:
        say: Any = client.messages.with_raw_response
        answered = say.create(**wire.MESSAGES)
        assert answered.headers["anthropic-ratelimit-tokens-limit"] == "300"
        assert answered.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
        with pytest.raises(anthropic.RateLimitError) as refused:
            say.create(**{**wire.MESSAGES, "max_tokens": 280})
    assert "may use 300 tokens a minute" in refused.value.message
    assert "this call may take up to" in refused.value.message


def test_a_budget_is_no_rate(server: Upstream, proxy: Proxied) -> None:
    id_ = limit(proxy, "cost", 600_000, per="month")
    status, body = chat(proxy)
    assert status == 200
    [row] = proxy.settled()[-1:]
    assert counted(proxy, id_) == (row["cost_nanos"], 0) == (54_000, 0)
    status, body = chat(proxy, max_tokens=60)
    assert status == 429
    assert (body["error"]["type"], body["error"]["code"]) == ("insufficient_quota", "budget_exceeded")
    assert "Project demo may spend $0.000600 a month" in body["error"]["message"]
    assert len(server.requests) == 1
    assert counted(proxy, id_) == (54_000, 0)


def test_a_model_without_a_price_is_refused_under_a_budget(server: Upstream, proxy: Proxied) -> None:
    limit(proxy, "cost", 10**9, per="day")
    status, body = chat(proxy, model="nobody-knows-it")
    assert (status, body["error"]["code"]) == (403, "unpriced_model")
    assert "[[prices]]" in body["error"]["message"]
    assert server.requests == []


def test_questions_count_against_nothing(proxy: Proxied) -> None:
    id_ = limit(proxy, "requests", 1)
    for _ in range(3):
        with proxy.call("/anthropic/v1/messages/count_tokens", wire.MESSAGES) as call:
            assert call.status == 200
    with proxy.call("/v1/models") as call:
        call.read()
        assert call.status != 429
    assert counted(proxy, id_) == (0, 0)


def test_what_a_provider_keeps_of_a_conversation_is_input_as_well(server: Upstream, proxy: Proxied) -> None:
    long = {"input_tokens": 70_000, "output_tokens": 500, "total_tokens": 70_500}
    said = {"id": "resp_long", "object": "response", "status": "completed", "model": "gpt-4o-mini"}

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, json.dumps({**said, "output": [], "usage": long}).encode())

    server.script = script
    id_ = limit(proxy, "tokens", 100_000)
    asked = {"model": "gpt-4o-mini", "input": "go on", "max_output_tokens": 1_000}
    statuses = []
    for more in ({}, {"previous_response_id": "resp_long"}, {"previous_response_id": "resp_other"}):
        with proxy.call("/openai/v1/responses", {**asked, **more}) as call:
            statuses.append((call.status, b"up to 71,5" in call.read()))
    assert statuses == [(200, False), (429, True), (200, False)]
    assert counted(proxy, id_) == (141_000, 0)


def test_a_slot_is_free_once_the_call_has_ended(server: Upstream, proxy: Proxied) -> None:
    id_ = limit(proxy, "concurrency", 1)
    gate = server.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(wire.chat_chunk("Once"))
        await gate.passed()
        await answer.send(*wire.chat_stream())
        await answer.end()

    server.script = script
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as first:
        first.take(10)
        status, body = chat(proxy)
        assert status == 429
        assert "may have 1 call at once" in body["error"]["message"]
        gate.open()
        first.read()
    server.script = answer_all
    assert chat(proxy)[0] == 200
    assert counted(proxy, id_) == (0, 0)


OUTCOMES = {
    "answer": "ok",
    "stream": "ok",
    "error": "client_error",
    "cut": "upstream_cut",
    "gone": "client_gone",
    "unknown": "ok",
}


@pytest.mark.parametrize("end", OUTCOMES)
def test_every_end_settles_once(server: Upstream, proxy: Proxied, end: str) -> None:
    requests, tokens = limit(proxy, "requests", 100), limit(proxy, "tokens", 100_000)
    slot = limit(proxy, "concurrency", 9)
    gate = server.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        if end == "error":
            return await answer.whole(400, b'{"error":{"message":"no","type":"invalid_request_error"}}')
        if end in ("answer", "unknown"):
            whole = json.loads(wire.chat_answer())
            if end == "unknown":
                del whole["usage"]
                whole["choices"][0]["message"]["content"] = None
            return await answer.whole(200, json.dumps(whole).encode())
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(wire.chat_chunk("Once"), wire.chat_chunk(" upon"))
        await gate.passed()
        if end == "cut":
            answer.reusable = False
            return None
        await answer.send(*wire.chat_stream())
        return await answer.end()

    server.script = script
    since = proxy.last_id()
    body = (
        {**wire.CHAT, "max_tokens": 50} if end in ("answer", "error", "unknown") else wire.CHAT_STREAM_ASKED
    )
    with proxy.call(wire.COMPLETIONS, body) as call:
        if end == "gone":
            call.take(10)
            call.close()
        gate.open()
        if end != "gone":
            with contextlib.suppress(http.client.IncompleteRead):
                call.read()
    [row] = proxy.settled(since)
    used = (row["input_tokens"] or 0) + (row["output_tokens"] or 0)
    assert row["outcome"] == OUTCOMES[end]
    assert counted(proxy, requests) == (1, 0)
    assert counted(proxy, slot) == (0, 0)
    if end == "unknown":
        assert counted(proxy, tokens)[0] > 50
    else:
        assert counted(proxy, tokens) == (used, 0)


def test_a_call_that_never_left_counts_against_nothing(
    server: Upstream, proxy: Proxied, tmp_path: Path
) -> None:
    id_ = limit(proxy, "requests", 1, scope="global", name="")
    with proxy.call("/anthropic/v1/messages", b"not json", {"authorization": "Bearer lli_nonsense"}) as call:
        assert call.status == 401
    with proxy.call("/mistral/v1/chat/completions", {**wire.CHAT, "model": "m"}) as call:
        assert call.status == 403  # no key is stored
    assert counted(proxy, id_) == (0, 0)
    assert chat(proxy)[0] == 200


def test_after_kill_9_what_was_reserved_counts(server: Upstream, tmp_path: Path) -> None:
    gates = [server.gate() for _ in range(6)]
    arrived = iter(gates)

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(wire.chat_chunk("Once"))
        await next(arrived).passed()

    with proxied(tmp_path / "home", {"openai": server.url}, config=PRICES) as mortal:
        requests, tokens = limit(mortal, "requests", 8), limit(mortal, "tokens", 10**6)
        slots = limit(mortal, "concurrency", 6)
        assert chat(mortal)[0] == 200
        mortal.settled()
        server.script = script
        calls = [mortal.call(wire.COMPLETIONS, wire.CHAT_STREAM) for _ in gates]
        for call in calls:
            call.take(10)
        with closing(Counters(Home(mortal.home).limits_db)) as counters:
            [(used, reserved)] = [
                (c.used, c.reserved) for key, c in counters.read().items() if key == f"{tokens}:"
            ]
        assert (used, reserved > 6 * 100) == (18, True)
        mortal.processes["proxy"].stop(signal.SIGKILL)
        for call, gate in zip(calls, gates, strict=True):
            call.close()
            gate.open()
        server.script = answer_all
        mortal.start_proxy()
        assert counted(mortal, requests) == (7, 0)
        assert counted(mortal, slots) == (0, 0)
        assert counted(mortal, tokens) == (used + reserved, 0), "a budget must not last longer for crashes"
        assert [chat(mortal)[0] for _ in range(2)] == [200, 429]


def test_a_second_try_is_the_same_call(server: Upstream, proxy: Proxied) -> None:
    requests, tokens = limit(proxy, "requests", 1), limit(proxy, "tokens", 300)

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        if len(server.requests) == 1:
            await answer.whole(503, b'{"error":{"message":"not now","type":"server_error"}}')
        else:
            await answer.whole(200, wire.chat_answer())

    server.script = script
    assert chat(proxy)[0] == 200
    assert len(server.requests) == 2
    assert counted(proxy, requests) == (1, 0)
    assert counted(proxy, tokens) == (18, 0)


def test_the_reservation_moves_with_the_target(server: Upstream, proxy: Proxied) -> None:
    """And a target whose limit is full is passed by."""
    here = {"scope": "model", "name": "gpt-4o-mini"}
    there = {"scope": "model", "name": "claude-sonnet-5"}
    first, second = limit(proxy, "requests", 9, **here), limit(proxy, "requests", 1, **there)
    proxy.cli("route", "set", "both", "--model", "gpt-4o-mini", "--to", "openai/",
              "--to", "anthropic/claude-sonnet-5")  # fmt: skip

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        if "/messages" in request.target:
            await answer.whole(200, wire.message_answer())
        else:
            await answer.whole(500, b'{"error":{"message":"not now","type":"server_error"}}')

    server.script = script
    try:
        assert chat(proxy)[0] == 200
        assert counted(proxy, second) == (1, 0)
        assert counted(proxy, first) == (0, 0)
        assert chat(proxy)[0] == 500
        assert counted(proxy, second) == (1, 0)
        assert counted(proxy, first) == (1, 0)
    finally:
        proxy.cli("route", "remove", "both")


@pytest.mark.parametrize("quota", [None, 5], ids=["tokens of a limit", "requests of a token"])
def test_a_socket_is_refused_where_it_could_overspend(
    server: Upstream, proxy: Proxied, quota: int | None
) -> None:
    token = proxy.token
    if quota is None:
        limit(proxy, "tokens", 10**6)
    else:
        with proxy.control() as control:
            token = control.tokens.create("demo", "counted", max_requests=quota).text
    headers = {"authorization": f"Bearer {token}", "connection": "Upgrade", "upgrade": "websocket"}
    headers |= {"sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    with proxy.call("/openai/v1/responses", headers=headers) as call:
        assert call.status == 426
        assert json.loads(call.read())["error"]["code"] == "limit_needs_http"
    assert server.requests == []


def test_two_proxies_share_a_limit(server: Upstream, tmp_path: Path) -> None:
    with proxied(tmp_path / "home", {"openai": server.url}, config=PRICES) as one:
        id_ = limit(one, "requests", 9)
        two = Proxied(one.home, token=one.token)
        two.start_proxy()
        try:
            with ThreadPoolExecutor(12) as threads:
                statuses = [s for s, _ in threads.map(lambda n: chat((one, two)[n % 2]), range(40))]
            assert sorted(statuses) == [200] * 9 + [429] * 31
            assert len(server.requests) == 9
            two.settled()
            assert counted(one, id_) == (9, 0)
        finally:
            two.stop()


def test_a_ceiling_for_models_without_a_price(server: Upstream, tmp_path: Path) -> None:
    config = "[limits]\nunpriced_ceiling = 100\n"
    with proxied(tmp_path / "home", {"openai": server.url}, config=config) as capped:
        id_ = limit(capped, "cost", 10**9, per="day")
        assert chat(capped, model="nobody-knows-it")[0] == 200
        [row] = capped.settled()
        expected = 18 * 100_000 if row["cost_nanos"] is None else row["cost_nanos"]
        assert counted(capped, id_) == (expected, 0)


FAULTY = Path(__file__).with_name("faulty.py")
GATES = ("Admit.request", "Admit.request late", "Translate.request")
OBSERVERS = ("Record.request", "Record.response", "Allowance.response late")


def test_a_fault_of_ours_leaves_nothing_reserved(server: Upstream, tmp_path: Path) -> None:
    """Not even one in the hook that would have told of the end."""
    with proxied(tmp_path / "home", {"openai": server.url}, config=PRICES, entry=(str(FAULTY),)) as faulty:
        slots, requests = limit(faulty, "concurrency", 1), limit(faulty, "requests", 4)
        for gate in GATES:
            with faulty.call(wire.COMPLETIONS, wire.CHAT, {"x-fault": gate}) as call:
                assert call.status == 500
        assert counted(faulty, requests) == (0, 0)
        for observer in OBSERVERS:

            def served(fault: str = observer) -> bool:
                with faulty.call(wire.COMPLETIONS, wire.CHAT, {"x-fault": fault}) as call:
                    return call.status == 200

            wait_for(served, f"the slot that a fault in {observer} left taken")
        wait_for(lambda: counted(faulty, slots) == (0, 0), "a slot is still taken")
        assert counted(faulty, requests) == (3, 0)


class Hook(BaseHTTPRequestHandler):
    came: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.came.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_soft_limit_tells_a_web_hook(server: Upstream, tmp_path: Path) -> None:
    Hook.came = []
    hook = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=hook.serve_forever)
    thread.start()
    config = f'[[webhooks]]\nurl = "http://127.0.0.1:{hook.server_address[1]}/"\nsecret = "s"\n'
    try:
        with proxied(tmp_path / "home", {"openai": server.url}, config=config) as told:
            limit(told, "requests", 2, per="day", soft=True)
            assert [chat(told)[0] for _ in range(3)] == [200] * 3
            wait_for(lambda: Hook.came, "an event")
            assert "llm_events_total" in told.metrics()
    finally:
        hook.shutdown()
        thread.join()
        hook.server_close()
    [event] = Hook.came
    assert (event["type"], event["data"]["percent"]) == ("limit.threshold", 100)
    assert event["data"]["text"] == "project demo may make 2 requests a day; 2 are used or reserved"
