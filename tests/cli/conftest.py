import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llm_intercept.cli import main

type Invoke = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def cli(home: Path) -> Invoke:
    """Runs a command in a home of its own and checks its exit code."""

    def invoke(*words: str, code: int = 0, stdin: str = "", env: dict[str, str] | None = None) -> Result:
        environ = {"LLM_INTERCEPT_HOME": str(home), **(env or {})}
        result = CliRunner().invoke(main, words, input=stdin, env=environ)
        assert result.exit_code == code, f"{result.exit_code}: {result.output} {result.exception!r}"
        return result

    return invoke


@pytest.fixture
def cli_json(cli: Invoke) -> Callable[..., Any]:
    return lambda *words, **options: json.loads(cli(*words, "--json", **options).stdout)
