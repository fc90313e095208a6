"""Files pass in both directions without being held in memory; JSON that is too large is refused unread."""

import hashlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, nobody, upstream
from tests.live.proxied import Call, Proxied, proxied
from tests.live.stack import free_port

MB = 1_000_000
BLOCK = bytes(range(256)) * 4000  # 1,024,000 bytes
BLOCKS = 40
ROOM = 15 * MB
LIMITS = f"[limits]\nmax_body_bytes = {2 * MB}\n"
HEAD = (
    b'--frontier\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
    b'--frontier\r\ncontent-disposition: form-data; name="file"; filename="x.bin"\r\n\r\n'
)
TAIL = b"\r\n--frontier--\r\n"
MULTIPART = "multipart/form-data; boundary=frontier"
SIZE = len(HEAD) + BLOCKS * len(BLOCK) + len(TAIL)


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    bases = dict.fromkeys(("openai", "anthropic", "gemini"), server.url) | {
        "mistral": f"http://127.0.0.1:{free_port()}"
    }
    with proxied(tmp_path_factory.mktemp("uploads"), bases, config=LIMITS) as running:
        warm_up(server, running)
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream) -> None:
    server.script = nobody
    server.requests.clear()


def warm_up(server: Upstream, proxy: Proxied) -> None:
    """What every process needs once shall not count as growth."""
    server.script = stored
    for _ in range(3):
        with proxy.call("/openai/v1/files", HEAD + BLOCK + TAIL, {"content-type": MULTIPART}) as call:
            call.read()
    proxy.settled()


class Memory:
    """How far the proxy's memory rose at its highest, since this was made."""

    def __init__(self, proxy: Proxied) -> None:
        popen = proxy.processes["proxy"].popen
        assert popen is not None
        self._process = Path(f"/proc/{popen.pid}")
        (self._process / "clear_refs").write_text("5")  # the high-water mark starts anew
        self._before = self._read("VmRSS")

    def _read(self, name: str) -> int:
        [line] = [s for s in (self._process / "status").read_text().splitlines() if s.startswith(name)]
        return int(line.split()[1]) * 1024

    @property
    def grown(self) -> int:
        return self._read("VmHWM") - self._before


linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")


async def stored(request: Request, answer: Answer) -> None:
    await request.read()
    await answer.whole(200, b'{"id":"file-1","object":"file"}')


def start_upload(proxy: Proxied, path: str, size: int | None = SIZE) -> http.client.HTTPConnection:
    connection = proxy.connection()
    connection.putrequest("POST", path, skip_accept_encoding=True)
    for name, value in {**proxy.headers, "content-type": MULTIPART}.items():
        connection.putheader(name, value)
    connection.putheader(*(("content-length", str(size)) if size else ("transfer-encoding", "chunked")))
    connection.endheaders()
    return connection


def digest() -> str:
    made = hashlib.sha256(HEAD)
    for _ in range(BLOCKS):
        made.update(BLOCK)
    made.update(TAIL)
    return made.hexdigest()


@linux
@pytest.mark.parametrize("size", [SIZE, None], ids=["counted", "chunked"])
@pytest.mark.parametrize(
    "path", ["/openai/v1/files", "/openai/v1/audio/transcriptions", "/anthropic/v1/files"]
)
def test_an_upload_streams_through(server: Upstream, proxy: Proxied, path: str, size: int | None) -> None:
    """The provider has the first part before the client sends the second."""
    begun = server.gate()

    async def script(request: Request, answer: Answer) -> None:
        async for _ in request.pieces():
            begun.open()
        await answer.whole(200, b'{"id":"file-1","object":"file","text":"hello"}')

    server.script = script

    def send(data: bytes) -> None:
        connection.send(data if size else b"%x\r\n%b\r\n" % (len(data), data))

    memory = Memory(proxy)
    connection = start_upload(proxy, path, size)
    send(HEAD)
    begun.wait("the first part at the provider")
    for _ in range(BLOCKS):
        send(BLOCK)
    send(TAIL)
    if size is None:
        connection.send(b"0\r\n\r\n")
    with Call(connection, connection.getresponse()) as call:
        assert (call.status, json.loads(call.read())["id"]) == (200, "file-1")
        row = proxy.row(call)
    assert memory.grown < ROOM
    assert (server.last.size, server.last.sha256) == (SIZE, digest())
    assert proxy.token not in server.last.head.decode()
    assert "sk-real-" in server.last.head.decode()
    assert (row["outcome"], row["request_bytes"]) == ("ok", SIZE)
    assert row["request_sha256"] == row["upstream_sha256"] == digest()
    assert row["operation"] in ("files", "audio")
    assert row["credential"] == "default"


