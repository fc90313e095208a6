from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_intercept import ca
from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.tools import doctor
from llm_intercept.tools.probes import Probe
from llm_intercept.vault import Vault

NOW = 1_795_000_000.0
DAY = 86_400.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.ensure()
    return home


def test_a_home(home: Home, tmp_path: Path) -> None:
    assert doctor.check_home(home).status == "ok"
    home.path.chmod(0o755)
    assert doctor.check_home(home).fix == f"chmod 700 {home.path}"
    assert doctor.check_home(Home(tmp_path / "none")).fix == "llm-intercept init"


def test_databases(home: Home) -> None:
    assert doctor.check_databases(home).message == "no calls recorded yet"
    home.usage_db.write_bytes(b"this is no database" * 100)
    finding = doctor.check_databases(home)
    assert finding.status == "failed"
    assert "usage.db" in finding.message


def test_keys(home: Home) -> None:
    control = Control(home.control_db, Vault.load(home.secret_key, {}))
    try:
        assert [f.status for f in doctor.check_keys(control)] == ["warning"]
        control.credentials.add("openai", SecretStr("sk-abcdefghijklmnopqrstuvwx"))
        control.refresh()
        assert [(f.check, f.status) for f in doctor.check_keys(control)] == [("key openai", "ok")]
    finally:
        control.close()


@pytest.mark.parametrize(
    ("days", "names", "status", "said"),
    [
        (0, ("a.example",), "ok", "1 host names and nothing else"),
        (0, ("a.example", "b.example"), "failed", "does not cover b.example"),
        (710, ("a.example",), "warning", "expires on"),
        (731, ("a.example",), "failed", "valid until"),
        (-5, ("a.example",), "failed", "valid until"),
    ],
)
def test_a_certificate(tmp_path: Path, days: int, names: tuple[str, ...], status: str, said: str) -> None:
    authority = ca.ensure(tmp_path, ("a.example",), NOW)
    finding = doctor.check_authority(authority, names, NOW + days * DAY)
    assert (finding.status, said in finding.message) == (status, True)
    assert finding.fix == ("" if status == "ok" else "llm-intercept ca rotate")


def test_a_private_key_that_others_can_read(tmp_path: Path) -> None:
    ca.ensure(tmp_path, ("a.example",), NOW)
    assert doctor.check_private_key(tmp_path).status == "ok"
    (tmp_path / ca.KEY_FILE).chmod(0o644)
    assert doctor.check_private_key(tmp_path).fix.startswith("chmod 600")


@pytest.mark.parametrize(
    ("problems", "listening", "status", "said"),
    [
        ([], True, "ok", "ready"),
        (["the writer has stopped"], True, "failed", "the writer has stopped"),
        (None, True, "failed", "another program"),
        (None, False, "failed", "nothing answers"),
    ],
)
def test_the_proxys_port(problems: list[str] | None, listening: bool, status: str, said: str) -> None:
    finding = doctor.check_proxy("http://127.0.0.1:8080", problems, listening)
    assert (finding.status, said in finding.message) == (status, True)


@pytest.mark.parametrize(
    ("newest", "offset", "status"),
    [
        (0, None, "ok"),
        (NOW * 1e6 - 1, 3.0, "ok"),
        (NOW * 1e6 + 5e6, None, "failed"),
        (0, 90.0, "warning"),
        (0, -90.0, "warning"),
        (0, 1000.0, "failed"),
    ],
)
def test_a_clock(newest: float, offset: float | None, status: str) -> None:
    assert doctor.check_clock(NOW, int(newest), offset).status == status


@pytest.mark.parametrize(
    ("probe", "status", "said"),
    [
        (Probe("curl", "8.1", True, True, True, ""), "ok", "8.1 goes through the proxy"),
        (Probe("curl", "8.1", True, False, True, ""), "failed", "not by way of the proxy"),
        (Probe("Node", "20.1", True, True, False, ""), "warning", "ignores HTTPS_PROXY"),
        (
            Probe("curl", "8.1", False, False, True, "SSL certificate problem"),
            "failed",
            "certificate problem",
        ),
        (Probe("curl", "8.1", False, False, True, ""), "failed", "no answer"),
    ],
)
def test_a_client(probe: Probe, status: str, said: str) -> None:
    finding = doctor.check_client(probe)
    assert (finding.status, said in finding.message) == (status, True)
    assert bool(finding.fix) is (status != "ok")
    assert doctor.failed([finding]) is (status == "failed")


def test_a_dashboard() -> None:
    assert doctor.check_dashboard("http://x", True).status == "ok"
    assert doctor.check_dashboard("http://x", False).fix == "llm-intercept up"
