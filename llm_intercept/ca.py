"""Our own root certificate: what it may sign for, where it lies, how it is replaced.

The root carries critical X.509 name constraints, so a stolen key can impersonate the registered
provider hosts and nothing else. Files have the names mitmproxy's certificate store reads
(`CertStore.from_store(confdir, "mitmproxy")`), which then makes the leaf certificates; its
`mitmproxy-dhparam.pem` it writes itself. What clients trust is `bundle.py`.
"""

import ipaddress
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from llm_intercept.errors import ConfigError

BASENAME = "mitmproxy"
KEY_FILE = f"{BASENAME}-ca.pem"
CERTIFICATE_FILE = f"{BASENAME}-ca-cert.pem"
PREVIOUS = "previous"
ORGANIZATION = "llm-intercept"

VALIDITY = timedelta(days=2 * 365)
# Backdated as mitmproxy backdates leaves: for clients whose clock is a little behind.
BACKDATED = timedelta(days=2)
SOON = timedelta(days=30)

_NO_ADDRESSES = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


@dataclass(frozen=True, slots=True)
class Authority:
    """A root certificate. `names` are the DNS names it is constrained to; none: it may sign for any host."""

    path: Path
    certificate: x509.Certificate
    names: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def subject(self) -> str:
        return self.certificate.subject.rfc4514_string()

    @property
    def expires(self) -> datetime:
        return self.certificate.not_valid_after_utc

    @property
    def constrained(self) -> bool:
        return bool(self.names)

    def valid(self, now: float) -> bool:
        return self.certificate.not_valid_before_utc <= _time(now) < self.expires

    def expires_soon(self, now: float) -> bool:
        return self.expires - _time(now) < SOON

    def signs_for(self, host: str) -> bool:
        """Whether clients accept a certificate for this host: it is a permitted name or lies below one."""
        host = host.lower().rstrip(".")
        return not self.constrained or any(host == n or host.endswith(f".{n}") for n in self.names)

    def not_covered(self, names: Iterable[str]) -> tuple[str, ...]:
        """The hosts among `names` that this root cannot sign for."""
        return tuple(name for name in names if not self.signs_for(name))

    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode("ascii")


