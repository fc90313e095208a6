"""Streams pass piece by piece, in every framing and coding, and their rows say what passed when.

The upstream sends nothing further until the client has seen what came before: whoever holds bytes
back stops the test, no clock is needed.
"""

import gzip
import http.client
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import brotli
import pytest
import zstandard

from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import AWS, REAL, Call, Proxied, proxied

NAMES = ("openai", "anthropic", "gemini", "bedrock", "groq", "deepseek")
KEYS = {name: REAL.format(name) for name in NAMES} | {"bedrock": AWS}


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    home = tmp_path_factory.mktemp("streams")
    with proxied(home, dict.fromkeys(NAMES, server.url), keys=KEYS) as running:
        yield running


@pytest.fixture(scope="module")
def plain(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A proxy that asks for no usage of its own."""
    home = tmp_path_factory.mktemp("plain")
    with proxied(home, {"openai": server.url}, config="[usage]\ninject = false\n") as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream) -> None:
    server.requests.clear()


class Handshake:
    """Sends one piece at a time, each after the client has told that it has the one before."""

    def __init__(
        self, server: Upstream, pieces: list[bytes], content_type: str, *fields: tuple[str, str]
    ) -> None:
        self.pieces = pieces
        self.gates = [server.gate() for _ in pieces]
        self.fields = [("content-type", content_type), *fields]
        server.script = self._script

    async def _script(self, request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, self.fields)
        for piece, gate in zip(self.pieces, self.gates, strict=True):
            await answer.send(piece)
            await gate.passed()
        await answer.end()

    def follow(self, call: Call, expected: list[bytes] | None = None) -> None:
        """Takes each piece as the client and lets the next one go; what is not expected must not come."""
        for piece, gate in zip(self.pieces if expected is None else expected, self.gates, strict=True):
            got = call.take(len(piece)) if piece else b""
            assert got == piece
            gate.open()
        assert call.read() == b""


SSE = "text/event-stream; charset=utf-8"
FRAMINGS = [
    pytest.param(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED, SSE, wire.chat_stream, (14, 11), id="openai"),
    pytest.param(wire.ANTHROPIC, wire.MESSAGES_STREAM, SSE, wire.message_stream, (25, 13), id="anthropic"),
    pytest.param(
        wire.GEMINI, wire.GEMINI_BODY, "application/json", wire.gemini_array, (6, 11), id="json array"
    ),
    pytest.param(
        f"{wire.GEMINI}?alt=sse",
        wire.GEMINI_BODY,
        SSE,
        lambda: [b"data: " + chunk + b"\r\n\r\n" for chunk in wire.gemini_chunks()],
        (6, 11),
        id="gemini sse",
    ),
    pytest.param(
        wire.CONVERSE,
        wire.CONVERSE_BODY,
        "application/vnd.amazon.eventstream",
        wire.converse_stream,
        (9, 11),
        id="aws event stream",
    ),
]


@pytest.mark.parametrize(("path", "body", "content_type", "pieces", "tokens"), FRAMINGS)
def test_each_event_passes_before_the_next_is_sent(
    server: Upstream,
    proxy: Proxied,
    path: str,
    body: object,
    content_type: str,
    pieces: Callable[[], list[bytes]],
    tokens: tuple[int, int],
) -> None:
    handshake = Handshake(server, pieces(), content_type)
    with proxy.call(path, body) as call:
        handshake.follow(call)
        row = proxy.row(call)
    assert (row["outcome"], row["stream"], row["usage_source"]) == ("ok", 1, "provider")
    assert (row["input_tokens"], row["output_tokens"]) == tokens
    assert row["response_bytes"] == sum(map(len, pieces()))
    assert row["upstream_sha256"] == row["request_sha256"] == server.last.sha256
    assert "body" not in row["changes"]
    _plausible(row)


ORDER = [
    "received",
    "authenticated",
    "admitted",
    "sent",
    "first_byte",
    "first_token",
    "last_byte",
    "recorded",
]


def _plausible(row: dict[str, Any]) -> None:
    phases = json.loads(row["phases"])
    assert list(phases) == ORDER
    assert list(phases.values()) == sorted(phases.values())
    assert 0 < row["ttfb_ms"] <= row["ttft_ms"] <= row["duration_ms"]
    assert row["ttft_ms"] == pytest.approx(phases["first_token"] / 1000, abs=0.002)
    assert row["duration_ms"] == pytest.approx(phases["last_byte"] / 1000, abs=0.002)
    assert 0 < row["overhead_ms"] < row["duration_ms"]
    assert row["tokens_per_second"] > 0
    assert row["cost_nanos"] > 0


def test_an_event_in_two_halves(server: Upstream, proxy: Proxied) -> None:
    """Bytes are not held until an event is whole."""
    first, *rest = wire.chat_stream()
    handshake = Handshake(server, [first[:30], first[30:], *rest], SSE)
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        handshake.follow(call)
        assert proxy.row(call)["output_tokens"] == 11


def test_through_a_tunnel(server: Upstream, proxy: Proxied) -> None:
    handshake = Handshake(server, wire.chat_stream(), SSE)
    connection = proxy.tunnel("api.openai.com")
    body = json.dumps(wire.CHAT_STREAM_ASKED)
    connection.request("POST", "/v1/chat/completions", body, proxy.headers)
    with Call(connection, connection.getresponse()) as call:
        handshake.follow(call)
        row = proxy.row(call)
    assert (row["entry"], row["output_tokens"], row["host"]) == ("connect", 11, "127.0.0.1")
    _plausible(row)


# --- usage that the client did not ask for


def test_usage_is_asked_for_and_hidden(server: Upstream, proxy: Proxied) -> None:
    handshake = Handshake(server, wire.chat_stream(usage=True), SSE)
    shown = [*wire.chat_stream(usage=False)]
    shown.insert(-1, b"")  # nothing comes for the usage chunk
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM) as call:
        handshake.follow(call, shown)
        row = proxy.row(call)
    assert json.loads(server.last.body) == {**wire.CHAT_STREAM, "stream_options": {"include_usage": True}}
    assert json.loads(row["changes"]) == ["body: stream_options.include_usage"]
    assert row["upstream_sha256"] == server.last.sha256 != row["request_sha256"]
    assert (row["input_tokens"], row["output_tokens"], row["usage_source"]) == (14, 11, "provider")
    assert row["response_bytes"] == sum(map(len, shown))
    _plausible(row)


def test_only_one_value_of_the_request_changes(server: Upstream, proxy: Proxied) -> None:
    """The rest of the body is the client's own bytes: order, spacing, escapes, repeated names."""
    Handshake(server, wire.chat_stream(), SSE)
    before = (
        b'{ "model" : "gpt-4o-mini", "n":1.50, "x":"\\u00e9\\/", "messages":[{"role":"user","content":"hi"}],'
    )
    options = b'"stream_options" : {"include_obfuscation": false, "include_usage": false}'
    body = before + b' "stream":true, ' + options + b" }"
    with proxy.call(wire.COMPLETIONS, body) as call:
        for gate in server.script.__self__.gates:  # type: ignore[attr-defined]
            gate.open()
        call.read()
    assert server.last.body == body.replace(b'"include_usage": false', b'"include_usage": true')


def test_the_encoding_is_kept_plain_where_something_must_be_hidden(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(*wire.chat_stream())

    server.script = script
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM, {"accept-encoding": "gzip, br"}) as call:
        assert call.read() == b"".join(wire.chat_stream(usage=False))
        row = proxy.row(call)
    assert server.last.header("accept-encoding") == "identity"
    assert json.loads(row["changes"]) == ["body: stream_options.include_usage", "header: accept-encoding"]


def test_a_hidden_chunk_in_a_counted_answer(server: Upstream, proxy: Proxied) -> None:
    """An upstream that announces the length of its stream: the client must not wait for what is hidden."""
    whole = b"".join(wire.chat_stream())

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, whole, SSE)

    server.script = script
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM) as call:
        assert call.read() == b"".join(wire.chat_stream(usage=False))
        assert call.headers["content-length"] is None


