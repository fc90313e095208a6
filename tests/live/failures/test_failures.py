"""Failures on purpose that end a call, through a running proxy: what SDKs make of them, and what rows say.

Settings are changed while the proxy runs; each test sets its own.
"""

import contextlib
import dataclasses
import json
import signal
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors as google_errors

from tests.live import http2, wire
from tests.live.failing import HEADER, Clients, ask, only_row, simulate, told
from tests.live.loopback import Answer, Request, Upstream
from tests.live.proxied import Proxied, proxied
from tests.live.stack import free_port, wait_for

ENTRIES = pytest.mark.parametrize("entry", ["base_url", "connect"])


# --- calls that end here

OPENAI_RAISES: list[tuple[int, type[openai.APIStatusError], str]] = [
    (400, openai.BadRequestError, "invalid_request_error"),
    (401, openai.AuthenticationError, "authentication_error"),
    (408, openai.APIStatusError, "timeout_error"),
    (429, openai.RateLimitError, "rate_limit_error"),
    (500, openai.InternalServerError, "server_error"),
    (502, openai.InternalServerError, "server_error"),
    (503, openai.InternalServerError, "server_error"),
    (529, openai.InternalServerError, "server_error"),
]


@ENTRIES
@pytest.mark.parametrize(("status", "raised", "kind"), OPENAI_RAISES)
def test_openai_raises_its_own(
    server: Upstream,
    proxy: Proxied,
    clients: Clients,
    entry: str,
    status: int,
    raised: type[openai.APIStatusError],
    kind: str,
) -> None:
    simulate(proxy, error_injection={"error_rates": {str(status): 1}, "retry_after": 7})
    since = proxy.last_id()
    with pytest.raises(raised) as error:
        ask(clients.openai(entry))
    said, headers = error.value, error.value.response.headers
    assert (said.status_code, said.type, said.code) == (status, kind, "simulated_failure")
    assert "Simulated by llm-intercept (error_injection)" in said.message
    assert headers[HEADER] == "error_injection"
    assert headers.get("retry-after") == ("7" if status == 429 else None)
    row = only_row(proxy, since)
    outcome = "client_error" if status < 500 else "provider_error"
    assert told(row) == (status, outcome, "error_injection", 1)
    assert (row["entry"], row["provider"], row["operation"]) == (entry, "openai", "chat")
    assert (row["model_requested"], row["project"], row["token"]) == ("gpt-4o-mini", "demo", "laptop")
    assert (row["attempts"], row["cost_nanos"], row["error_type"]) == (0, None, kind)
    assert row["request_id"] == said.request_id
    assert server.requests == []


ANTHROPIC_RAISES: list[tuple[int, type[anthropic.APIStatusError], str]] = [
    (403, anthropic.PermissionDeniedError, "permission_error"),
    (429, anthropic.RateLimitError, "rate_limit_error"),
    (500, anthropic.InternalServerError, "api_error"),
    (529, anthropic.InternalServerError, "overloaded_error"),
]


@ENTRIES
@pytest.mark.parametrize(("status", "raised", "kind"), ANTHROPIC_RAISES)
def test_anthropic_raises_its_own(
    server: Upstream,
    proxy: Proxied,
    clients: Clients,
    entry: str,
    status: int,
    raised: type[anthropic.APIStatusError],
    kind: str,
) -> None:
    simulate(proxy, error_injection={"error_rates": {str(status): 1}})
    since = proxy.last_id()
    with pytest.raises(raised) as error:
        clients.anthropic(entry).messages.create(**wire.MESSAGES)  # type: ignore[call-overload]
    body: Any = error.value.body
    assert (error.value.status_code, body["type"], body["error"]["type"]) == (status, "error", kind)
    assert "Simulated by llm-intercept" in body["error"]["message"]
    assert error.value.response.headers.get("retry-after") == ("1" if status == 429 else None)
    assert only_row(proxy, since)["error_type"] == kind
    assert server.requests == []


@ENTRIES
def test_google_raises_its_own(server: Upstream, proxy: Proxied, clients: Clients, entry: str) -> None:
    simulate(proxy, error_injection={"error_rates": {"503": 1}})
    with pytest.raises(google_errors.ServerError) as error:
        clients.gemini(entry).models.generate_content(model="gemini-2.5-flash", contents="hi")
    assert (error.value.code, error.value.status) == (503, "UNAVAILABLE")
    assert "Simulated" in str(error.value.message)
    assert server.requests == []


