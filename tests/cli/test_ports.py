"""A taken port is said in a sentence, before anything is started."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from llm_intercept.cli import main


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("proxy", "--port"),
        ("up", "--port"),
        ("up", "--dashboard-port"),
        ("dashboard", "--port"),
        ("sim", "--port"),
    ],
)
def test_a_taken_port(tmp_path: Path, command: str, option: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["--home", str(tmp_path), command, option, str(port)])
    assert done.exit_code == 1
    assert f"127.0.0.1:{port} is used by another program; choose another port with {option} N" in done.stderr
