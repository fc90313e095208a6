"""Streams that are cut off, garbled or slowed down on purpose, through a running proxy."""

import json
import select
from http.client import IncompleteRead
from typing import Any

import httpx2 as httpx
import openai
import pytest

from tests.live import http2, wire
from tests.live.failing import HEADER, Clients, ask, only_row, simulate, told
from tests.live.loopback import Answer, Request, Upstream
from tests.live.proxied import Call, Proxied

LOST = (httpx.RemoteProtocolError, openai.APIConnectionError)


def test_a_stream_that_is_cut(server: Upstream, proxy: Proxied, clients: Clients) -> None:
    simulate(proxy, stream={"cut_after_events": 3})
    since = proxy.last_id()
    words: list[str] = []
    with ask(clients.openai("base_url"), stream=True) as stream:
        assert stream.response.headers[HEADER] == "stream_cut"
        with pytest.raises(LOST):
            _take(stream, words)
    assert words == list(wire.WORDS[:3])
    row = only_row(proxy, since)
    assert told(row) == (200, "upstream_cut", "stream_cut", 1)
    assert row["error_message"] == "the stream was cut off on purpose (simulated)"
    assert (row["usage_source"], row["attempts"]) == ("estimated", 1)


def _take(stream: Any, words: list[str]) -> None:
    for chunk in stream:
        words.append(chunk.choices[0].delta.content)


CUTS = [
    pytest.param(wire.COMPLETIONS, wire.CHAT_STREAM, wire.chat_stream, "text/event-stream", id="openai"),
    pytest.param(
        wire.ANTHROPIC, wire.MESSAGES_STREAM, wire.message_stream, "text/event-stream", id="anthropic"
    ),
    pytest.param(wire.GEMINI, wire.GEMINI_BODY, wire.gemini_array, "application/json", id="json array"),
    pytest.param(
        wire.CONVERSE,
        wire.CONVERSE_BODY,
        wire.converse_stream,
        "application/vnd.amazon.eventstream",
        id="aws",
    ),
]


def plain(events: list[bytes]) -> list[bytes]:
    """What a client that did not ask for usage is given of them."""
    return [event.replace(b',"usage":null', b"") for event in events if b'"choices":[]' not in event]


@pytest.mark.parametrize("at_once", [False, True], ids=["piece by piece", "in one go"])
@pytest.mark.parametrize(("path", "body", "events", "content_type"), CUTS)
def test_cuts_in_every_framing(
    server: Upstream,
    proxy: Proxied,
    path: str,
    body: object,
    events: Any,
    content_type: str,
    at_once: bool,
) -> None:
    """Abnormally: also if the provider's own end has been read already."""

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(*([b"".join(events())] if at_once else events()), content_type=content_type)

    server.script = script
    simulate(proxy, stream={"cut_after_events": 2})
    with proxy.call(path, body) as call:
        assert call.status == 200
        got, is_cut = _until_cut(call)
        row = proxy.row(call)
    assert is_cut
    assert got == b"".join(plain(events()[:2]))
    assert told(row) == (200, "upstream_cut", "stream_cut", 1)


def _until_cut(call: Call) -> tuple[bytes, bool]:
    """What came, and whether it ended before its end."""
    got = b""
    try:
        while piece := call.response.read1(65536):
            got += piece
    except (IncompleteRead, ConnectionResetError) as error:
        return got + getattr(error, "partial", b""), True
    return got, False


@pytest.mark.parametrize("size", [0, 100, 1000])
def test_cuts_after_bytes(server: Upstream, proxy: Proxied, size: int) -> None:
    simulate(proxy, stream={"cut_after_bytes": size})
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        assert _until_cut(call) == (b"".join(wire.chat_stream())[:size], True)
        assert told(proxy.row(call)) == (200, "upstream_cut", "stream_cut", 1)


def test_a_stream_that_is_shorter_than_the_cut(server: Upstream, proxy: Proxied) -> None:
    simulate(proxy, stream={"cut_after_bytes": 1_000_000})
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        assert call.read() == b"".join(wire.chat_stream())
        assert told(proxy.row(call)) == (200, "ok", "", 0)
    assert call.headers[HEADER] == "stream_cut"  # it was in store