def load(certs_dir: Path) -> Authority | None:
    """The root of this folder, or None when there is none yet."""
    path = certs_dir / KEY_FILE
    try:
        return _authority(path, path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigError(
            f"{path} is not a certificate with its key ({error}); `llm-intercept ca rotate` makes a new one"
        ) from None


def ensure(certs_dir: Path, names: Iterable[str], now: float) -> Authority:
    """The root of this folder, made when there is none.

    A root without constraints that mitmproxy made by itself is set aside first: mitmproxy makes one
    as soon as it is started on an empty folder, before any addon is loaded. Only ever call this on
    a folder of ours, never on `~/.mitmproxy`, whose root people may have trusted for other work.
    """
    found = load(certs_dir)
    if found is not None and _made_by_mitmproxy(found):
        _set_aside(found)
        found = None
    authority = found or _create(certs_dir, names, now)
    _publish(authority)
    return authority


def rotate(certs_dir: Path, names: Iterable[str], now: float) -> Authority:
    """Replaces the root. The old certificate, without its key, stays trusted until it expires."""
    _retire(certs_dir)
    authority = _create(certs_dir, names, now)
    _publish(authority)
    return authority


def previous(certs_dir: Path, now: float) -> list[Authority]:
    """Roots that were replaced and have not expired; the files of expired ones are deleted."""
    kept = []
    for path in sorted((certs_dir / PREVIOUS).glob("*.pem")):
        authority = _authority(path, path.read_bytes())
        if authority.expires <= _time(now):
            path.unlink(missing_ok=True)
        else:
            kept.append(authority)
    return kept


def describe(certs_dir: Path, names: Iterable[str], now: float) -> dict[str, object]:
    """Everything about the root that a person or a script may ask for; an empty dict when there is none."""
    authority = load(certs_dir)
    if authority is None:
        return {}
    return {
        "certificate": str(certs_dir / CERTIFICATE_FILE),
        "subject": authority.subject,
        "sha256": authority.fingerprint,
        "not_before": authority.certificate.not_valid_before_utc.isoformat(),
        "not_after": authority.expires.isoformat(),
        "days_left": (authority.expires - _time(now)).days,
        "permitted": list(authority.names),
        "not_covered": list(authority.not_covered(names)),
        "previous": [
            {"sha256": old.fingerprint, "not_after": old.expires.isoformat()}
            for old in previous(certs_dir, now)
        ],
    }


def _time(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)


def _authority(path: Path, pem: bytes) -> Authority:
    certificate = x509.load_pem_x509_certificate(pem)
    return Authority(path, certificate, _permitted(certificate))


def _permitted(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(n.value for n in constraints.permitted_subtrees or () if isinstance(n, x509.DNSName))


def _made_by_mitmproxy(authority: Authority) -> bool:
    return not authority.constrained and authority.subject == "O=mitmproxy,CN=mitmproxy"


def _set_aside(authority: Authority) -> None:
    authority.path.replace(authority.path.with_name("unconstrained-ca.pem"))


def _retire(certs_dir: Path) -> None:
    """Moves the root out of the way. One unreadable or without constraints is not kept trusted."""
    path = certs_dir / KEY_FILE
    try:
        old = load(certs_dir)
    except ConfigError:
        path.replace(certs_dir / "unreadable-ca.pem")
        return
    if old is None:
        return
    if not old.constrained:
        _set_aside(old)
        return
    folder = certs_dir / PREVIOUS
    folder.mkdir(exist_ok=True)
    write_file(folder / f"{old.certificate.serial_number:x}.pem", old.pem().encode("ascii"), 0o644)
    path.unlink()


def _create(certs_dir: Path, names: Iterable[str], now: float) -> Authority:
    """A new root, or the one that another process made in the same moment."""
    certs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)  # mitmproxy's store takes RSA only
    certificate = _certificate(key, tuple(sorted(set(names))), _time(now))
    path = certs_dir / KEY_FILE
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    write_file(path, key_pem + certificate.public_bytes(Encoding.PEM), 0o600, replace=False)
    return _authority(path, path.read_bytes())


def _certificate(key: rsa.RSAPrivateKey, names: tuple[str, ...], now: datetime) -> x509.Certificate:
    if not names:
        raise ConfigError("a root certificate needs at least one host name that it may sign for")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # A name of its own: some TLS libraries choose between two trusted roots by name alone.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{ORGANIZATION} root {identifier.digest.hex()[:8]}"),
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_constraints(names), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _constraints(names: tuple[str, ...]) -> x509.NameConstraints:
    """Exactly these names and what lies below them, and no IP address at all."""
    return x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(name) for name in names],
        excluded_subtrees=[x509.IPAddress(network) for network in _NO_ADDRESSES],
    )


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _publish(authority: Authority) -> None:
    """Writes the files that derive from the root, where they are missing or belong to another one."""
    folder = authority.path.parent
    pem = authority.pem().encode("ascii")
    if _content(folder / CERTIFICATE_FILE) == pem:
        return
    key = load_pem_private_key(authority.path.read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigError(f"{authority.path} must hold an RSA key: mitmproxy signs with nothing else")
    write_file(folder / f"{BASENAME}-ca.p12", _pkcs12(key, authority.certificate), 0o600)
    write_file(folder / f"{BASENAME}-ca-cert.p12", _pkcs12(None, authority.certificate), 0o644)
    write_file(folder / f"{BASENAME}-ca-cert.cer", pem, 0o644)
    write_file(folder / CERTIFICATE_FILE, pem, 0o644)


def _pkcs12(key: rsa.RSAPrivateKey | None, certificate: x509.Certificate) -> bytes:
    return pkcs12.serialize_key_and_certificates(BASENAME.encode(), key, certificate, None, NoEncryption())


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_file(path: Path, content: bytes, mode: int, *, replace: bool = True) -> None:
    """Whole or not at all. With `replace=False` a file that is there already wins."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # 0600 from the first byte
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.chmod(name, mode)
    if replace:
        os.replace(name, path)
        return
    try:
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(name)
