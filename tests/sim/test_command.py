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


def test_a_scenario_is_checked_without_listening(tmp_path: Path) -> None:
    file = tmp_path / "chaos.toml"
    file.write_text('[[rules]]\nthen = "hang"\n')
    environ = {"LLM_INTERCEPT_HOME": str(tmp_path)}
    done = CliRunner().invoke(sim, ["--scenario", str(file), "--check"], env=environ)
    assert (done.exit_code, done.output) == (0, f"{file} is a scenario with 1 rule.\n")
    file.write_text("[[rules]]\nstatus = 500\n")
    done = CliRunner().invoke(sim, ["--scenario", str(file), "--check"], env=environ)
    assert "chaos.toml, line 1: rules[1].then: Field required" in str(done.exception)
    assert CliRunner().invoke(sim, ["--check"], env=environ).exit_code == 2


def test_the_settings_name_a_scenario_in_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[sim]\nscenario = "chaos.toml"\n')
    (tmp_path / "chaos.toml").write_text("")
    done = CliRunner().invoke(sim, ["--check"], env={"LLM_INTERCEPT_HOME": str(tmp_path)})
    assert done.output == f"{tmp_path / 'chaos.toml'} is a scenario with 0 rules.\n"
