"""What the port answers itself, the metrics, and the same addons on stock mitmdump."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live.stack import ROOT, Stack, free_port, get, running, wait_for

ECHO = json.dumps({"model": "sim/echo", "messages": [{"role": "user", "content": "hello"}]})


def post(stack: Stack, path: str, body: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=20)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module", params=["lean", "stock"])
def keyless(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """No provider key, no project: a fresh home, on the lean master and on mitmdump."""
    with running(tmp_path_factory.mktemp("keyless"), stock=request.param == "stock", keys=False) as started:
        yield started


def test_the_first_curl_works_without_a_key(keyless: Stack):
    since = keyless.last_id()
    status, body = post(keyless, "/v1/chat/completions", ECHO)
    assert status == 200
    assert json.loads(body)["choices"][0]["message"]["content"] == "hello"
    (row,) = keyless.rows(1, since)
    assert (row["provider"], row["outcome"], row["simulated"], row["priced"]) == ("sim", "ok", 1, 1)
    assert row["cost_nanos"] > 0


@pytest.mark.parametrize("path", ["/health", "/live", "/ready"])
def test_health(keyless: Stack, path: str):
    status, body = get(keyless.url + path)
    assert (status, json.loads(body)["status"] in ("ok", "ready")) == (200, True)


def test_the_page_shows_how_to_connect_here(keyless: Stack):
    page = get(keyless.url + "/")[1].decode()
    assert f"OPENAI_BASE_URL=http://127.0.0.1:{keyless.port}/v1" in page
    assert "llm-intercept run" in page
    assert "$" not in re.sub(r"\$\(llm-intercept [a-z ]+\)", "", page), "a placeholder was left"


def test_the_host_header_cannot_write_into_the_page(keyless: Stack):
    page = get(keyless.url + "/", {"Host": '"><script>alert(1)</script>'})[1].decode()
    assert "<script>" not in page


def test_the_ca_is_a_certificate_without_its_key(keyless: Stack):
    pem = get(keyless.url + "/ca.pem")[1]
    assert pem.startswith(b"-----BEGIN CERTIFICATE")
    assert b"PRIVATE" not in pem


def test_head_has_no_body(keyless: Stack):
    """Claude Code asks `HEAD /` first."""
    connection = http.client.HTTPConnection("127.0.0.1", keyless.port, timeout=20)
    for path in ("/", "/nonsense", "/ready"):
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (404 if path == "/nonsense" else 200, b"")
    connection.close()


def test_unknown_paths_say_so(keyless: Stack):
    status, body = get(keyless.url + "/nonsense")
    assert (status, json.loads(body)["error"]["code"]) == (404, "endpoint_not_found")
    assert post(keyless, "/nonsense", "{}")[0] == 404


def test_metrics_count_what_rows_say(keyless: Stack):
    since = keyless.last_id()
    post(keyless, "/v1/chat/completions", ECHO)
    keyless.rows(1, since)

    def values() -> dict[str, float]:
        text = get(keyless.url + "/metrics")[1].decode()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0) + sample.value
        return found

    rows = keyless.query(
        "SELECT count(*) AS n, sum(input_tokens + output_tokens) AS t, sum(cost_nanos) AS c FROM requests"
    )[0]
    counted = wait_for(
        lambda: (v := values()).get("llm_requests_total") == rows["n"] and v, "metrics follow the rows"
    )
    assert counted["llm_tokens_total"] == rows["t"]
    assert counted["llm_cost_usd_total"] == pytest.approx(rows["c"] / 1e9)
    assert counted["llm_duration_seconds_count"] == rows["n"]
    assert counted["llm_in_flight"] == 0


def test_ready_fails_when_the_database_is_gone(tmp_path: Path):
    with running(tmp_path / "home", keys=False) as stack:
        assert get(stack.url + "/ready")[0] == 200
        stack.home.joinpath("control.db").rename(stack.home / "elsewhere.db")
        status, body = get(stack.url + "/ready")
        assert status == 503
        assert "control.db" in json.loads(body)["problems"][0]


def test_default_binding_is_loopback_on_mitmdump(tmp_path: Path):
    with running(tmp_path / "home", stock=True, keys=False) as stack:
        listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, check=False).stdout
        if listening:
            assert f"127.0.0.1:{stack.port}" in listening
            assert f"0.0.0.0:{stack.port}" not in listening


def test_mitmdump_ends_rather_than_run_without_us(tmp_path: Path):
    (tmp_path / "config.toml").write_text("prot = 3\n")
    env = {**os.environ, "LLM_INTERCEPT_HOME": str(tmp_path)}
    mitmdump = Path(sys.executable).with_name("mitmdump")
    done = subprocess.run(
        [mitmdump, "-s", ROOT / "addons" / "gateway.py", "--listen-port", str(free_port())],
        env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "did you mean port?" in done.stderr + done.stdout


def test_up_supervises_and_restarts(tmp_path: Path):
    stack = Stack(tmp_path)
    dashboard = free_port()
    argv = [
        sys.executable,
        "-m",
        "llm_intercept.cli",
        "up",
        "--port",
        str(stack.port),
        "--dashboard-port",
        str(dashboard),
    ]
    with (tmp_path / "up.log").open("wb") as log:
        up = subprocess.Popen(argv, env=stack.env, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path)
    try:
        wait_for(
            lambda: b"Try it without a key" in (tmp_path / "up.log").read_bytes(), "up says the next step"
        )
        wait_for(lambda: get(f"http://127.0.0.1:{dashboard}/")[0] in (200, 302, 403), "the dashboard answers")
        assert post(stack, "/v1/chat/completions", ECHO)[0] == 200
        children = subprocess.run(
            ["pgrep", "-P", str(up.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        proxy = next(c for c in children if b"proxy" in Path(f"/proc/{c}/cmdline").read_bytes())
        os.kill(int(proxy), signal.SIGKILL)
        wait_for(
            lambda: (
                b"the proxy was killed by SIGKILL; starting it again" in (tmp_path / "up.log").read_bytes()
            ),
            "up says that it restarts",
        )
        wait_for(lambda: get(stack.url + "/ready")[0] == 200, "the proxy is back")
        up.send_signal(signal.SIGTERM)
        assert up.wait(timeout=30) == 0
        assert get(stack.url + "/live")[0] == 0
    finally:
        up.kill()
        up.wait()
