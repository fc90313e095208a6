import ssl
from pathlib import Path

import pytest

from llm_intercept import bundle, ca
from llm_intercept.errors import ConfigError

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


def test_what_the_proxy_trusts_has_the_operators_root_and_not_ours(tmp_path: Path) -> None:
    ours = ca.ensure(tmp_path / "certs", NAMES, NOW)
    company = ca.ensure(tmp_path / "company", ("corp.example",), NOW)
    text = bundle.upstream(tmp_path, tmp_path / "company" / ca.CERTIFICATE_FILE).read_text()
    assert company.pem().strip() in text
    assert ours.pem().strip() not in text
    assert text.count("BEGIN CERTIFICATE") > 100


@pytest.mark.parametrize("content", [None, "nothing"])
def test_an_upstream_root_that_is_none_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "company.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"upstream_ca: .*company\.pem"):
        bundle.upstream(tmp_path, file)
