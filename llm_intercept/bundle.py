"""The file of roots that clients are told to trust: the machine's own, ours, and ours of before.

Variables such as SSL_CERT_FILE *replace* a client's roots, so the file must hold the public ones
too, and those of a company proxy if the user's environment names some. Making roots is `ca.py`.
"""

import hashlib
import json
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import certifi

from llm_intercept import ca
from llm_intercept.environment import BUNDLE
from llm_intercept.errors import ConfigError

NAME = "bundle.pem"

# The first that exists is taken: Debian, Fedora, SUSE, Alpine and macOS, Homebrew.
SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/opt/homebrew/etc/ca-certificates/cert.pem",
)
_HEADER = "# llm-intercept bundle "
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def path(certs_dir: Path) -> Path:
    return certs_dir / NAME


def ensure(certs_dir: Path, environ: Mapping[str, str], now: float) -> Path:
    """The bundle's path; it is written again when a root or a file that it was made from has changed."""
    target = path(certs_dir)
    _build(target, [*_public(), *_named(target, environ)], _ours(certs_dir, now))
    return target


def upstream(folder: Path, extra: Path) -> Path:
    """Roots that the proxy itself trusts: the public ones and a file of the operator's, without ours."""
    if not extra.is_file():
        raise ConfigError(f"upstream_ca: there is no file {extra}")
    if not _blocks(extra):
        raise ConfigError(f"upstream_ca: {extra} holds no certificate in PEM form")
    target = folder / "upstream.pem"
    _build(target, [*_public(), extra], [])
    return target


def _build(target: Path, files: Iterable[Path], ours: list[bytes]) -> None:
    sources = list(dict.fromkeys(file for file in files if file.is_file()))
    header = _header(sources, ours)
    if _first_line(target) == header:
        return
    blocks = _distinct(
        [*ours, *(block for file in sources for block in _blocks(file)), *_from_system(sources)]
    )
    ca.write_file(target, header.encode() + b"\n" + b"\n".join(blocks) + b"\n", 0o644)


def _public() -> list[Path]:
    """certifi's roots and the system's."""
    system = next((Path(name) for name in SYSTEM_FILES if Path(name).is_file()), None)
    return [Path(certifi.where()), *([system] if system else [])]


def _ours(certs_dir: Path, now: float) -> list[bytes]:
    current = ca.load(certs_dir)
    roots = [*([current] if current else []), *ca.previous(certs_dir, now)]
    return [root.pem().strip().encode("ascii") for root in roots]


def _named(target: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """The files of the variables that we replace; inside our own environment, what the bundle was made of."""
    for value in dict.fromkeys(environ.get(name, "") for name in BUNDLE):
        if value and Path(value).expanduser().resolve() != target.resolve():
            yield Path(value).expanduser()
        elif value:
            yield from _recorded(target)


def _header(files: Iterable[Path], ours: Iterable[bytes]) -> str:
    stamps = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    digest = hashlib.sha256(json.dumps(stamps).encode() + b"".join(ours)).hexdigest()
    return _HEADER + json.dumps({"digest": digest, "files": [name for name, _, _ in stamps]})


def _first_line(target: Path) -> str:
    try:
        with target.open(encoding="ascii") as file:
            return file.readline().rstrip("\n")
    except FileNotFoundError:
        return ""


def _recorded(target: Path) -> list[Path]:
    line = _first_line(target)
    if not line.startswith(_HEADER):
        return []
    return [Path(name) for name in json.loads(line.removeprefix(_HEADER))["files"]]


def _blocks(file: Path) -> list[bytes]:
    return [found.group() for found in _BLOCK.finditer(file.read_bytes())]


def _from_system(files: list[Path]) -> Iterator[bytes]:
    """Where roots are not in a file, what OpenSSL gets from the system."""
    if len(files) > 1:
        return
    for root in ssl.create_default_context().get_ca_certs(binary_form=True):
        yield ssl.DER_cert_to_PEM_cert(root).strip().encode("ascii")


def _distinct(blocks: Iterable[bytes]) -> list[bytes]:
    """Each root once, however its base64 is wrapped."""
    return list({b"".join(block.split()): block for block in blocks}.values())
