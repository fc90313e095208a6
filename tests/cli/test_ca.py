import ssl
from pathlib import Path

import pytest

from llm_intercept.cli.ca import _trust_commands


def test_path_prints_a_bundle_that_ssl_can_read(cli, home: Path) -> None:
    path = cli("ca", "path").stdout.strip()
    assert path == str(home / "certs" / "bundle.pem")
    ssl.create_default_context(cafile=path)


def test_show_and_rotate(cli, cli_json) -> None:
    before = cli_json("ca", "show")
    assert "api.openai.com" in before["permitted"]
    assert before["not_covered"] == []
    assert not [name for name in before["permitted"] if name in ("amazonaws.com", "googleapis.com")]
    after = cli_json("ca", "rotate")
    assert after["sha256"] != before["sha256"]
    assert [old["sha256"] for old in after["previous"]] == [before["sha256"]]
    assert before["sha256"] in cli("ca", "show").stdout


def test_a_provider_that_was_added_is_not_covered_until_the_root_is_rotated(cli, home: Path) -> None:
    cli("init")
    (home / "config.toml").write_text(
        '[providers.relay]\ndialect = "openai"\nbase_url = "https://llm.corp.example/v1"\n'
    )
    result = cli("ca", "show", code=1)
    assert "Not covered  llm.corp.example" in result.stdout
    assert "llm-intercept ca rotate" in result.stderr
    cli("ca", "rotate")
    assert "llm.corp.example" in cli("ca", "show").stdout


def test_export_has_no_key(cli, tmp_path: Path) -> None:
    assert cli("ca", "export").stdout.startswith("-----BEGIN CERTIFICATE-----")
    for kind in ("pem", "p12"):
        target = tmp_path / f"root.{kind}"
        cli("ca", "export", "--format", kind, "-o", str(target))
        assert target.stat().st_size > 500
        assert b"PRIVATE" not in target.read_bytes()
    cli("ca", "export", "--format", "p12", code=2)


def test_trust_only_prints(cli) -> None:
    assert "mitmproxy-ca-cert.pem" in cli("ca", "trust", "--print").stdout
    assert "--print" in cli("ca", "trust", code=2).stderr


@pytest.mark.parametrize(
    ("platform", "word"), [("linux", "update-ca-certificates"), ("darwin", "security"), ("win32", "certutil")]
)
def test_each_system_has_its_own_command(platform: str, word: str) -> None:
    assert word in _trust_commands(Path("/x/root.pem"), platform)
