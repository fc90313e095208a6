"""The root, proved by handshakes: leaves are mitmproxy's own, clients are the ones people use."""

import ipaddress
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from mitmproxy.certs import CertStore

from llm_intercept import bundle, ca
from llm_intercept.errors import ConfigError

NOW = 1_795_000_000.0  # November 2026
DAY = 86_400.0
NAMES = ("api.openai.com", "openai.azure.com", "bedrock-runtime.us-east-1.amazonaws.com")


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a root that is valid today (handshakes use the machine's clock)."""
    folder = tmp_path_factory.mktemp("certs")
    ca.ensure(folder, NAMES, _today())
    bundle.ensure(folder, {}, _today())
    return folder


def _today() -> float:
    return time.time()


@contextmanager
def server(folder: Path, host: str) -> Iterator[int]:
    """An HTTPS server with a leaf that mitmproxy signs for `host`; answers 200 to whatever comes."""
    store = CertStore.from_store(folder, "mitmproxy", 2048)
    entry = store.get_cert(host, [_general_name(host)])
    key = entry.privatekey.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    leaf = folder / "leaf-under-test.pem"
    leaf.write_bytes(key + entry.cert.to_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, context))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        with plain:
            plain.settimeout(10)
            try:
                with context.wrap_socket(plain, server_side=True) as tls:
                    tls.recv(4096)
                    tls.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            except OSError:
                continue


def by_python(port: int, host: str, roots: Path) -> bool:
    context = ssl.create_default_context(cafile=str(roots))
    try:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return tls.recv(64).startswith(b"HTTP/1.1 200")
    except ssl.SSLCertVerificationError:
        return False


def by_curl(port: int, host: str, roots: Path) -> bool:
    command = ["curl", "-s", "--noproxy", "*", "--cacert", str(roots), "-o", "/dev/null"]
    command += ["--connect-to", f"{host}:{port}:127.0.0.1:{port}", f"https://{host}:{port}/"]
    return subprocess.run(command, check=False, timeout=20).returncode == 0


def by_node(port: int, host: str, roots: Path) -> bool:
    # NODE_EXTRA_CA_CERTS is what clients are given; it is read at start-up.
    script = f"""
        const options = {{host: "127.0.0.1", port: {port}, servername: "{host}"}};
        const socket = require("tls").connect(options, () => process.exit(0));
        socket.on("error", () => process.exit(7));
    """
    environ = {"PATH": "/usr/bin:/bin:/usr/local/bin", "NODE_EXTRA_CA_CERTS": str(roots)}
    return subprocess.run(["node", "-e", script], check=False, env=environ, timeout=20).returncode == 0


CLIENTS = [
    pytest.param(by_python, id="python"),
    pytest.param(by_curl, id="curl", marks=pytest.mark.skipif(not shutil.which("curl"), reason="no curl")),
    pytest.param(by_node, id="node", marks=pytest.mark.skipif(not shutil.which("node"), reason="no node")),
]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("api.openai.com", True),
        ("my-resource.openai.azure.com", True),
        ("bedrock-runtime.us-east-1.amazonaws.com", True),
        ("openai.com", False),
        ("evil-api.openai.com.example", False),
        ("s3.amazonaws.com", False),
        ("www.example.com", False),
    ],
)
def test_clients_trust_leaves_for_provider_hosts_only(
    certs: Path, client: object, host: str, trusted: bool
) -> None:
    assert callable(client)
    with server(certs, host) as port:
        assert client(port, host, bundle.path(certs)) is trusted


def test_no_address_is_signed_for(certs: Path) -> None:
    with server(certs, "127.0.0.1") as port:
        assert not by_python(port, "127.0.0.1", bundle.path(certs))


def test_the_root_says_what_it_may_do(tmp_path: Path) -> None:
    root = ca.ensure(tmp_path / "certs", NAMES, NOW).certificate
    extensions = root.extensions
    constraints = extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert {n.value for n in constraints.value.permitted_subtrees or ()} == set(NAMES)
    assert {str(n.value) for n in constraints.value.excluded_subtrees or ()} == {"0.0.0.0/0", "::/0"}
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert 729 < (root.not_valid_after_utc.timestamp() - NOW) / DAY <= 730


