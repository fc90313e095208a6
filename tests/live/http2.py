"""A small HTTP/2 client inside a CONNECT tunnel, and a small provider that speaks HTTP/2 over TLS."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PATIENCE = 60.0


@dataclass
class Reply:
    """What has come for one stream so far."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: bool = False


class Client:
    """`post` sends, `until` reads frames until a condition on the replies holds."""

    def __init__(self, port: int, host: str, root: Path) -> None:
        self.host = host
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        plain.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nhost: {host}:443\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += plain.recv(1)
        assert b" 200 " in head, head
        context = ssl.create_default_context(cafile=str(root))
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(plain, server_hostname=host)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.replies: dict[int, Reply] = {}
        self._flush()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """Without a content-length: HTTP/2 needs none."""
        number = self.h2.get_next_available_stream_id()
        reply = self.replies.setdefault(number, Reply())
        pseudo = {":method": "POST", ":scheme": "https", ":authority": self.host, ":path": path}
        self.h2.send_headers(number, list({**pseudo, "content-type": "application/json", **headers}.items()))
        while body:
            self.until(lambda: self.h2.local_flow_control_window(number) > 0)
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            self.h2.send_data(number, body[:room])
            body = body[room:]
            self._flush()
        self.h2.end_stream(number)
        self._flush()
        return reply

    def reset(self, reply: Reply) -> None:
        [number] = [n for n, r in self.replies.items() if r is reply]
        self.h2.reset_stream(number, 8)  # CANCEL
        self._flush()

    def until(self, done: Callable[[], object]) -> None:
        while not done():
            data = self.socket.recv(65536)
            assert data, "the connection ended"
            for event in self.h2.receive_data(data):
                self._take(event)
            self._flush()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                reply = self.replies[event.stream_id]
                reply.headers = dict(event.headers)  # type: ignore[arg-type]
                reply.status = int(reply.headers[":status"])
            case h2.events.DataReceived():
                self.replies[event.stream_id].body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.replies[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.replies[event.stream_id].reset = True

    def _flush(self) -> None:
        if data := self.h2.data_to_send():
            self.socket.sendall(data)


type Script = Callable[["Call"], Awaitable[None]]


@dataclass
class Call:
    """A request at the server: `send` and `end` answer it, `reset` breaks it off."""

    server: "Connection"
    number: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def head(self, status: int, *fields: tuple[str, str]) -> None:
        self.server.h2.send_headers(self.number, [(":status", str(status)), *fields])
        self.server.flush()

    def send(self, data: bytes) -> None:
        self.server.h2.send_data(self.number, data)
        self.server.flush()

    def end(self) -> None:
        self.server.h2.end_stream(self.number)
        self.server.flush()

    def reset(self) -> None:
        self.server.h2.reset_stream(self.number, 2)  # INTERNAL_ERROR
        self.server.flush()


class Connection(asyncio.Protocol):
    """One connection of the server."""

    def __init__(self, script: Script, calls: list[Call]) -> None:
        self.script, self.calls = script, calls
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self.by_number: dict[int, Call] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.h2.initiate_connection()
        self.flush()

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            match event:
                case h2.events.RequestReceived():
                    self._begin(event.stream_id, list(event.headers))
                case h2.events.DataReceived():
                    self.by_number[event.stream_id].body += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    self.by_number[event.stream_id].arrived.set()
        self.flush()

    def _begin(self, number: int, headers: list[Any]) -> None:
        call = self.by_number[number] = Call(self, number, headers)
        self.calls.append(call)
        task = asyncio.get_running_loop().create_task(self._run(call))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, call: Call) -> None:
        with contextlib.suppress(h2.exceptions.ProtocolError, ConnectionError):
            await self.script(call)

    def connection_lost(self, error: Exception | None) -> None:
        for task in self.tasks:
            task.cancel()

    def flush(self) -> None:
        assert isinstance(self.transport, asyncio.WriteTransport)
        if data := self.h2.data_to_send():
            self.transport.write(data)


@dataclass
class Server:
    """A provider that speaks HTTP/2 over TLS; `certificate` is what to trust it by."""

    folder: Path
    script: Script
    calls: list[Call] = field(default_factory=list)
    port: int = 0

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    async def serve(self) -> asyncio.Server:
        key = self.folder / "key.pem"
        _write_certificate(self.certificate, key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, key)
        context.set_alpn_protocols(["h2"])
        loop = asyncio.get_running_loop()
        made = await loop.create_server(
            lambda: Connection(lambda call: self.script(call), self.calls), "127.0.0.1", 0, ssl=context
        )
        self.port = made.sockets[0].getsockname()[1]
        return made


def _write_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