def test_whole_answers_and_errors_are_not_cut(server: Upstream, proxy: Proxied) -> None:
    simulate(proxy, stream={"cut_after_bytes": 1})
    with proxy.call(wire.COMPLETIONS, wire.CHAT) as call:
        assert call.read() == wire.chat_answer()
        assert told(proxy.row(call)) == (200, "ok", "", 0)

    async def refuse(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(400, b'{"error":{"message":"no","type":"invalid_request_error"}}')

    server.script = refuse
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM) as call:
        assert (call.status, json.loads(call.read())["error"]["message"]) == (400, "no")


def test_others_on_a_shared_connection_outlive_a_cut(server: Upstream, proxy: Proxied) -> None:
    root = proxy.home / "certs" / "mitmproxy-ca-cert.pem"
    path, body = "/v1/chat/completions", json.dumps(wire.CHAT_STREAM_ASKED).encode()
    simulate(proxy, stream={"cut_after_events": 2})
    with http2.Client(proxy.port, "api.openai.com", root) as client:
        cut = client.post(path, body, proxy.headers)
        client.until(lambda: cut.reset)
        assert cut.body == b"".join(wire.chat_stream()[:2])
        simulate(proxy)
        other = client.post(path, body, proxy.headers)
        client.until(lambda: other.ended)
        assert other.body == b"".join(wire.chat_stream())


def test_a_garbled_event(server: Upstream, proxy: Proxied, clients: Clients) -> None:
    simulate(proxy, stream={"garble_at_event": 2})
    since = proxy.last_id()
    words: list[str] = []
    with ask(clients.openai("connect"), stream=True) as stream:
        assert stream.response.headers[HEADER] == "garbled"
        with pytest.raises(json.JSONDecodeError):
            _take(stream, words)
    assert words == list(wire.WORDS[:1])
    stream = clients.anthropic("base_url").messages.create(**wire.MESSAGES_STREAM)  # type: ignore[call-overload]
    with stream, pytest.raises(json.JSONDecodeError):
        list(stream)
    rows = proxy.settled(since)
    assert [row["failure"] for row in rows] == ["garbled"] * 2


def test_a_garbled_stream_is_whole_otherwise(server: Upstream, proxy: Proxied) -> None:
    simulate(proxy, stream={"garble_at_event": 2})
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        got, sent = call.read(), b"".join(wire.chat_stream())
        row = proxy.row(call)
    events = got.split(b"\n\n"), sent.split(b"\n\n")
    assert [n for n, (a, b) in enumerate(zip(*events, strict=True), 1) if a != b] == [2]
    # The provider sent it whole, and that is what it cost.
    assert told(row) == (200, "ok", "garbled", 1)
    assert (row["input_tokens"], row["output_tokens"]) == (14, 11)


def test_a_translated_stream_is_cut_as_its_client_reads_it(
    server: Upstream, proxy: Proxied, clients: Clients
) -> None:
    simulate(proxy, stream={"cut_after_events": 4})
    since = proxy.last_id()
    words: list[str] = []
    client = clients.openai("base_url")
    with ask(client, model="anthropic/claude-sonnet-5", stream=True) as stream, pytest.raises(LOST):
        _take(stream, words)
    assert len(words) == 4
    assert told(only_row(proxy, since)) == (200, "upstream_cut", "stream_cut", 1)


def test_what_is_compressed_is_asked_for_plain(server: Upstream, proxy: Proxied) -> None:
    simulate(proxy, stream={"cut_after_events": 2})
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED, {"accept-encoding": "gzip"}) as call:
        _until_cut(call)
        row = proxy.row(call)
    assert server.last.header("accept-encoding") == "identity"
    assert "header: accept-encoding" in json.loads(row["changes"])


# --- slow tokens

NEVER = 0.02
"""Events a second, of which no test will see a second one."""


