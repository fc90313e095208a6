"""What a further try is sent: the same bytes, another key, no thinking, a larger model; what is sent once."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zstandard
from pydantic import SecretStr
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from llm_intercept.policy.routing import Route
from llm_intercept.store.bodies import read_bodies
from tests.live import failover, wire
from tests.live.failover import then, tries_of
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import REAL, Proxied, proxied
from tests.live.stack import wait_for
from tests.live.test_failover import answer, ask, status

CONFIG = """
[retries]
backoff = 0.001
[breaker]
consecutive = 0
rate = 0
[capture]
bodies = "all"
"""
SECOND = "sk-second-0123456789abcdefghij"
LONGER = ["groq/", "anthropic/claude-opus-4-8"]
ROUTES: dict[str, dict[str, Any]] = {
    "pair": {"targets": ["openai/gpt-4o", "groq/"]},
    "other": {"targets": ["openai/gpt-4o", "anthropic/claude-sonnet-5"]},
    "long": {"targets": ["openai/gpt-4o", "mistral/"], "longer": LONGER},
    "short": {"targets": ["openai/gpt-4o", "mistral/"]},
    "odd": {
        "targets": [
            {"provider": "openai", "model": "gpt-4o", "overrides": {"temperature": 0.5}},
            {"provider": "groq", "overrides": {"temperature": 0.25}},
        ]
    },
}


@pytest.fixture(scope="module")
def there() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(there: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    names = ("openai", "groq", "anthropic", "gemini", "mistral", "deepseek")
    bases = {name: there.url for name in names}
    with proxied(tmp_path_factory.mktemp("failover"), bases, config=CONFIG) as running:
        with running.control() as control:
            for name, route in ROUTES.items():
                match = {"models": [f"{name}-*"]}
                control.routes.set(Route.model_validate({"name": name, "match": match, **route}))
            control.credentials.add("deepseek", SecretStr(SECOND), name="second")
        yield running


@pytest.fixture(autouse=True)
def _reset(proxy: Proxied, there: Upstream) -> None:
    there.requests.clear()
    there.script = answer
    failover.forgive(proxy)


def refuses(code: int, body: bytes) -> Callable[[Request, Answer], Any]:
    async def script(request: Request, to: Answer) -> None:
        await request.read()
        await to.whole(code, body)

    return script


def kept(proxy: Proxied, row: dict[str, Any]) -> str:
    """The request's body as it was captured."""
    found = wait_for(lambda: read_bodies(proxy.home / "bodies.db", row["id"]), "the bodies")
    return next(body.text for body in found if body.side == "request")


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


# --- the same again


@pytest.mark.parametrize("coding", CODINGS)
def test_a_retry_at_the_same_target_is_the_same(proxy: Proxied, there: Upstream, coding: str) -> None:
    there.script = then(status(503), answer)
    body = CODINGS[coding](b'{ "model":"gpt-4o-mini" , "messages":[{"role":"user","content":"\\u00e9"}] }')
    headers = {"x-own": "kept", "user-agent": "test/1"} | ({"content-encoding": coding} if coding else {})
    there.script = then(status(503), _whole)
    with proxy.call(wire.COMPLETIONS, body, headers) as call:
        assert (call.status, call.read()) == (200, wire.chat_answer())
        row = proxy.row(call)
    first, second = there.requests
    assert first.head == second.head
    assert first.body == second.body == body
    assert (second.header("x-own"), second.header("content-encoding")) == ("kept", coding)
    assert second.header("authorization") == f"Bearer {REAL.format('openai')}"
    assert row["request_sha256"] == row["upstream_sha256"] == second.sha256
    assert json.loads(row["changes"])[0] == "try 2: openai after 503"


async def _whole(request: Request, to: Answer) -> None:
    await request.read()
    await to.whole(200, wire.chat_answer())


def test_what_was_asked_for_on_top_is_asked_for_again(proxy: Proxied, there: Upstream) -> None:
    """The usage that the client did not ask for is hidden after the second try as well, once."""
    there.script = then(status(503), _asked)
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM) as call:
        assert call.read() == b"".join(wire.chat_stream(usage=False))
        row = proxy.row(call)
    first, second = there.requests
    assert first.body == second.body
    assert json.loads(second.body)["stream_options"] == {"include_usage": True}
    assert json.loads(row["changes"]).count("body: stream_options.include_usage") == 1
    assert row["output_tokens"] == 11


