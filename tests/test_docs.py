"""Documents keep their word: generated pages are current, links lead somewhere, commands exist."""

import re
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import click
import pytest

from llm_intercept.cli import main, translation_reference
from llm_intercept.cli.settings_reference import markdown
from llm_intercept.policy.facts import Facts
from llm_intercept.policy.models import ModelMap
from llm_intercept.providers import Registry
from llm_intercept.resources import model_catalogue
from llm_intercept.settings import Settings
from llm_intercept.store.rows import AttemptRow, Outcome, RequestRow, ViolationRow
from llm_intercept.store.schema import USAGE
from llm_intercept.wire import codecs

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "certs/README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_settings_page_is_current():
    page = (ROOT / "docs/settings.md").read_text()
    assert page == markdown(), "run: python -m llm_intercept.cli.settings_reference > docs/settings.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def commands(page: Path) -> list[list[str]]:
    """Words of every `llm-intercept ...` line in code blocks and code spans."""
    text = page.read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("#")[0] for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(llm-intercept [^`]+)`", text)
    found = [line.split() for line in lines if line.strip().startswith("llm-intercept ")]
    return [words[1:] for words in found]


def follow(words: list[str]) -> None:
    """Walks the group tree along the words and checks each option against its command."""
    command: click.Command = main
    context = click.Context(main, info_name="llm-intercept")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        names = rest[0].split("|")
        inner = [command.get_command(context, name) for name in names]
        assert all(inner), f"there is no command {words}"
        assert inner[0] is not None
        command, rest = inner[0], rest[1:]
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {
        "--help",
        "--version",
        "-h",
    }
    for word in rest[: rest.index("--") if "--" in rest else None]:
        if word.startswith("-") and len(word) > 1:
            assert word.partition("=")[0] in known, f"{word} in {words}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_exist(page: Path):
    for words in commands(page):
        follow(words)


def test_the_readme_shows_commands():
    assert len(commands(ROOT / "README.md")) > 8


def test_every_column_is_described():
    page = (ROOT / "docs/usage-data.md").read_text()
    described = set(re.findall(r"`([a-z_0-9]+)`", page))
    with closing(sqlite3.connect(":memory:")) as connection:
        for _, script in USAGE:
            connection.executescript(script)
        for table in ("requests", "attempts", "violations"):
            columns = {row[1] for row in connection.execute(f"PRAGMA table_xinfo({table})")}
            assert columns <= described, columns - described
    assert set(Outcome.__value__.__args__) <= described


def test_rows_have_exactly_the_columns():
    with closing(sqlite3.connect(":memory:")) as connection:
        for _, script in USAGE:
            connection.executescript(script)
        for table, row in (("requests", RequestRow), ("attempts", AttemptRow), ("violations", ViolationRow)):
            columns = {c[1] for c in connection.execute(f"PRAGMA table_info({table})")}
            assert columns == set(row.__dataclass_fields__) - {"tries", "violations"}


def test_the_readme_names_every_provider():
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Providers") : text.index("## On stock mitmproxy")]
    named = set(re.findall(r"[a-z]+", section))
    assert set(Registry().providers) <= named


def test_the_translation_page_is_current():
    page = (ROOT / "docs/translation.md").read_text()
    command = "python -m llm_intercept.cli.translation_reference > docs/translation.md"
    assert page == translation_reference.markdown(), f"run: {command}"


def test_the_translation_page_covers_every_codec():
    assert set(translation_reference._NAMES) == codecs.names()


def test_the_example_of_the_translation_page_works():
    settings = Settings.model_validate(tomllib.loads(translation_reference.CONFIG))
    registry = Registry(settings.providers)
    facts = Facts(registry.providers, model_catalogue)
    models = ModelMap(settings.models, registry.providers, facts.known)
    for name, provider, model in (
        ("fast", "groq", "openai/gpt-oss-20b"),
        ("gpt-4o-mini", "anthropic", "claude-sonnet-4-5"),
        ("claude-opus-4-5", "gemini", "gemini-2.5-pro"),
        ("claude-haiku-4-5", "house", "Qwen/Qwen3-32B"),
    ):
        found = models.resolve(name, "", "anthropic", False)
        assert (found.provider, found.model) == (provider, model)