@linux
@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/openai/v1/files/file-1/content", "application/octet-stream"),
        ("/openai/v1/files/file-2/content", "application/jsonl"),
        ("/openai/v1/files/file-3/content", "application/json"),
        ("/anthropic/v1/files/file-4/content", "text/plain"),
    ],
)
def test_a_download_streams_through(server: Upstream, proxy: Proxied, path: str, content_type: str) -> None:
    """The client has the first part before the provider sends the second."""
    got = server.gate()
    block = (b'{"custom_id":"x"}\n' if "json" in content_type else b"") + BLOCK

    async def script(request: Request, answer: Answer) -> None:
        length = str(BLOCKS * len(block))
        await answer.head(200, [("content-type", content_type), ("content-length", length)])
        await answer.send(block)
        await got.passed()
        await answer.send(*[block] * (BLOCKS - 1))

    server.script = script
    memory = Memory(proxy)
    seen = hashlib.sha256()
    with proxy.call(path) as call:
        assert call.headers["content-length"] == str(BLOCKS * len(block))
        seen.update(call.take(len(block)))
        got.open()
        while piece := call.response.read(65536):
            seen.update(piece)
        row = proxy.row(call)
    assert memory.grown < ROOM
    assert seen.hexdigest() == hashlib.sha256(block * BLOCKS).hexdigest()
    assert (row["outcome"], row["response_bytes"]) == ("ok", BLOCKS * len(block))
    assert row["request_sha256"] == hashlib.sha256(b"").hexdigest()


