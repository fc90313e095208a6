import json
import time
from pathlib import Path

from llm_intercept import ca
from tests.fake_proxy import fake_proxy


def test_a_machine_without_a_proxy_fails_and_says_what_to_run(cli, home: Path) -> None:
    env = {"LLM_INTERCEPT_PORT": "9", "LLM_INTERCEPT_DASHBOARD__PORT": "9"}
    result = cli("doctor", "--json", code=1, env=env)
    found = {f["check"]: f for f in json.loads(result.stdout)}
    assert found["proxy"]["status"] == "failed"
    assert found["proxy"]["fix"] == "llm-intercept up"
    assert found["clients"]["status"] == "skipped"
    assert {found[name]["status"] for name in ("home", "settings", "databases", "certificate", "clock")} <= {
        "ok",
        "failed",
    }
    assert "llm-intercept up" in cli("doctor", code=1, env=env).stdout


def test_with_a_proxy_every_client_is_tried(cli, home: Path) -> None:
    cli("init")
    with fake_proxy(home / "certs") as proxy:
        env = {"LLM_INTERCEPT_PORT": str(proxy.port), "LLM_INTERCEPT_DASHBOARD__PORT": str(proxy.port)}
        result = cli("doctor", "--json", env=env)
    found = {f["check"]: f["status"] for f in json.loads(result.stdout)}
    assert found["proxy"] == "ok"
    assert found["dashboard"] == "ok"
    clients = {name: status for name, status in found.items() if name.startswith("client ")}
    assert clients
    assert set(clients.values()) <= {"ok", "warning"}


def test_wrong_settings_are_a_finding(cli) -> None:
    result = cli("doctor", "--json", code=1, env={"LLM_INTERCEPT_PROT": "1"})
    assert "LLM_INTERCEPT_PROT" in json.loads(result.stdout)[-1]["message"]


def test_a_root_that_does_not_fit_is_a_finding(cli, home: Path) -> None:
    ca.ensure(home / "certs", ("a.example",), time.time())
    found = {f["check"]: f for f in json.loads(cli("doctor", "--json", code=1).stdout)}
    assert found["certificate"]["fix"] == "llm-intercept ca rotate"
