import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_intercept.cli.run import bill
from llm_intercept.store.reports import Summary
from tests.fake_proxy import FakeProxy, fake_proxy

PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"

# What the proxy does on a call: finds the token, writes a row.
MAKE_A_CALL = """
import os, time
from pathlib import Path
from urllib.parse import urlsplit
from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault
from tests.cli.rows import call, write
home = Home(Path(os.environ["LLM_INTERCEPT_HOME"]))
control = Control(home.control_db, Vault.load(home.secret_key, {}))
principal = control.token(urlsplit(os.environ["HTTPS_PROXY"]).password, time.time()).principal
row = call(0, project=principal.project, token=principal.token)
row.id = time.time_ns() // 1000
row.request_id = str(row.id)
write(home.path, row)
"""


@pytest.fixture
def proxy(cli, home: Path) -> Iterator[FakeProxy]:
    cli("init")
    cli("project", "create", "demo")
    with fake_proxy(home / "certs") as proxy:
        yield proxy


def run(home: Path, proxy: FakeProxy, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llm_intercept.cli", "run", "--proxy", proxy.url, *words]
    env = {"PATH": os.environ["PATH"], "LLM_INTERCEPT_HOME": str(home), "PYTHONPATH": os.getcwd(), **environ}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)


def test_the_program_gets_everything(home: Path, proxy: FakeProxy, cli) -> None:
    cli("key", "add", "openai", "--key-stdin", stdin="sk-abcdefghijklmnopqrstuvwx")
    done = run(home, proxy, "--project", "demo", "--", sys.executable, "-c", PRINT_ENVIRONMENT, MINE="kept")
    values = json.loads(done.stdout)
    token = values["OPENAI_API_KEY"]
    assert token.startswith("lli_")
    assert values["HTTPS_PROXY"] == f"http://token:{token}@127.0.0.1:{proxy.port}"
    assert values["SSL_CERT_FILE"] == str(home / "certs" / "bundle.pem")
    assert values["MINE"] == "kept"
    assert "ANTHROPIC_API_KEY" not in values


def test_the_token_ends_with_the_run(home: Path, proxy: FakeProxy, cli_json) -> None:
    run(home, proxy, "--project", "demo", "--", "true")
    (token,) = cli_json("token", "list", "--all")
    assert (token["project"], token["state"]) == ("demo", "revoked")
    assert token["name"].startswith("run-")


def test_the_bill_has_the_calls_of_this_run_only(home: Path, proxy: FakeProxy) -> None:
    for _ in range(2):
        done = run(home, proxy, "--", sys.executable, "-c", MAKE_A_CALL)
        assert done.stderr == "llm-intercept: 1 call · 100 tokens in, 20 out · $0.000450\n"
    assert run(home, proxy, "--quiet", "--", "true").stderr == ""


def test_calls_with_a_token_of_the_programs_own_are_on_the_bill(home: Path, proxy: FakeProxy) -> None:
    """They count for that token; of the run's they say that it stood in their tunnel."""
    tunnel = "[policy.tokens.brought_by(principal.project, principal.token)]"
    own = MAKE_A_CALL.replace("token=principal.token", f"token='mine', changes=json.dumps({tunnel})")
    done = run(home, proxy, "--", sys.executable, "-c", f"import json\nfrom llm_intercept import policy{own}")
    assert done.stderr == "llm-intercept: 1 call · 100 tokens in, 20 out · $0.000450\n"
    strange = MAKE_A_CALL.replace(
        "token=principal.token", "token='mine', changes='[\"proxy: default/run-0\"]'"
    )
    done = run(home, proxy, "--", sys.executable, "-c", strange)
    assert done.stderr.startswith("llm-intercept: 0 calls")


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_the_exit_code_is_the_programs(home: Path, proxy: FakeProxy, script: str, code: int) -> None:
    assert run(home, proxy, "--", "sh", "-c", script).returncode == code


def test_a_program_that_is_not_there(home: Path, proxy: FakeProxy, cli_json) -> None:
    done = run(home, proxy, "--", "no-such-program-here")
    assert done.returncode == 127
    assert "Error: there is no program no-such-program-here" in done.stderr
    assert cli_json("token", "list") == []


def test_a_token_of_ones_own(home: Path, proxy: FakeProxy, cli_json) -> None:
    made = cli_json("token", "create", "--project", "demo", "--name", "mine")
    done = run(home, proxy, "--token", made["token"], "--", sys.executable, "-c", MAKE_A_CALL)
    assert "1 call" in done.stderr
    assert [t["name"] for t in cli_json("token", "list", "--all")] == ["mine"]


def test_signals_reach_the_program(home: Path, proxy: FakeProxy, tmp_path: Path) -> None:
    script = "trap 'echo stopped; exit 3' TERM; echo started; while :; do sleep 0.05; done"
    command = [
        sys.executable,
        "-m",
        "llm_intercept.cli",
        "run",
        "--proxy",
        proxy.url,
        "--",
        "sh",
        "-c",
        script,
    ]
    env = {"PATH": os.environ["PATH"], "LLM_INTERCEPT_HOME": str(home)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == ("stopped\n", 3)


def test_without_a_proxy_it_says_what_to_do(cli, home: Path) -> None:
    error = cli("run", "--", "true", code=1, env={"LLM_INTERCEPT_PORT": "9"}).stderr
    assert error == (
        "Error: no proxy answers at http://127.0.0.1:9; start one with `llm-intercept up`, "
        "or name another with --proxy URL\n"
    )


def test_a_proxy_that_cannot_serve(cli, home: Path) -> None:
    cli("init")
    with fake_proxy(home / "certs", ready={"problems": ["the writer has stopped"]}) as proxy:
        assert "the writer has stopped" in cli("run", "--proxy", proxy.url, "--", "true", code=1).stderr


@pytest.mark.parametrize(("words", "code"), [([], 2), (["--project", "p", "--token", "t", "--", "true"], 2)])
def test_wrong_usage(cli, words: list[str], code: int) -> None:
    cli("run", *words, code=code)


def test_an_unknown_project(cli, proxy: FakeProxy) -> None:
    cli("run", "--proxy", proxy.url, "--project", "nope", "--", "true", code=3)


@pytest.mark.parametrize(
    ("summary", "line"),
    [
        (Summary(), "0 calls · 0 tokens in, 0 out · $0.00"),
        (
            Summary(requests=2, input_tokens=1500, output_tokens=3, cost_nanos=12),
            "2 calls · 1,500 tokens in, 3 out · $0.000000",
        ),
        (
            Summary(requests=1, errors=1, unpriced=1),
            "1 call · 0 tokens in, 0 out · $0.00 (1 unpriced) · 1 error",
        ),
        (
            Summary(requests=3, cache_hits=2, input_tokens=4),
            "3 calls (2 out of the cache) · 4 tokens in, 0 out · $0.00",
        ),
    ],
)
def test_bill(summary: Summary, line: str) -> None:
    assert bill(summary) == f"llm-intercept: {line}"
