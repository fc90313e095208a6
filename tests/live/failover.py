"""Providers that fail on purpose: scripts for both kinds of upstream, and what the rows of a call say."""

import asyncio
import contextlib
import json
import signal
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.live import wire
from tests.live.http2 import Call, Client, Script, Server
from tests.live.loopback import PATIENCE, Answer, Request
from tests.live.proxied import Proxied
from tests.live.stack import CLEAN, Process, free_port, get, wait_for

BUSY = b'{"error":{"message":"busy","type":"server_error"}}'
SSE = ("content-type", "text/event-stream")
JSON = ("content-type", "application/json")


def said(stream: bool) -> bytes:
    """What every answer of these providers has in it."""
    return b"lighthouse" if stream else b"Once upon a time"


# --- a provider that speaks HTTP/2


@contextlib.contextmanager
def http2_server(folder: Path) -> Iterator[Server]:
    """In a thread of its own."""

    async def nobody(call: Call) -> None:
        call.reset()

    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder, nobody)
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with await server.serve():
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    yield server
    loop.call_soon_threadsafe(stop.set)
    thread.join(PATIENCE)
    loop.close()


async def http2_answer(call: Call) -> None:
    await call.arrived.wait()
    messages = call.header(":path").endswith("/messages")
    if json.loads(call.body).get("stream"):
        call.head(200, SSE)
        for piece in wire.message_stream() if messages else wire.chat_stream():
            call.send(piece)
    else:
        call.head(200, JSON)
        call.send(wire.message_answer() if messages else wire.chat_answer())
    call.end()


def http2_status(code: int, *fields: tuple[str, str]) -> Script:
    async def script(call: Call) -> None:
        await call.arrived.wait()
        call.head(code, JSON, *fields)
        call.send(BUSY)
        call.end()

    return script


async def http2_reset(call: Call) -> None:
    await call.arrived.wait()
    call.reset()


async def http2_silent(call: Call) -> None:
    await call.arrived.wait()


async def http2_poisoned(call: Call) -> None:
    await call.arrived.wait()
    call.head(200, SSE)
    call.send(wire.event(json.loads(BUSY)))
    call.send(wire.DONE)
    call.end()


async def http2_hangs_up(call: Call) -> None:
    """The whole connection, with every call on it."""
    await call.arrived.wait()
    call.server.transport.close()


def client(proxy: Proxied, host: str) -> Client:
    return Client(proxy.port, host, proxy.home / "certs" / "mitmproxy-ca-cert.pem")


# --- scripts for upstreams of HTTP/1.1


def then(*scripts: Callable[[Request, Answer], Any]) -> Callable[[Request, Answer], Any]:
    """The first call gets the first, and so on; the last one is for all that follow."""
    left = list(scripts)

    async def script(request: Request, answer: Answer) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(request, answer)

    return script


# --- rows


def row_of(proxy: Proxied, request_id: str) -> dict[str, Any]:
    sql = "SELECT * FROM requests WHERE request_id = ?"
    return wait_for(lambda: proxy.query(sql, request_id), f"a row of {request_id}")[0]


def tries_of(proxy: Proxied, row: dict[str, Any]) -> list[tuple[Any, ...]]:
    found = proxy.query("SELECT * FROM attempts WHERE request_id = ? ORDER BY number", row["id"])
    return [(one["provider"], one["outcome"], one["status"]) for one in found]


def forgive(proxy: Proxied) -> None:
    """No key cools down from one case to the next."""
    with proxy.control() as control:
        control.breakers.ask()


# --- simulators


class Simulator:
    """One in a process of its own, which can be killed; `PUT` its scenarios."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "llm_intercept.cli", "sim", "--port", str(self.port)]
        argv += ["--latency-ms", "0", "--tokens-per-second", "0", "--seed", "1"]
        self.process = Process(argv, {**CLEAN, "LLM_INTERCEPT_HOME": str(folder)}, folder / "sim.log")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Simulator":
        self.process.start()
        wait_for(lambda: get(f"{self.url}/__sim/health")[0] == 200, "the simulator is not ready")
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.stop(signal.SIGKILL)

    def play(self, *rules: dict[str, Any]) -> None:
        """From the next call on."""
        self._send("DELETE", "requests")
        self._send("PUT", "scenario", json.dumps({"rules": rules}).encode())

    def applied(self) -> list[int]:
        """How many calls each rule was used for."""
        return [rule["applied"] for rule in json.loads(get(f"{self.url}/__sim/scenario")[1])["rules"]]

    def received(self) -> list[dict[str, Any]]:
        return list(json.loads(get(f"{self.url}/__sim/requests")[1])["requests"])

    def _send(self, method: str, what: str, body: bytes | None = None) -> None:
        request = urllib.request.Request(f"{self.url}/__sim/{what}", body, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            assert answer.status < 300
