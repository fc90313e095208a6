"""A stand-in for the proxy: answers /ready, opens tunnels with a leaf of a given root, and counts."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mitmproxy.certs import CertStore


@dataclass(slots=True)
class FakeProxy:
    """`marked`: answers in a tunnel say that they are ours. `ready` is the body of /ready."""

    certs: Path
    marked: bool = True
    ready: object = field(default_factory=lambda: {"status": "ready", "problems": []})
    heads: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    self._answer(connection)
                except OSError:
                    continue

    def _answer(self, connection: socket.socket) -> None:
        head = self._head(connection)
        if head.startswith("GET /ready"):
            problems = bool(isinstance(self.ready, dict) and self.ready.get("problems"))
            connection.sendall(_reply("503 Unavailable" if problems else "200 OK", json.dumps(self.ready)))
            return
        if not head.startswith("CONNECT"):
            connection.sendall(_reply("404 Not Found", "{}"))
            return
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = self._context(head.split()[1].partition(":")[0])
        with context.wrap_socket(connection, server_side=True) as tls:
            self._head(tls)
            tls.sendall(_reply("401 Unauthorized", "{}", self.marked))
            tls.unwrap()

    def _head(self, connection: socket.socket) -> str:
        head = b""
        while b"\r\n\r\n" not in head:
            chunk = connection.recv(4096)
            if not chunk:
                raise ConnectionError
            head += chunk
        self.heads.append(head.decode("latin-1"))
        return self.heads[-1]

    def _context(self, host: str) -> ssl.SSLContext:
        entry = CertStore.from_store(self.certs, "mitmproxy", 2048).get_cert(host, [x509.DNSName(host)])
        key = entry.privatekey.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        leaf = self.certs / "leaf-under-test.pem"
        leaf.write_bytes(key + entry.cert.to_pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf)
        return context


def _reply(status: str, body: str, marked: bool = False) -> bytes:
    mark = "x-llm-intercept-request-id: 0\r\n" if marked else ""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{mark}content-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n\r\n{body}".encode()


@contextmanager
def fake_proxy(certs: Path, **options: object) -> Iterator[FakeProxy]:
    proxy = FakeProxy(certs, **options)  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.port = listener.getsockname()[1]
        thread = threading.Thread(target=proxy.serve, args=(listener,))
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