@pytest.mark.parametrize("path", ["/groq/openai/v1/chat/completions"])
def test_nothing_is_asked_where_usage_comes_unasked(server: Upstream, proxy: Proxied, path: str) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(*wire.chat_stream())

    server.script = script
    with proxy.call(path, wire.CHAT_STREAM) as call:
        assert call.read() == b"".join(wire.chat_stream())
        row = proxy.row(call)
    assert json.loads(server.last.body) == wire.CHAT_STREAM
    assert (row["changes"], row["output_tokens"]) == ("", 11)


def test_injection_can_be_switched_off(server: Upstream, plain: Proxied) -> None:
    handshake = Handshake(server, wire.chat_stream(usage=False), SSE)
    with plain.call(wire.COMPLETIONS, wire.CHAT_STREAM) as call:
        handshake.follow(call)
        row = plain.row(call)
    assert json.loads(server.last.body) == wire.CHAT_STREAM
    assert (row["changes"], row["upstream_sha256"]) == ("", row["request_sha256"])
    assert (row["outcome"], row["usage_source"], row["output_tokens"]) == ("ok", "estimated", 11)
    assert row["input_tokens"] > 5
    assert row["priced"] == 1


# --- content-encodings


def _gzip() -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    coder = zlib.compressobj(wbits=31)
    return lambda piece: coder.compress(piece) + coder.flush(zlib.Z_SYNC_FLUSH), coder.flush


