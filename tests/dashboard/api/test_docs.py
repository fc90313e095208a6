"""docs/api.md keeps its word: its commands work one after the other, its tables are those of the code."""

import asyncio
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboard.api.conftest import World, open_world

PAGE = Path(__file__).parents[3] / "docs/api.md"


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in [name for name in os.environ if name.startswith("LLM_INTERCEPT_")]:
        monkeypatch.delenv(name)
    with asyncio.Runner() as runner:
        world = open_world(tmp_path / "home", runner)
        yield world
        runner.run(world.datasette.invoke_shutdown())


def request_of(line: str) -> tuple[str, str, bytes | None, dict[str, str]]:
    """What a `curl` line sends. Headers that are variables are those of every request."""
    words = shlex.split(line)[1:]
    method, path, body, headers = "", "", None, {}
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-d":
            body = words.pop(0).encode()
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers |= {name.lower(): value} if value else {}
        else:
            path = word.removeprefix("$API")
    return method or ("GET" if body is None else "POST"), path, body, headers


def test_the_examples_work_one_after_the_other(fresh: World) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("curl ")]
    assert len(lines) > 15
    for line in lines:
        method, path, body, headers = request_of(line)
        answer = fresh.ask(method, path, body, **{k.replace("-", "_"): v for k, v in headers.items()})
        assert answer.status_code < 300, f"{line}: {answer.text}"


def test_the_errors_are_those_of_the_code(world: World) -> None:
    codes = sys.modules["llm_dashboard.api.problem"].CODES
    rows = [f"| `{code}` | {status} | {about} |" for code, (status, about) in codes.items()]
    assert re.findall(r"^\| `\w+` \| \d+ \|.*$", PAGE.read_text(), re.MULTILINE) == rows


def test_the_operations_are_those_of_the_code(world: World) -> None:
    lines = []
    for operation in sys.modules["llm_dashboard.api.operations"].ALL:
        command = f" (`llm-intercept {operation.command}`)" if operation.command else ""
        lines.append(f"- `{operation.method} {operation.path}` {operation.summary}{command}")
    said = re.findall(r"^- `[A-Z]+ /.*$", PAGE.read_text(), re.MULTILINE)
    assert said == lines
