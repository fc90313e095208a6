import json
import subprocess
from pathlib import Path

import pytest


def test_json_has_the_proxy_of_the_settings(cli, home: Path) -> None:
    values = json.loads(cli("env", "--shell", "json", env={"LLM_INTERCEPT_PORT": "9999"}).stdout)
    assert values["HTTPS_PROXY"] == "http://127.0.0.1:9999"
    assert values["SSL_CERT_FILE"] == str(home / "certs" / "bundle.pem")
    assert Path(values["SSL_CERT_FILE"]).is_file()


def test_a_shell_can_evaluate_it(cli) -> None:
    script = cli("env", "--token", "lli_x").stdout + '\nprintf %s "$https_proxy"'
    assert subprocess.check_output(["sh", "-c", script], text=True) == "http://token:lli_x@127.0.0.1:8080"


def test_a_token_stands_in_where_we_have_a_key(cli) -> None:
    env = {"OPENAI_API_KEY": "", "GROQ_API_KEY": "own"}
    for provider in ("openai", "groq"):
        cli("key", "add", provider, "--key-stdin", stdin="sk-abcdefghijklmnopqrstuvwx")
    values = json.loads(cli("env", "--shell", "json", "--token", "lli_x", env=env).stdout)
    assert values["OPENAI_API_KEY"] == "lli_x"
    assert "GROQ_API_KEY" not in values
    assert "XAI_API_KEY" not in values


@pytest.mark.parametrize(
    ("shell", "start"), [("fish", "set -gx "), ("powershell", "$Env:"), ("sh", "export ")]
)
def test_shells(cli, shell: str, start: str) -> None:
    assert all(line.startswith(start) for line in cli("env", "--shell", shell).stdout.splitlines())


def test_a_proxy_elsewhere(cli) -> None:
    assert "http://proxy.example:1234" in cli("env", "--proxy", "http://proxy.example:1234").stdout