def test_amazon_gets_its_exception(server: Upstream, proxy: Proxied) -> None:
    simulate(proxy, error_injection={"error_rates": {"429": 1}})
    with proxy.call(wire.CONVERSE, wire.CONVERSE_BODY) as call:
        assert (call.status, call.headers["x-amzn-errortype"]) == (429, "ThrottlingException")
        assert "Simulated" in json.loads(call.read())["message"]
    assert server.requests == []


@ENTRIES
def test_addresses_that_are_blocked(server: Upstream, proxy: Proxied, clients: Clients, entry: str) -> None:
    simulate(proxy, ip_filtering={"block": ["127.0.0.0/8"]})
    since = proxy.last_id()
    with pytest.raises(openai.PermissionDeniedError, match="ip_blocked"):
        ask(clients.openai(entry))
    with pytest.raises(anthropic.PermissionDeniedError, match="ip_blocked"):
        clients.anthropic(entry).messages.create(**wire.MESSAGES)  # type: ignore[call-overload]
    assert [told(row) for row in proxy.settled(since)] == [(403, "client_error", "ip_blocked", 1)] * 2
    simulate(proxy, ip_filtering={"allow": ["127.0.*"], "block": ["10.*"]})
    assert ask(clients.openai(entry)).choices
    assert len(server.requests) == 1


def test_calls_beyond_the_limit(server: Upstream, proxy: Proxied, clients: Clients) -> None:
    simulate(proxy, rate_limiting={"requests_per_minute": 2})
    client = clients.openai("base_url")
    assert ask(client).choices
    assert ask(client).choices
    since = proxy.last_id()
    with pytest.raises(openai.RateLimitError) as error:
        ask(client)
    assert 1 <= int(error.value.response.headers["retry-after"]) <= 60
    assert told(only_row(proxy, since)) == (429, "client_error", "rate_limited", 1)
    assert len(server.requests) == 2


def test_a_streamed_upload_can_fail_as_well(server: Upstream, proxy: Proxied) -> None:
    """Its body would stream to the provider from the head on."""
    simulate(proxy, error_injection={"error_rates": {"500": 1}})
    since = proxy.last_id()
    headers = {"content-type": "multipart/form-data; boundary=b"}
    with proxy.call("/openai/v1/files", b"--b\r\n" + b"x" * 9_000_000 + b"\r\n--b--\r\n", headers) as call:
        assert (call.status, call.headers[HEADER]) == (500, "error_injection")
        call.read()
    assert told(only_row(proxy, since)) == (500, "provider_error", "error_injection", 1)
    assert server.requests == []


# --- time


def test_a_timeout(server: Upstream, proxy: Proxied, clients: Clients) -> None:
    simulate(proxy, timeout={"seconds": 0.1})
    since = proxy.last_id()
    with pytest.raises(openai.InternalServerError) as error:
        ask(clients.openai("base_url"))
    assert (error.value.status_code, error.value.type) == (504, "timeout_error")
    assert error.value.response.headers[HEADER] == "timeout"
    with pytest.raises(anthropic.APIStatusError) as other:
        clients.anthropic("connect").messages.create(**wire.MESSAGES)  # type: ignore[call-overload]
    assert other.value.status_code == 504
    rows = proxy.settled(since)
    assert [told(row) for row in rows] == [(504, "timeout", "timeout", 1)] * 2
    assert all(row["model_requested"] and row["duration_ms"] >= 100 for row in rows)
    assert server.requests == []


@ENTRIES
def test_a_hang_ends_with_its_client(server: Upstream, proxy: Proxied, clients: Clients, entry: str) -> None:
    """Nobody else waits with it."""
    simulate(proxy, timeout={})
    since = proxy.last_id()
    with pytest.raises(openai.APITimeoutError):
        ask(clients.openai(entry, timeout=0.3))
    row = only_row(proxy, since)
    assert told(row) == (None, "client_gone", "timeout", 1)
    assert (row["entry"], row["model_requested"], row["attempts"]) == (entry, "gpt-4o-mini", 0)
    assert server.requests == []


SEED = 3
"""At a rate of one half the first call hangs and the second does not: once that is answered, it is held."""


