"""What is decrypted and what is not: strangers keep bytes and certificate; both HTTP versions."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.live.stack import CLEAN, Stack

BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]})


def tunnel(stack: Stack, host: str, port: int) -> socket.socket:
    """A CONNECT by hand; the socket behind its 200."""
    raw = socket.create_connection(("127.0.0.1", stack.port), timeout=20)
    raw.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += raw.recv(1)
    assert b" 200 " in head.split(b"\r\n")[0], head
    return raw


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A TLS server with a certificate of its own that is no provider; echoes what it reads."""
    folder = tmp_path_factory.mktemp("stranger")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stranger.test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(7).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(9))
    )
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    cert = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + cert.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with closing(context.wrap_socket(connection, server_side=True)) as secure:
                while data := secure.recv(4096):
                    secure.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], pem
    listener.close()


def test_a_strangers_certificate_and_bytes_are_untouched(stack: Stack, stranger: tuple[int, Path]):
    port, pem = stranger
    context = ssl.create_default_context(cafile=str(pem))
    with context.wrap_socket(tunnel(stack, "localhost", port), server_hostname="localhost") as secure:
        certificate = secure.getpeercert(binary_form=True)
        assert certificate == ssl.PEM_cert_to_DER_cert(
            pem.read_text()[pem.read_text().index("-----BEGIN CERT") :]
        )
        secure.sendall(b"\x00\xffbytes\r\n")
        assert secure.recv(100) == b"\x00\xffbytes\r\n"


def test_what_is_no_tls_passes_a_strangers_tunnel_as_bytes(stack: Stack):
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, tunnel(stack, "127.0.0.1", listener.getsockname()[1]) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nSSH-2.0 anything")
        server, _ = listener.accept()
        with server:
            server.settimeout(20)
            assert server.recv(100) == b"GET / HTTP/1.1\r\nhost: x\r\n\r\nSSH-2.0 anything"
            server.sendall(b"\x01\x02")
            assert client.recv(10) == b"\x01\x02"


def test_a_provider_is_decrypted_with_our_certificate_only(stack: Stack):
    context = ssl.create_default_context(cafile=stack.cli("ca", "path").strip())
    with context.wrap_socket(
        tunnel(stack, "api.openai.com", 443), server_hostname="api.openai.com"
    ) as secure:
        issuer = str(secure.getpeercert()["issuer"])
    assert "llm-intercept" in issuer


def test_a_client_that_resolves_names_itself(stack: Stack):
    """CONNECT to an address, a provider's name inside: the call goes to the provider, not to the address."""
    since = stack.last_id()
    context = ssl.create_default_context(cafile=stack.cli("ca", "path").strip())
    with context.wrap_socket(tunnel(stack, "192.0.2.1", 443), server_hostname="api.openai.com") as secure:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\ncontent-length: {len(BODY)}\r\n"
        )
        secure.sendall((head + "authorization: Bearer sk-own-000000000000\r\n\r\n" + BODY).encode())
        assert secure.recv(12) == b"HTTP/1.1 200"
    (row,) = stack.rows(1, since)
    assert (row["provider"], row["host"]) == ("openai", "127.0.0.1")


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl_in_both_http_versions(stack: Stack, version: str):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    since = stack.last_id()
    done = subprocess.run(
        ["curl", "-sS", version, "-x", stack.url, "--cacert", stack.cli("ca", "path").strip(), "-d", BODY,
         "-H", "content-type: application/json", "-H", "authorization: Bearer sk-own-000000000000",
         "-w", "\n%{http_version} %{http_code}", "https://api.openai.com/v1/chat/completions"],
        env=CLEAN, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == ("1.1 200" if version == "--http1.1" else "2 200")
    (row,) = stack.rows(1, since)
    assert (row["entry"], row["outcome"], row["client"].partition("/")[0]) == ("connect", "ok", "curl")


def test_absolute_form(stack: Stack):
    since = stack.last_id()
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=20)
    headers = {"content-type": "application/json", "host": "api.openai.com"}
    connection.request("POST", "http://api.openai.com/v1/chat/completions", BODY, headers)
    assert connection.getresponse().status == 200
    connection.close()
    (row,) = stack.rows(1, since)
    assert (row["entry"], row["provider"]) == ("absolute", "openai")


def test_plain_http_to_a_stranger_is_proxied(stack: Stack):
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "", "-x", stack.url, f"{stack.sim}/__sim/health"],
        env=CLEAN, capture_output=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout


def test_header_order_and_case_are_kept(stack: Stack):
    raw = socket.create_connection(("127.0.0.1", stack.port), timeout=20)
    names = ["X-zeta", "x-Alpha", "CONTENT-type", "User-AGENT", "aUthorization", "X-zeta"]
    values = ["1", "2", "application/json", "odd/1.0", "Bearer sk-own-000000000000", "3"]
    lines = [f"{n}: {v}" for n, v in zip(names, values, strict=True)]
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        f"Host: 127.0.0.1:{stack.port}",
        *lines,
        f"content-LENGTH: {len(BODY)}",
    ]
    with raw:
        raw.sendall("\r\n".join([*head, "", BODY]).encode())
        assert raw.recv(12) == b"HTTP/1.1 200"
    seen = stack.received()[-1]["headers"]
    assert [n for n, _ in seen] == ["Host", *names, "content-LENGTH"]


TELEMETRY = ["/api/event_logging/v2/batch", "/api/claude_code/settings", "/mcp-registry/v0/servers?limit=1"]


@pytest.mark.parametrize("path", TELEMETRY)
def test_telemetry_passes_unrecorded_and_without_our_token(stack: Stack, path: str):
    token = json.loads(
        stack.cli("token", "create", "--project", "demo", "--name", path.split("/")[2], "--json")
    )["token"]
    since = stack.last_id()
    context = ssl.create_default_context(cafile=stack.cli("ca", "path").strip())
    connection = http.client.HTTPSConnection("127.0.0.1", stack.port, timeout=20, context=context)
    connection.set_tunnel("api.anthropic.com", 443)
    connection.request("POST", path, b"{}", {"x-api-key": token, "content-type": "application/json"})
    connection.getresponse().read()
    connection.request(
        "POST", "/v1/messages", b"{}", {"x-api-key": token, "content-type": "application/json"}
    )
    connection.getresponse().read()
    connection.close()
    (row,) = stack.rows(1, since)
    assert row["path"] == "/v1/messages"
    telemetry, call = stack.received()[-2:]
    assert token not in json.dumps(telemetry)
    assert "real-anthropic-key" not in json.dumps(telemetry)
    assert "real-anthropic-key" in json.dumps(call)


def test_an_unknown_path_on_a_provider_is_relayed_and_recorded(stack: Stack):
    since = stack.last_id()
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=20)
    connection.request("POST", "/openai/v1/brand/new", b"{}", {"authorization": "Bearer sk-own-000000000000"})
    assert connection.getresponse().status == 404
    connection.close()
    (row,) = stack.rows(1, since)
    assert (row["operation"], row["outcome"], row["provider"]) == ("other", "client_error", "openai")