def _deflate() -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    coder = zlib.compressobj()
    return lambda piece: coder.compress(piece) + coder.flush(zlib.Z_SYNC_FLUSH), coder.flush


def _br() -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    coder = brotli.Compressor(quality=4)
    return lambda piece: coder.process(piece) + coder.flush(), coder.finish


def _zstd() -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    coder = zstandard.ZstdCompressor().compressobj()
    block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    return lambda piece: coder.compress(piece) + coder.flush(block), coder.flush


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_encoded_streams_pass_as_they_are_and_are_read(
    server: Upstream, proxy: Proxied, coding: str, provider: str
) -> None:
    encode, finish = {"gzip": _gzip, "deflate": _deflate, "br": _br, "zstd": _zstd}[coding]()
    openai = provider == "openai"
    pieces = [encode(piece) for piece in (wire.chat_stream() if openai else wire.message_stream())] + [
        finish()
    ]
    handshake = Handshake(server, [piece for piece in pieces if piece], SSE, ("content-encoding", coding))
    path, body = (
        (wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) if openai else (wire.ANTHROPIC, wire.MESSAGES_STREAM)
    )
    with proxy.call(path, body, {"accept-encoding": coding}) as call:
        assert call.headers["content-encoding"] == coding
        handshake.follow(call)
        row = proxy.row(call)
    assert server.last.header("accept-encoding") == coding
    assert (row["input_tokens"], row["output_tokens"]) == ((14, 11) if openai else (25, 13))
    assert row["response_bytes"] == sum(map(len, pieces))
    _plausible(row)


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("coding", list(ENCODERS))
def test_encoded_requests_pass_as_they_are_and_are_read(
    server: Upstream, proxy: Proxied, coding: str
) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(*wire.chat_stream(usage=False))

    server.script = script
    body = ENCODERS[coding](json.dumps(wire.CHAT_STREAM).encode())
    with proxy.call(wire.COMPLETIONS, body, {"content-encoding": coding}) as call:
        assert call.read() == b"".join(wire.chat_stream(usage=False))
        row = proxy.row(call)
    assert (server.last.body, server.last.header("content-encoding")) == (body, coding)
    assert (row["model_requested"], row["stream"], row["changes"]) == ("gpt-4o-mini", 1, "")
    assert (row["request_bytes"], row["usage_source"], row["output_tokens"]) == (len(body), "estimated", 11)
    assert row["input_tokens"] > 5