def test_others_do_not_wait_with_a_hang(server: Upstream, proxy: Proxied) -> None:
    """Not even on the same HTTP/2 connection."""
    simulate(proxy, timeout={"rate": 0.5}, seed=SEED)
    since = proxy.last_id()
    root = proxy.home / "certs" / "mitmproxy-ca-cert.pem"
    with http2.Client(proxy.port, "api.openai.com", root) as client:
        path, body = "/v1/chat/completions", json.dumps(wire.CHAT).encode()
        hanging = client.post(path, body, proxy.headers)
        other = client.post(path, body, proxy.headers)
        client.until(lambda: other.ended)
        assert other.status == 200
        assert not hanging.status
        client.reset(hanging)
        rows = wait_for(lambda: (r := proxy.settled(since)) and len(r) == 2 and r, "two rows")
    assert [told(row) for row in rows] == [(None, "client_gone", "timeout", 1), (200, "ok", "", 0)]


def test_an_answer_that_comes_late(server: Upstream, proxy: Proxied, clients: Clients) -> None:
    simulate(proxy, response_delay={"min": 0.2, "max": 0.2})
    since = proxy.last_id()
    answer = clients.openai("connect").chat.completions.with_raw_response.create(**wire.CHAT)  # type: ignore[call-overload]
    assert answer.headers[HEADER] == "response_delay"
    assert answer.parse().choices
    row = only_row(proxy, since)
    assert told(row) == (200, "ok", "response_delay", 1)
    assert row["ttfb_ms"] >= 200
    assert (row["attempts"], row["usage_source"]) == (1, "provider")


def test_only_answers_out_of_the_cache_are_late(server: Upstream, proxy: Proxied) -> None:
    simulate(proxy, response_delay={"min": 30, "max": 30, "cache_only": True})
    with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
        assert call.read() == wire.chat_answer()
        assert told(proxy.row(call)) == (200, "ok", "", 0)
    assert HEADER not in call.headers


KEPT = {"cache-control": "max-age=600"}


def test_an_answer_out_of_the_cache_is_late(server: Upstream, proxy: Proxied) -> None:
    body = {**wire.CHAT, "messages": [{"role": "user", "content": "late"}]}
    simulate(proxy, response_delay={"min": 0.2, "max": 0.2, "cache_only": True})
    with proxy.call(wire.COMPLETIONS, body, KEPT) as first:
        first.read()
    with proxy.call(wire.COMPLETIONS, body, KEPT) as hit:
        assert hit.read() == wire.chat_answer()
    assert [call.headers["x-cache"] for call in (first, hit)] == ["MISS", "HIT"]
    assert [call.headers[HEADER] for call in (first, hit)] == [None, "response_delay"]
    assert [told(proxy.row(call)) for call in (first, hit)] == [
        (200, "ok", "", 0),
        (200, "ok", "response_delay", 1),
    ]
    assert proxy.row(hit)["ttfb_ms"] >= 200
    assert len(server.requests) == 1


def test_a_late_answer_can_be_stored(server: Upstream, proxy: Proxied) -> None:
    """Nothing of it is made up; what is spoilt is another matter."""
    body = {**wire.CHAT_STREAM, "messages": [{"role": "user", "content": "late, and stored"}]}
    simulate(proxy, stream={"garble_at_event": 2})
    with proxy.call(wire.COMPLETIONS, body, KEPT) as spoilt:
        spoilt.read()
    assert proxy.row(spoilt)["cache"] == "miss"
    simulate(proxy, response_delay={"min": 0.01, "max": 0.01})
    found = []
    for _ in range(2):
        with proxy.call(wire.COMPLETIONS, body, KEPT) as call:
            found.append((call.headers["x-cache"], call.read()))
    assert [cache for cache, _ in found] == ["MISS", "HIT"]
    assert found[0][1] == found[1][1]


def test_hits_meet_failures_once(server: Upstream, proxy: Proxied) -> None:
    """As often as other calls do."""

    def run() -> list[int]:
        simulate(proxy, error_injection={"error_rates": {"429": 0.3, "500": 0.3}}, seed=7)
        found = []
        for _ in range(12):
            with proxy.call(wire.COMPLETIONS, {**wire.CHAT, "seed": 1}, KEPT) as call:
                found.append(call.status)
                call.read()
        return found

    assert run() == run() == [200, 200, 429, 429, 200, 200, 200, 429, 200, 429, 500, 200]
    assert len(server.requests) == 1


# --- runs


