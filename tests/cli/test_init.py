import stat
from pathlib import Path


def test_everything_is_there_afterwards(cli, cli_json, home: Path) -> None:
    facts = cli_json("init")
    for name in (
        "usage.db",
        "control.db",
        "bodies.db",
        "secret.key",
        "certs/mitmproxy-ca.pem",
        "certs/bundle.pem",
    ):
        assert (home / name).is_file(), name
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "secret.key").stat().st_mode) == 0o600
    assert facts["home"] == str(home)
    assert cli_json("init") == facts
    assert str(home) in cli("init").stdout
