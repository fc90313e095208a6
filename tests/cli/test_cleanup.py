from contextlib import closing
from pathlib import Path

from llm_intercept.store.control import Control
from llm_intercept.vault import Vault
from tests.cli.rows import call, write


def test_dry_run_then_for_real(cli, cli_json, home: Path) -> None:
    cli("init")
    (home / "config.toml").write_text("[retention]\nrequests_days = 1\n")
    write(home, *(call(-1000 - number) for number in range(700)))
    assert cli_json("cleanup", "--dry-run")["removed"]["calls"] == 700
    assert "would go" in cli("cleanup", "--dry-run").stdout
    said = cli("cleanup").stdout
    assert "700" in said
    assert "can be filled again" in said
    assert cli_json("usage", "summary", "--since", "2020-01-01")["requests"] == 700
    assert "nothing to remove" in cli("cleanup").stdout
    report = cli_json("cleanup", "--vacuum")
    assert report["dry_run"] is False
    assert sum(report["returned"].values()) > 0


def test_it_is_audited(cli, home: Path) -> None:
    cli("init")
    (home / "config.toml").write_text("[retention]\nrequests_days = 1\n")
    write(home, call(-1000))
    cli("cleanup")
    with closing(Control(home / "control.db", Vault.load(home / "secret.key", {}))) as control:
        [row] = [row for row in control.audit.after(0, 100) if row.action == "cleanup.run"]
    assert row.actor_kind == "cli"
    assert '"calls":1' in row.after