def test_a_seed_makes_runs_repeatable(server: Upstream, proxy: Proxied) -> None:
    def run() -> list[int]:
        simulate(proxy, error_injection={"error_rates": {"429": 0.3, "500": 0.3}}, seed=7)
        found = []
        for _ in range(12):
            with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
                found.append(call.status)
                call.read()
        return found

    first = run()
    assert first == [200, 200, 429, 429, 200, 200, 200, 429, 200, 429, 500, 200]
    assert run() == first


def test_a_call_that_is_tried_again_is_judged_once(server: Upstream, proxy: Proxied) -> None:
    """And counted once: the calls behind it have the fates that they would have had."""
    statuses = iter([503, 200, 200])

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        status = next(statuses)
        await answer.whole(status, wire.chat_answer() if status == 200 else b'{"error":{"message":"busy"}}')

    server.script = script
    rates = {"error_rates": {"429": 0.3, "500": 0.3}}
    simulate(proxy, error_injection=rates, response_delay={"min": 0.1, "max": 0.1}, seed=7)
    since = proxy.last_id()
    found = []
    for _ in range(3):
        with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
            found.append((call.status, call.headers[HEADER]))
            call.read()
    assert found == [(200, "response_delay")] * 2 + [(429, "error_injection")]
    rows = proxy.settled(since)
    assert [row["attempts"] for row in rows] == [2, 1, 0]
    assert [row["failure"] for row in rows] == ["response_delay", "response_delay", "error_injection"]


def test_what_is_simulated_is_not_the_provider_s_fault(server: Upstream, proxy: Proxied) -> None:
    """Its breaker stays closed however many streams are cut."""
    simulate(proxy, stream={"cut_after_bytes": 10}, error_injection={"error_rates": {"500": 0.5}}, seed=7)
    for _ in range(12):
        with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM) as call, contextlib.suppress(IncompleteRead):
            call.read()
    simulate(proxy)
    with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
        assert call.status == 200


def test_of_a_listener(server: Upstream, proxy: Proxied) -> None:
    """Its settings go before those of the project."""
    port = free_port()
    proxy.cli("listener", "create", "flaky", "--port", str(port), "--start")
    proxy.cli("failure", "set", "--listener", "flaky", "--error", "503=1")
    proxy.cli("failure", "set", "--project", "demo", "--error", "502=1")
    there = dataclasses.replace(proxy, port=port)
    with there.call(wire.COMPLETIONS, wire.CHAT) as call:
        row = proxy.row(call)
        assert (call.status, row["listener"], row["failure"]) == (503, "flaky", "error_injection")
    with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
        assert call.status == 502
    proxy.cli("listener", "stop", "flaky")


def test_settings_change_while_the_proxy_runs(server: Upstream, proxy: Proxied) -> None:
    """By the command, as an operator would; and for nobody else."""
    proxy.cli("failure", "set", "--project", "demo", "--error", "503=1")
    with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
        assert call.status == 503
    own = {"authorization": "Bearer sk-a-client-of-its-own-0123456789"}
    with proxy.call(wire.COMPLETIONS, wire.CHAT, own) as call:
        assert call.status == 200  # the default project
        assert HEADER not in call.headers
    proxy.cli("failure", "set", "--project", "demo", "--off", "error_injection")
    with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
        assert call.status == 200


def test_what_is_no_call_does_not_fail(server: Upstream, proxy: Proxied) -> None:
    simulate(proxy, error_injection={"error_rates": {"500": 1}})
    for path in ("/health", "/"):
        with proxy.call(path) as call:
            assert call.status == 200


def test_the_end_of_the_proxy_ends_a_hang(server: Upstream, tmp_path: Path) -> None:
    with proxied(tmp_path / "home", {"openai": server.url}) as stopping:
        simulate(stopping, timeout={"rate": 0.5}, seed=SEED)
        root = stopping.home / "certs" / "mitmproxy-ca-cert.pem"
        with http2.Client(stopping.port, "api.openai.com", root) as client:
            path, body = "/v1/chat/completions", json.dumps(wire.CHAT).encode()
            hanging = client.post(path, body, stopping.headers)
            other = client.post(path, body, stopping.headers)
            client.until(lambda: other.ended)
            stopping.processes["proxy"].popen.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
            client.until(lambda: hanging.ended)
            assert (hanging.status, hanging.headers[HEADER]) == (504, "timeout")
        assert stopping.processes["proxy"].stop() == 0
        [row] = stopping.query("SELECT * FROM requests WHERE failure <> ''")
    assert told(row) == (504, "timeout", "timeout", 1)
