import ssl
from pathlib import Path

from llm_intercept import bundle, ca

NOW = 1_795_000_000.0  # November 2026
DAY = 86_400.0
NAMES = ("api.openai.com", "openai.azure.com")


def test_the_bundle_has_public_roots_ours_and_those_of_the_environment(tmp_path: Path) -> None:
    folder, company = tmp_path / "certs", tmp_path / "company.pem"
    root = ca.ensure(folder, NAMES, NOW)
    company.write_text("# the company's\n" + ca.ensure(tmp_path / "company", ("corp.example",), NOW).pem())
    path = bundle.ensure(folder, {"SSL_CERT_FILE": str(company)}, NOW)
    blocks = path.read_text().split("-----BEGIN CERTIFICATE-----")[1:]
    assert len(blocks) > 100
    assert len(set("".join(b.split()) for b in blocks)) == len(blocks)
    ssl.create_default_context(cafile=str(path))  # parses as a whole
    before = path.read_bytes()
    assert root.pem().strip().encode() in before
    assert company.read_text().splitlines()[5].encode() in before
    # inside our own environment SSL_CERT_FILE is the bundle: the company's root must not get lost
    assert bundle.ensure(folder, {"SSL_CERT_FILE": str(path)}, NOW).read_bytes() == before


def test_the_bundle_is_written_only_when_something_changed(tmp_path: Path) -> None:
    ca.ensure(tmp_path, NAMES, NOW)
    path = bundle.ensure(tmp_path, {}, NOW)
    inode = path.stat().st_ino
    assert bundle.ensure(tmp_path, {}, NOW + DAY).stat().st_ino == inode
    ca.rotate(tmp_path, NAMES, NOW)
    assert bundle.ensure(tmp_path, {}, NOW).stat().st_ino != inode
