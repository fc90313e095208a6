"""A provider on loopback whose every byte and every pause is scripted by a test: raw HTTP/1.1 over asyncio.

It runs in a thread with a loop of its own, so that tests and clients may block. `Gate`s are how the
test and the script wait for one another: no test measures time.
"""

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

KEEP = 2_000_000
PATIENCE = 60.0

type Fields = Sequence[tuple[str, str]]
type Script = Callable[["Request", "Answer"], Awaitable[None]]


class Gate:
    """Opened once, by either side; waited for by either side."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._here = threading.Event()
        self._there = asyncio.Event()

    def open(self) -> None:
        self._here.set()
        self._loop.call_soon_threadsafe(self._there.set)

    async def passed(self) -> None:
        """For scripts."""
        await asyncio.wait_for(self._there.wait(), PATIENCE)

    def wait(self, why: str) -> None:
        """For tests."""
        assert self._here.wait(PATIENCE), f"never happened: {why}"

    @property
    def is_open(self) -> bool:
        return self._here.is_set()


@dataclass
class Request:
    """One request as it arrived; `body` holds its first 2 MB, `size` and `sha256` cover all of it."""

    head: bytes
    reader: asyncio.StreamReader = field(repr=False)
    body: bytes = b""
    size: int = 0
    complete: bool = False
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256, repr=False)

    def __post_init__(self) -> None:
        first, *lines = self.head.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]

    @property
    def sha256(self) -> str:
        return self.digest.hexdigest()

    def header(self, name: str) -> str:
        return next((value for key, value in self.fields if key.lower() == name), "")

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes in."""
        async for piece in self._chunks() if self.header("transfer-encoding") else self._counted():
            self.size += len(piece)
            self.digest.update(piece)
            if len(self.body) < KEEP:
                self.body += piece
            yield piece
        self.complete = True

    async def read(self) -> bytes:
        async for _ in self.pieces():
            pass
        return self.body

    async def _counted(self) -> AsyncIterator[bytes]:
        left = int(self.header("content-length") or 0)
        while left:
            piece = await self.reader.read(min(left, 65536))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readline(), 16):
            yield await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readline()


class Answer:
    """The way back. Without a `content-length` of the script's own the body is sent in chunks."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._chunked = False
        self.reusable = True

    async def head(self, status: int, fields: Fields = ()) -> None:
        names = {name.lower() for name, _ in fields}
        self._chunked = "content-length" not in names
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in fields)]
        if self._chunked:
            lines.append("transfer-encoding: chunked")
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        await self.writer.drain()

    async def send(self, *pieces: bytes) -> None:
        """Each piece is a chunk of its own."""
        for piece in pieces:
            if piece:
                self.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)
                await self.writer.drain()

    async def end(self) -> None:
        if self._chunked:
            self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def whole(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        await self.head(status, [("content-type", content_type), ("content-length", str(len(body)))])
        await self.send(body)

    async def stream(self, *pieces: bytes, content_type: str = "text/event-stream") -> None:
        await self.head(200, [("content-type", content_type)])
        await self.send(*pieces)
        await self.end()

    def cut(self) -> None:
        """The connection ends in the middle; what was sent before still arrives."""
        self.reusable = False
        self.writer.close()


@dataclass
class Upstream:
    """`script` answers every request; tests replace it. `requests` is what arrived."""

    script: Script
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Request:
        return self.requests[-1]

    def gate(self) -> Gate:
        return Gate(self.loop)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        self.loop.close()

    def _run(self) -> None:
        self.loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        request, answer = Request(head, reader), Answer(writer)
        self.requests.append(request)
        await self.script(request, answer)
        if answer.reusable and not request.complete:
            await request.read()
        return answer.reusable


async def nobody(request: Request, answer: Answer) -> None:
    """For tests in which nothing may arrive."""
    await request.read()
    await answer.whole(500, b'{"error":{"message":"nobody was expected"}}')


@contextlib.contextmanager
def upstream(script: Script = nobody) -> Iterator[Upstream]:
    server = Upstream(script)
    server.start()
    try:
        yield server
    finally:
        server.stop()