async def _asked(request: Request, to: Answer) -> None:
    await request.read()
    await to.stream(*wire.chat_stream())


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("route", ["pair", "other", "odd"])
def test_a_body_is_written_anew_from_what_the_client_sent(
    proxy: Proxied, there: Upstream, route: str, coding: str
) -> None:
    there.script = then(refuses(503, failover.BUSY), _by_path)
    body = CODINGS[coding](json.dumps(ask(f"{route}-model", False)).encode())
    with proxy.call(wire.COMPLETIONS, body, {"content-encoding": coding} if coding else {}) as call:
        assert call.status == 200
        assert failover.said(False) in call.read()
        row = proxy.row(call)
    first, second = (
        {"body": json.loads(one.body), "key": one.header("authorization")} for one in there.requests
    )
    assert first["body"]["model"] == "gpt-4o"
    assert first["key"] == f"Bearer {REAL.format('openai')}"
    if route == "other":
        assert there.last.header("x-api-key") == REAL.format("anthropic")
        assert second["body"]["model"] == "claude-sonnet-5"
        assert not second["key"]
    else:
        assert second["body"]["model"] == f"{route}-model"
        assert second["key"] == f"Bearer {REAL.format('groq')}"
    if route == "odd":
        assert (first["body"]["temperature"], second["body"]["temperature"]) == (0.5, 0.25)
    assert there.last.header("content-encoding") in ("", coding)
    assert kept(proxy, row) == json.dumps(ask(f"{route}-model", False))


async def _by_path(request: Request, to: Answer) -> None:
    await request.read()
    messages = request.target.endswith("/messages")
    await to.whole(200, wire.message_answer() if messages else wire.chat_answer())


@pytest.mark.parametrize("code", [401, 403, 429])
def test_the_next_key_serves_the_same_call(proxy: Proxied, there: Upstream, code: int) -> None:
    refused: list[str] = []

    async def script(request: Request, to: Answer) -> None:
        key = request.header("authorization")
        refused.append(key)
        await (answer if len(set(refused)) > 1 else status(code, ("retry-after", "30")))(request, to)

    there.script = script
    with proxy.call("/deepseek/v1/chat/completions", wire.CHAT) as call:
        assert (call.status, call.read()) == (200, wire.chat_answer())
        row = proxy.row(call)
    first, second = there.requests
    keys = {f"Bearer {SECOND}", f"Bearer {REAL.format('deepseek')}"}
    assert {first.header("authorization"), second.header("authorization")} == keys
    assert first.body == second.body
    assert proxy.token not in (first.head + second.head).decode()
    assert tries_of(proxy, row) == [("deepseek", "client_error", code), ("deepseek", "ok", 200)]


# --- too long


TOO_LONG = json.dumps(
    {"error": {"message": "maximum context length is 128000 tokens", "code": "context_length_exceeded"}}
).encode()


def test_a_longer_context_where_the_route_says_so(proxy: Proxied, there: Upstream) -> None:
    async def script(request: Request, to: Answer) -> None:
        key = request.header("authorization")
        if "openai" in key:
            await refuses(400, TOO_LONG)(request, to)
        elif "groq" in key:
            await status(503)(request, to)
        else:
            await answer(request, to)

    there.script = script
    with proxy.call(wire.COMPLETIONS, ask("long-model", True)) as call:
        assert failover.said(True) in call.read()
        row = proxy.row(call)
    expected = [("openai", "client_error", 400), ("groq", "provider_error", 503), ("anthropic", "ok", 200)]
    assert tries_of(proxy, row) == expected


def test_too_long_is_the_client_s_otherwise(proxy: Proxied, there: Upstream) -> None:
    there.script = refuses(400, TOO_LONG)
    with proxy.call(wire.COMPLETIONS, ask("short-model", False)) as call:
        assert (call.status, call.read()) == (400, TOO_LONG)
        assert proxy.row(call)["attempts"] == 1


# --- signatures


THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "ErUBCkYIAxgCIkD"}
TURNS = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "Hi"}]},
    {"role": "user", "content": "And now?"},
]
INVALID = json.dumps(
    {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
        },
    }
).encode()
GOOGLE_TURNS = [
    {"role": "user", "parts": [{"text": "Hello"}]},
    {
        "role": "model",
        "parts": [{"text": "Hm.", "thought": True}, {"text": "Hi", "thoughtSignature": "c2ln"}],
    },
    {"role": "user", "parts": [{"text": "And now?"}]},
]
CORRUPTED = json.dumps(
    {"error": {"code": 400, "message": "Corrupted thought signature.", "status": "INVALID_ARGUMENT"}}
).encode()
ITEMS = [
    {"role": "user", "content": "Hello"},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABn"},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hi"}],
    },
    {"role": "user", "content": "And now?"},
]
ENCRYPTED = json.dumps(
    {
        "error": {
            "message": "The encrypted content gAAA could not be verified.",
            "type": "invalid_request_error",
            "code": "invalid_encrypted_content",
        }
    }
).encode()
MESSAGES = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": TURNS}
GENERATE = "/gemini/v1beta/models/gemini-2.5-flash:generateContent"
SIGNED = [
    pytest.param(wire.ANTHROPIC, MESSAGES, INVALID, (b"Hm.", b"ErUB"), id="anthropic"),
    pytest.param(GENERATE, {"contents": GOOGLE_TURNS}, CORRUPTED, (b"Hm.", b"c2ln"), id="gemini"),
    pytest.param(
        "/openai/v1/responses",
        {"model": "gpt-5", "input": ITEMS},
        ENCRYPTED,
        (b"gAAA", b"rs_1"),
        id="responses",
    ),
]
FINE = b'{"fine": true}'


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("path", "body", "error", "gone"), SIGNED)
def test_a_refused_signature_is_tried_once_without_thinking(
    proxy: Proxied,
    there: Upstream,
    path: str,
    body: object,
    error: bytes,
    gone: tuple[bytes, ...],
    coding: str,
) -> None:
    there.script = then(refuses(400, error), refuses(200, FINE))
    sent = CODINGS[coding](json.dumps(body).encode())
    with proxy.call(path, sent, {"content-encoding": coding} if coding else {}) as call:
        assert (call.status, call.read()) == (200, FINE)
        row = proxy.row(call)
    first, second = there.requests
    assert (first.body, first.header("content-encoding")) == (sent, coding)
    assert second.header("content-encoding") == ""
    assert not [word for word in gone if word in second.body]
    assert b"And now?" in second.body
    assert b"Hi" in second.body
    assert row["attempts"] == 2
    assert "its signature was refused" in row["warnings"]
    assert row["request_sha256"] == first.sha256
    assert row["upstream_sha256"] == second.sha256
    assert kept(proxy, row) == json.dumps(body)