@linux
def test_speech_streams_through(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(*[BLOCK] * BLOCKS, content_type="audio/mpeg")

    server.script = script
    memory = Memory(proxy)
    with proxy.call(
        "/openai/v1/audio/speech", {"model": "tts-1", "input": "hello", "voice": "alloy"}
    ) as call:
        size = 0
        while piece := call.response.read(65536):
            size += len(piece)
        row = proxy.row(call)
    assert memory.grown < ROOM
    assert size == row["response_bytes"] == BLOCKS * len(BLOCK)
    assert (row["operation"], row["outcome"], row["model"]) == ("audio", "ok", "tts-1")


def test_a_client_that_gives_up_its_upload(server: Upstream, proxy: Proxied) -> None:
    since = proxy.last_id()
    begun, ended = server.gate(), server.gate()

    async def script(request: Request, answer: Answer) -> None:
        try:
            async for _ in request.pieces():
                begun.open()
        finally:
            ended.open()

    server.script = script
    connection = start_upload(proxy, "/openai/v1/files")
    connection.send(HEAD + BLOCK)
    begun.wait("the first part at the provider")
    connection.close()
    ended.wait("the end of the upload at the provider")
    assert not server.last.complete
    [row] = proxy.settled(since)
    assert (row["outcome"], row["status"], row["attempts"]) == ("client_gone", None, 1)
    assert 0 < row["request_bytes"] < SIZE


def test_a_provider_that_refuses_an_upload_before_its_end(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        async for _ in request.pieces():
            break
        await answer.whole(413, b'{"error":{"message":"too large","type":"invalid_request_error"}}')

    server.script = script
    connection = start_upload(proxy, "/openai/v1/files")
    connection.send(HEAD + BLOCK)
    with Call(connection, connection.getresponse()) as call:
        assert (call.status, json.loads(call.read())["error"]["message"]) == (413, "too large")
        row = proxy.row(call)
    assert (row["outcome"], row["status"]) == ("client_error", 413)
    assert row["error_message"] == "too large"


@pytest.mark.parametrize("whole", [False, True], ids=["in its beginning", "whole"])
def test_an_upload_to_a_provider_that_cannot_be_reached(proxy: Proxied, whole: bool) -> None:
    """The refusal is in the provider's shape, and comes although the client is not done."""
    connection = start_upload(proxy, "/mistral/v1/files")
    connection.send(HEAD)
    if whole:
        for _ in range(BLOCKS):
            connection.send(BLOCK)
        connection.send(TAIL)
    with Call(connection, connection.getresponse()) as call:
        assert call.status == 502
        assert json.loads(call.read())["error"]["code"] == "upstream_unreachable"
        row = proxy.row(call)
    assert (row["outcome"], row["attempts"]) == ("connect_failed", 1)


def test_an_upload_whose_provider_goes_away(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        async for _ in request.pieces():
            break
        answer.cut()

    server.script = script
    connection = start_upload(proxy, "/openai/v1/files")
    connection.send(HEAD + BLOCK)
    with Call(connection, connection.getresponse()) as call:
        assert (call.status, json.loads(call.read())["error"]["code"]) == (502, "upstream_disconnected")
        assert proxy.row(call)["outcome"] == "upstream_cut"


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (wire.COMPLETIONS, ("error", "message")),
        (wire.ANTHROPIC, ("error", "message")),
        ("/gemini/v1beta/models/gemini-2.5-flash:generateContent", ("error", "status")),
    ],
    ids=["openai", "anthropic", "gemini"],
)
@pytest.mark.parametrize("size", [SIZE, None], ids=["counted", "chunked"])
@linux
def test_json_that_is_too_large_is_refused_unread(
    server: Upstream, proxy: Proxied, path: str, where: tuple[str, str], size: int | None
) -> None:
    memory = Memory(proxy)
    connection = start_upload(proxy, path, size)
    for data in (HEAD, *[BLOCK] * BLOCKS, TAIL):
        connection.send(data if size else b"%x\r\n%b\r\n" % (len(data), data))
    if size is None:
        connection.send(b"0\r\n\r\n")
    with Call(connection, connection.getresponse()) as call:
        assert call.status == 413
        assert json.loads(call.read())[where[0]][where[1]]
        row = proxy.row(call)
        # The connection is still good for the next call.
        call.connection.request("GET", "/ready")
        assert call.connection.getresponse().read()
    assert memory.grown < ROOM
    assert server.requests == []
    assert (row["outcome"], row["error_type"], row["status"]) == ("refused", "request_too_large", 413)
    assert row["attempts"] == 0


def test_what_is_just_small_enough_passes(server: Upstream, proxy: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, wire.chat_answer())

    server.script = script
    frame = json.dumps({**wire.CHAT, "user": ""})
    body = json.dumps({**wire.CHAT, "user": "x" * (2 * MB - len(frame))}).encode()
    assert len(body) == 2 * MB
    with proxy.call(wire.COMPLETIONS, body) as call:
        assert (call.status, call.read()) == (200, wire.chat_answer())
    with proxy.call(wire.COMPLETIONS, body + b" ") as call:
        assert call.status == 413
    assert [request.size for request in server.requests] == [2 * MB]


def test_a_small_file_passes_untouched(server: Upstream, proxy: Proxied) -> None:
    server.script = stored
    body = HEAD + b"small" + TAIL
    with proxy.call("/openai/v1/files", body, {"content-type": MULTIPART}) as call:
        assert call.status == 200
        row = proxy.row(call)
    assert server.last.body == body
    assert row["request_sha256"] == row["upstream_sha256"] == hashlib.sha256(body).hexdigest()
    assert (row["request_bytes"], row["changes"]) == (len(body), "")