def test_only_the_owner_reads_the_key(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    ca.ensure(folder, NAMES, NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {
        "mitmproxy-ca.pem": 0o600,
        "mitmproxy-ca.p12": 0o600,
        "mitmproxy-ca-cert.pem": 0o644,
        "mitmproxy-ca-cert.cer": 0o644,
        "mitmproxy-ca-cert.p12": 0o644,
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert b"PRIVATE" not in (folder / "mitmproxy-ca-cert.pem").read_bytes()
    assert pkcs12.load_pkcs12((folder / "mitmproxy-ca-cert.p12").read_bytes(), None).key is None


def test_ensure_keeps_what_is_there(tmp_path: Path) -> None:
    first = ca.ensure(tmp_path, NAMES, NOW)
    (tmp_path / "mitmproxy-ca-cert.pem").unlink()
    second = ca.ensure(tmp_path, ("other.example",), NOW)
    assert second.fingerprint == first.fingerprint
    assert second.not_covered(("api.openai.com", "x.api.openai.com", "other.example")) == ("other.example",)
    assert (tmp_path / "mitmproxy-ca-cert.pem").read_text() == first.pem()


def test_a_root_that_mitmproxy_made_itself_is_set_aside(tmp_path: Path) -> None:
    CertStore.create_store(tmp_path, "mitmproxy", 2048)
    unconstrained = (tmp_path / "mitmproxy-ca.pem").read_bytes()
    root = ca.ensure(tmp_path, NAMES, NOW)
    assert root.constrained
    assert (tmp_path / "unconstrained-ca.pem").read_bytes() == unconstrained
    assert (tmp_path / "mitmproxy-ca-cert.pem").read_text() == root.pem()
    assert ca.previous(tmp_path, NOW) == []


def test_after_a_rotation_both_roots_are_trusted_until_the_old_one_expires(tmp_path: Path) -> None:
    old = ca.ensure(tmp_path, NAMES, NOW)
    new = ca.rotate(tmp_path, (*NAMES, "new.example"), NOW + 700 * DAY)
    assert new.fingerprint != old.fingerprint
    assert new.subject != old.subject
    assert new.signs_for("new.example")
    assert [root.fingerprint for root in ca.previous(tmp_path, NOW + 700 * DAY)] == [old.fingerprint]
    text = bundle.ensure(tmp_path, {}, NOW + 700 * DAY).read_text()
    assert old.pem().strip() in text
    assert new.pem().strip() in text
    text = bundle.ensure(tmp_path, {}, NOW + 731 * DAY).read_text()
    assert old.pem().strip() not in text
    assert new.pem().strip() in text
    assert not any(b"PRIVATE" in path.read_bytes() for path in (tmp_path / "previous").iterdir())


def test_rotation_replaces_a_root_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "mitmproxy-ca.pem").write_text("not a certificate")
    with pytest.raises(ConfigError, match="ca rotate"):
        ca.ensure(tmp_path, NAMES, NOW)
    assert ca.rotate(tmp_path, NAMES, NOW).constrained


def test_a_root_without_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        ca.ensure(tmp_path, (), NOW)
    assert ca.load(tmp_path) is None


@pytest.mark.parametrize(
    ("days", "valid", "soon"),
    [(-1, True, False), (0, True, False), (699, True, False), (701, True, True), (731, False, True)],
)
def test_the_time_that_is_left(tmp_path: Path, days: int, valid: bool, soon: bool) -> None:
    root = ca.ensure(tmp_path, NAMES, NOW)
    assert (root.valid(NOW + days * DAY), root.expires_soon(NOW + days * DAY)) == (valid, soon)


def test_describe_has_what_people_ask_for(tmp_path: Path) -> None:
    assert ca.describe(tmp_path, NAMES, NOW) == {}
    root = ca.ensure(tmp_path, NAMES, NOW)
    facts = ca.describe(tmp_path, (*NAMES, "new.example"), NOW)
    assert facts["sha256"] == root.fingerprint
    assert facts["not_covered"] == ["new.example"]
    assert facts["days_left"] == 730