@pytest.mark.parametrize(("path", "body", "error", "gone"), SIGNED)
def test_a_signature_that_goes_on_being_refused_is_the_client_s(
    proxy: Proxied, there: Upstream, path: str, body: object, error: bytes, gone: tuple[bytes, ...]
) -> None:
    there.script = refuses(400, error)
    with proxy.call(path, body) as call:
        assert (call.status, call.read()) == (400, error)
        assert proxy.row(call)["attempts"] == 2


def test_without_any_thinking_there_is_nothing_to_leave_out(proxy: Proxied, there: Upstream) -> None:
    there.script = refuses(400, INVALID)
    with proxy.call(wire.ANTHROPIC, wire.MESSAGES) as call:
        assert (call.status, call.read()) == (400, INVALID)
        assert proxy.row(call)["attempts"] == 1


def test_of_a_translated_call_it_is_the_provider_s_error_that_counts(proxy: Proxied, there: Upstream) -> None:
    """An Anthropic client with a history that was thought by Google, and is refused there."""
    with proxy.control() as control:
        route = {"name": "g", "match": {"models": ["google-*"]}, "targets": ["gemini/gemini-2.5-flash"]}
        control.routes.set(Route.model_validate(route))
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "lli1.gemini.c2ln"}
    turns = [TURNS[0], {"role": "assistant", "content": [thought, {"type": "text", "text": "Hi"}]}, TURNS[2]]
    good = json.loads(wire.gemini_chunks()[-1])
    there.script = then(refuses(400, CORRUPTED), refuses(200, json.dumps(good).encode()))
    body = {"model": "google-model", "max_tokens": 9, "messages": turns}
    with proxy.call(wire.ANTHROPIC, body) as call:
        assert call.status == 200, call.read()
        assert json.loads(call.read())["content"][0]["text"] == " sea"
        row = proxy.row(call)
    first, second = there.requests
    assert b"Hm." in first.body
    assert b"Hm." not in second.body
    assert row["attempts"] == 2


# --- what is not tried again


def test_an_upload_that_streams_through_is_sent_once(proxy: Proxied, there: Upstream) -> None:
    there.script = status(503)
    headers = {"content-type": "multipart/form-data; boundary=b"}
    body = b"--b\r\n" + b"0123456789abcdef" * 600_000 + b"\r\n--b--\r\n"
    with proxy.call("/openai/v1/files", body, headers) as call:
        assert (call.status, call.read()) == (503, failover.BUSY)
        assert proxy.row(call)["attempts"] == 1
    assert there.last.size == len(body)
    assert len(there.requests) == 1


def test_a_websocket_is_not_tried_again(proxy: Proxied, there: Upstream) -> None:
    there.script = status(503)
    headers = {"authorization": f"Bearer {proxy.token}"}
    url = f"ws://127.0.0.1:{proxy.port}/openai/v1/responses"
    with pytest.raises(InvalidStatus) as raised, connect(url, additional_headers=headers, proxy=None):
        pass
    assert raised.value.response.status_code == 503
    assert len(there.requests) == 1


@pytest.mark.parametrize("code", [429, 500, 503, 529])
def test_a_client_s_own_key_is_the_client_s_to_try_again(proxy: Proxied, there: Upstream, code: int) -> None:
    there.script = status(code, ("retry-after", "0"))
    headers = {"authorization": "Bearer sk-own-0123456789abcdef0123456789abcdef"}
    with proxy.call(wire.COMPLETIONS, wire.CHAT, headers) as call:
        assert (call.status, call.read()) == (code, failover.BUSY)
        assert proxy.row(call)["attempts"] == 1
