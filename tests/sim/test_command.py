import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from click.testing import CliRunner

from llm_intercept.cli.sim import sim


def test_the_command_listens_and_stops_on_a_signal(tmp_path: Path) -> None:
    program = "from llm_intercept.cli.sim import sim; sim()"
    environ = {**os.environ, "LLM_INTERCEPT_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program, "--port", "0", "--json", "--seed", "3"],
        stdout=subprocess.PIPE,
        env=environ,
    ) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        with urllib.request.urlopen(f"{started['address']}/__sim/health", timeout=10) as answer:
            assert answer.status == 200
        assert started["pid"] == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def test_help_teaches() -> None:
    text = CliRunner().invoke(sim, ["--help"]).output
    for word in ("sim/echo", "sim/hang", "x-sim-model", "curl"):
        assert word in text