def test_slow_tokens_come_one_by_one_while_others_proceed(server: Upstream, proxy: Proxied) -> None:
    """What the provider has sent at once."""

    async def at_once(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(b"".join(wire.chat_stream()))

    server.script = at_once
    simulate(proxy, slow_tokens={"tokens": NEVER})
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as slow:
        assert slow.headers[HEADER] == "slow_tokens"
        assert slow.take(1) == wire.chat_stream()[0]
        simulate(proxy)
        with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as other:
            assert other.read() == b"".join(wire.chat_stream())
        assert not select.select([slow.connection.sock], [], [], 0)[0]
    # It hung up; the provider's usage had come by then.
    row = proxy.row(slow)
    assert told(row) == (200, "client_gone", "slow_tokens", 1)
    assert (row["input_tokens"], row["output_tokens"]) == (14, 11)


@pytest.mark.parametrize(("path", "body", "events", "content_type"), CUTS)
def test_slow_streams_come_whole(
    server: Upstream, proxy: Proxied, path: str, body: object, events: Any, content_type: str
) -> None:
    """One event in each chunk."""

    async def at_once(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(b"".join(events()), content_type=content_type)

    server.script = at_once
    simulate(proxy, slow_tokens={"tokens": 500})
    with proxy.call(path, body) as call:
        got = []
        while piece := call.response.read1(65536):
            got.append(piece)
        row = proxy.row(call)
    assert b"".join(got) == b"".join(plain_events := plain(events()))
    assert len(got) == len(plain_events)
    assert told(row) == (200, "ok", "slow_tokens", 1)
    assert row["usage_source"] == "provider"


def test_a_slow_stream_of_another_dialect(server: Upstream, proxy: Proxied, clients: Clients) -> None:
    simulate(proxy, slow_tokens={"tokens": 500})
    since = proxy.last_id()
    words: list[str] = []
    with ask(clients.openai("connect"), model="anthropic/claude-sonnet-5", stream=True) as stream:
        _take(stream, words)
    assert "".join(filter(None, words)) == "".join(wire.WORDS)
    assert told(only_row(proxy, since)) == (200, "ok", "slow_tokens", 1)


def test_a_slow_stream_that_is_cut(server: Upstream, proxy: Proxied) -> None:
    simulate(proxy, slow_tokens={"tokens": 200}, stream={"cut_after_events": 3, "garble_at_event": 2})
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        assert call.headers[HEADER] == "stream_cut,garbled,slow_tokens"
        got, is_cut = _until_cut(call)
        row = proxy.row(call)
    sent = wire.chat_stream()
    assert is_cut
    assert len(got) == len(b"".join(sent[:3]))
    assert got.startswith(sent[0])
    assert got.endswith(sent[2])
    assert told(row) == (200, "upstream_cut", "slow_tokens,garbled,stream_cut", 1)


def test_a_slow_stream_whose_provider_goes_away(server: Upstream, proxy: Proxied) -> None:
    """What had come is given to the client, then the error that it would have got."""

    async def dying(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(b"".join(wire.chat_stream()[:4]))
        answer.cut()

    server.script = dying
    simulate(proxy, slow_tokens={"tokens": NEVER})
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        events = call.read().split(b"\n\n")
        row = proxy.row(call)
    assert [event + b"\n\n" for event in events[:4]] == wire.chat_stream()[:4]
    assert b'"error"' in events[4]
    assert told(row) == (200, "upstream_cut", "slow_tokens", 1)


def test_a_slow_stream_left_by_its_client(server: Upstream, proxy: Proxied) -> None:
    """After the provider's end: others on the connection are not disturbed."""
    simulate(proxy, slow_tokens={"tokens": NEVER})
    since = proxy.last_id()
    root = proxy.home / "certs" / "mitmproxy-ca-cert.pem"
    path, body = "/v1/chat/completions", json.dumps(wire.CHAT_STREAM_ASKED).encode()
    with http2.Client(proxy.port, "api.openai.com", root) as client:
        slow = client.post(path, body, proxy.headers)
        client.until(lambda: slow.body == wire.chat_stream()[0])
        simulate(proxy)
        other = client.post(path, body, proxy.headers)
        client.until(lambda: other.ended)
        client.reset(slow)
        third = client.post(path, body, proxy.headers)
        client.until(lambda: third.ended)
        assert other.body == third.body == b"".join(wire.chat_stream())
        rows = proxy.settled(since)
    assert [told(row)[1:3] for row in rows] == [("client_gone", "slow_tokens"), ("ok", ""), ("ok", "")]