# --- what else a stream can be


def test_an_error_inside_a_stream(server: Upstream, proxy: Proxied) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    pieces = [*wire.message_stream()[:5], wire.event(error, "error")]
    handshake = Handshake(server, pieces, SSE)
    with proxy.call(wire.ANTHROPIC, wire.MESSAGES_STREAM) as call:
        handshake.follow(call)
        row = proxy.row(call)
    assert (row["outcome"], row["status"]) == ("provider_error", 200)
    assert (row["error_type"], row["error_message"]) == ("overloaded_error", "Overloaded")
    # Three words had come, where the stream's beginning had counted one token.
    assert (row["input_tokens"], row["output_tokens"], row["usage_source"]) == (25, 3, "estimated")


def test_an_answer_that_ends_with_its_connection(server: Upstream, proxy: Proxied) -> None:
    """Neither counted nor in chunks: old servers end a body by hanging up."""
    whole = b"".join(wire.chat_stream())

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        answer.writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )
        answer.writer.write(whole)
        await answer.writer.drain()
        answer.cut()

    server.script = script
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        assert call.read() == whole
        row = proxy.row(call)
    assert (row["outcome"], row["output_tokens"]) == ("ok", 11)


def test_an_empty_stream(server: Upstream, proxy: Proxied) -> None:
    handshake = Handshake(server, [], SSE)
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM) as call:
        handshake.follow(call)
        row = proxy.row(call)
    assert (row["outcome"], row["response_bytes"], row["ttft_ms"]) == ("ok", 0, None)


def test_keep_alive_comments_are_no_first_token(server: Upstream, proxy: Proxied) -> None:
    """OpenRouter sends comments while it waits: they pass at once and are no content."""
    pieces = [b": OPENROUTER PROCESSING\n\n", b": OPENROUTER PROCESSING\n\n", *wire.chat_stream()]
    handshake = Handshake(server, pieces, SSE)
    with proxy.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED) as call:
        handshake.follow(call)
        row = proxy.row(call)
    phases = json.loads(row["phases"])
    assert phases["first_byte"] < phases["first_token"]


def test_a_request_that_asks_to_go_on_first(server: Upstream, proxy: Proxied) -> None:
    """`Expect: 100-continue`, as curl sends it for larger bodies."""

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, wire.chat_answer())

    server.script = script
    connection = proxy.connection()
    body = json.dumps(wire.CHAT).encode()
    connection.putrequest("POST", wire.COMPLETIONS)
    for name, value in {**proxy.headers, "content-length": str(len(body)), "expect": "100-continue"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.sock is not None
    assert connection.sock.recv(4096).startswith(b"HTTP/1.1 100")
    connection.send(body)
    with Call(connection, connection.getresponse()) as call:
        assert (call.status, call.read()) == (200, wire.chat_answer())
    assert server.last.body == body


def test_one_connection_carries_many_calls(server: Upstream, proxy: Proxied) -> None:
    """Streams and whole answers in turn on one connection of the client."""
    since = proxy.last_id()

    async def script(request: Request, answer: Answer) -> None:
        if json.loads(await request.read()).get("stream"):
            await answer.stream(*wire.chat_stream())
        else:
            await answer.whole(200, wire.chat_answer())

    server.script = script
    connection: http.client.HTTPConnection = proxy.connection()
    for number in range(30):
        body = wire.CHAT_STREAM if number % 2 else wire.CHAT
        connection.request("POST", wire.COMPLETIONS, json.dumps(body), proxy.headers)
        answer = connection.getresponse()
        assert answer.read() == (
            b"".join(wire.chat_stream(usage=False)) if number % 2 else wire.chat_answer()
        )
    connection.close()
    rows = proxy.settled(since)
    assert [row["output_tokens"] for row in rows] == [4, 11] * 15
