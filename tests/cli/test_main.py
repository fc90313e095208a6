import subprocess
import sys
from pathlib import Path

import pytest

from llm_intercept import __version__
from llm_intercept.cli import COMMANDS, main

NAMES = [name for section in COMMANDS.values() for name in section]


def test_help_lists_every_command(cli) -> None:
    text = cli("--help").stdout
    assert all(f"\n  {name} " in text for name in NAMES)


def test_help_imports_no_command() -> None:
    """So that it is there at once: the heavy modules come with the commands that need them."""
    script = (
        "import sys\nfrom llm_intercept.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'pydantic', 'rich', 'cryptography', 'aiohttp', 'mitmproxy'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], stdout=subprocess.DEVNULL, check=False).returncode == 0
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_command_teaches(cli, name: str) -> None:
    text = cli(name, "--help").stdout
    assert f"Usage: main {name}" in text
    assert len(text.splitlines()) > 6


def test_version(cli) -> None:
    assert cli("--version").stdout.strip() == f"llm-intercept, version {__version__}"


def test_python_m_runs_it_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llm_intercept.cli", "--version"], capture_output=True, text=True
    )
    assert done.stdout.startswith("llm-intercept")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["project", "list"], 0),
        (["project", "create", "default"], 1),
        (["project", "create"], 2),
        (["nonsense"], 2),
        (["project", "show", "nonsense"], 3),
        (["token", "revoke", "nonsense"], 3),
        (["key", "remove", "openai"], 3),
        (["key", "add", "nonsense", "--key-stdin"], 3),
        (["provider", "test", "openai"], 3),
        (["usage", "summary", "--since", "whenever"], 1),
    ],
)
def test_exit_codes(cli, words: list[str], code: int) -> None:
    result = cli(*words, code=code)
    assert bool(result.stderr) is (code != 0)
    assert "Traceback" not in result.stderr


def test_an_error_is_one_sentence(cli) -> None:
    result = cli("project", "show", "nonsense", code=3)
    assert result.stderr == (
        "Error: there is no project named 'nonsense'; `llm-intercept project create nonsense` makes one\n"
    )
    assert result.stdout == ""


def test_wrong_settings_stop_every_command_that_reads_them(cli, home: Path) -> None:
    result = cli("config", "check", code=1, env={"LLM_INTERCEPT_PROT": "1"})
    assert result.stderr == "Error: LLM_INTERCEPT_PROT is not a setting; did you mean LLM_INTERCEPT_PORT?\n"


def test_home_can_be_an_option(cli, tmp_path: Path) -> None:
    other = tmp_path / "other"
    cli("--home", str(other), "project", "create", "demo")
    assert (other / "control.db").exists()
    assert "demo" not in cli("project", "list").stdout


def test_commands_are_found_without_being_imported() -> None:
    folder = Path(main.get_command.__code__.co_filename).parent
    assert {name for name in NAMES if not (folder / f"{name}.py").exists()} == set()


def test_a_damaged_database_says_what_helps(cli, home: Path) -> None:
    cli("init")
    for name in ("usage", "control", "limits", "bodies"):
        file = home / f"{name}.db"
        whole = file.read_bytes()
        file.write_bytes(b"no database" * 1000)
        said = cli("token", "list", code=1).stderr
        assert f"{name}.db is damaged or not a database" in said
        assert "llm-intercept restore BACKUP --force" in said
        file.write_bytes(whole)
    assert "demo" not in cli("token", "list").stdout
