"""Both ends of a stream: the client in front of a target and the provider behind it, in one loop.

The next event of a stream is sent when the last one has come out at the other end. So each event is one
read and one write for the proxy, however busy the machine is, and nothing waits for a clock.
"""

import re
import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bench import traffic
from bench.targets import Target

PATIENCE_S = 30.0
_MARK = re.compile(rb"stream:(\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Job:
    """One request. `events` 0: a plain call; `leave_after`: the client hangs up after so many events.

    `opening` events are sent at once: stock mitmproxy holds a stream's first kilobyte back. The client counts
    what is in `counted`, and wants to see `ending`; with `claude` the provider is Anthropic's.
    """

    request: bytes
    events: int = 0
    opening: int = 8
    leave_after: int = 0
    counted: bytes = b"\n\n"
    ending: bytes = traffic.DONE_EVENT
    claude: bool = False


@dataclass(slots=True, eq=False)
class _Stream:
    """A client's connection and what it is waiting for."""

    target: Target
    client: socket.socket
    job: Job
    started: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    provider: socket.socket | None = None
    script: "_Script | None" = None
    sent: int = 0
    seen: int = 0
    looked: int = 0


@dataclass(slots=True)
class Tally:
    """What came of the jobs."""

    jobs: int = 0
    events: int = 0
    first_token: list[float] = field(default_factory=list)


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


@dataclass(frozen=True, slots=True)
class _Script:
    """What a provider says: tokens in turn, after `opening` and before `end`; all framed as HTTP chunks."""

    opening: bytes
    tokens: list[bytes]
    end: bytes


def _script(opening: bytes, tokens: list[bytes], end: bytes) -> _Script:
    framed = [_framed(event) for event in tokens]
    return _Script(_framed(opening) if opening else b"", framed, _framed(end) + b"0\r\n\r\n")


_OPENAI = _script(b"", traffic.TOKEN_EVENTS, traffic.LAST_EVENT + traffic.DONE_EVENT)
_METERED = _script(b"", traffic.METERED_TOKEN_EVENTS, traffic.METERED_LAST_EVENT + traffic.DONE_EVENT)
_CLAUDE = _script(traffic.MESSAGE_OPENING, traffic.MESSAGE_TOKEN_EVENTS, traffic.MESSAGE_END)


class Stage:
    """Listens as the provider of streams; `run` plays clients. Everything happens in the caller's thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self.port = self._listener.getsockname()[1]
        self._streams: dict[int, _Stream] = {}
        self._number = 0
        self._tally = Tally()
        self._jobs: Iterator[Job] = iter(())

    def run(self, target: Target, jobs: Iterable[Job], connections: int) -> Tally:
        """The jobs, spread over kept connections; returns when all have ended."""
        self._tally, self._jobs = Tally(), iter(jobs)
        try:
            for _ in range(connections):
                self._next(target, None)
            self._play(target)
        except BaseException:
            self._clear()
            raise
        return self._tally

    def _play(self, target: Target) -> None:
        last, heard = -1, time.monotonic()
        while self._streams:
            for key, _ in self._selector.select(1.0):
                key.data(key.fileobj)
            progress = self._tally.events + self._tally.jobs
            if progress != last:
                last, heard = progress, time.monotonic()
            elif time.monotonic() - heard > PATIENCE_S:
                stuck = bytes(next(iter(self._streams.values())).received[-500:])
                raise RuntimeError(f"{target.name}: nothing came for {PATIENCE_S:.0f} s: {stuck!r}")

    def _clear(self) -> None:
        """Hangs up on everybody, so that what is measured next begins afresh."""
        self._streams.clear()
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not self._listener:
                self._drop(key.fileobj)

    # ---- the client ----

    def _next(self, target: Target, client: socket.socket | None) -> None:
        """The next job, on the same connection if it is still there."""
        job = next(self._jobs, None)
        if job is None:
            if client is not None:
                self._drop(client)
            return
        if client is None:
            client = socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE_S)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self._selector.unregister(client)
        self._number += 1
        stream = _Stream(target, client, job, time.perf_counter())
        self._streams[self._number] = stream
        number = self._number
        self._selector.register(client, selectors.EVENT_READ, lambda _: self._heard(number))
        client.sendall(job.request.replace(traffic.MARK, b"stream:%010d" % number))

    def _heard(self, number: int) -> None:
        """Bytes for a client."""
        stream = self._streams[number]
        data = stream.client.recv(262_144)
        stream.received += data
        if not data:
            raise RuntimeError(f"{stream.target.name} hung up: {bytes(stream.received[-500:])!r}")
        if stream.job.events:
            self._follow(number, stream)
        elif _complete(stream.received):
            self._ended(number, stream, stream.client)

    def _follow(self, number: int, stream: _Stream) -> None:
        counted = stream.job.counted
        new = stream.received.count(counted, stream.looked)
        if new:
            stream.looked = stream.received.rfind(counted) + len(counted)
            if not stream.seen:
                self._tally.first_token.append(time.perf_counter() - stream.started)
            stream.seen += new
        if stream.job.leave_after and stream.seen >= stream.job.leave_after:
            self._drop(stream.client)
            self._ended(number, stream, None)
        elif stream.received.endswith(_LAST_CHUNK):
            self._check(stream)
            self._ended(number, stream, stream.client)
        elif new and stream.sent <= stream.job.events and stream.seen >= stream.sent:
            self._send(stream)

    def _check(self, stream: _Stream) -> None:
        fine = stream.received.startswith(b"HTTP/1.1 200") and stream.seen >= stream.job.events
        if not fine or stream.job.ending not in stream.received:
            words = bytes(stream.received[:300] + b" ... " + stream.received[-300:])
            where = f"{stream.target.name}, after {stream.seen} of {stream.sent} events"
            raise RuntimeError(f"a stream failed: {where}: {words!r}")

    def _ended(self, number: int, stream: _Stream, client: socket.socket | None) -> None:
        del self._streams[number]
        self._tally.jobs += 1
        self._tally.events += stream.sent
        self._next(stream.target, client)

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()

    # ---- the provider ----

    def _accept(self, listener: socket.socket) -> None:
        provider, _ = listener.accept()
        provider.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = bytearray()
        self._selector.register(provider, selectors.EVENT_READ, lambda p: self._asked(p, received))

    def _asked(self, provider: socket.socket, received: bytearray) -> None:
        """A request, perhaps the next one on a kept connection."""
        try:
            data = provider.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self._drop(provider)
            return
        received += data
        if not _complete(received):
            return
        mark = _MARK.search(received)
        stream = self._streams.get(int(mark[1])) if mark else None
        if stream is not None:
            asks_usage = b"include_usage" in received
            stream.script = _CLAUDE if stream.job.claude else _METERED if asks_usage else _OPENAI
            stream.provider = provider
            provider.sendall(_HEAD)
            self._send(stream)
        received.clear()

    def _send(self, stream: _Stream) -> None:
        """The next event; behind the last one what ends a stream."""
        assert stream.provider is not None
        assert stream.script is not None
        first, tokens = stream.sent, stream.script.tokens
        stream.sent += 1 if first else min(stream.job.opening, stream.job.events)
        if stream.sent <= stream.job.events:
            chosen = (tokens[number % len(tokens)] for number in range(first, stream.sent))
            stream.provider.sendall((b"" if first else stream.script.opening) + b"".join(chosen))
        else:
            stream.provider.sendall(stream.script.end)


def _complete(message: bytearray) -> bool:
    head = message.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = _LENGTH.search(message, 0, head)
    return len(message) >= head + 4 + (int(length[1]) if length else 0)
