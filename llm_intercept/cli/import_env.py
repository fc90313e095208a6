"""`llm-intercept config import-env`: settings and keys of predecessors, out of their variables."""

import difflib
import re
from dataclasses import asdict
from pathlib import Path

import click

from llm_intercept import config
from llm_intercept.ca import write_file
from llm_intercept.cli.output import json_option, print_json
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import ConfigError, Conflict
from llm_intercept.providers import Registry
from llm_intercept.tools import predecessor, tomlfile
from llm_intercept.tools.predecessor import Line, NewKey, Plan

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_NOTHING = "There are no variables of a predecessor here; --file .env reads them from a file."


@click.command("import-env")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--file", "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Read the variables from this .env file instead of the environment.",
)  # fmt: skip
@json_option
@pass_session
def command(session: Session, dry_run: bool, path: Path | None, as_json: bool) -> None:
    """Take over the variables of earlier proxies.

    Those of claude-code-proxy and its relatives are known. Settings go into config.toml, keys are
    stored encrypted; what is there already stays. Says for each variable what it is called now,
    and which have no counterpart.

    \b
    llm-intercept config import-env --dry-run
    llm-intercept config import-env --file .env
    """
    plan = predecessor.read(parsed(path.read_text("utf-8")) if path else session.environ, session.registry)
    before = _text(session.home.config_toml)
    after, kept = _added(before, plan.settings)
    _check(session, after)
    notes = [] if dry_run else _carry_out(session, plan, before, after)
    lines = [_with_kept(line, kept) for line in plan.lines]
    if as_json:
        print_json({"variables": [asdict(line) for line in lines], "notes": notes, "dry_run": dry_run})
    else:
        _print(lines, notes, _new(before, after) if dry_run else "")


def parsed(text: str) -> dict[str, str]:
    """The assignments of a .env file; quotes are taken off, comments left out."""
    found = (_ASSIGNMENT.fullmatch(line) for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {match[1]: _unquoted(match[2]) for match in found if match}


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        end = value.find(value[0], 1)
        return value[1:end] if end > 0 else value[1:]
    return re.sub(r"\s+#.*", "", value)


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def _added(before: str, settings: dict[tuple[str, ...], object]) -> tuple[str, list[tuple[str, ...]]]:
    """A tier whose model stays keeps its provider as well."""
    after, kept = tomlfile.added(before, settings)
    useless = {(*path[:-1], "provider") for path in kept if path[-1] == "model"}
    if not useless & settings.keys():
        return after, kept
    return tomlfile.added(before, {path: value for path, value in settings.items() if path not in useless})


def _check(session: Session, text: str) -> None:
    """The file as it would be must be one that the next command can read."""
    loaded = config.load_text(text, session.home.config_toml)
    Registry(loaded.providers)


def _carry_out(session: Session, plan: Plan, before: str, after: str) -> list[str]:
    session.home.ensure()
    path = session.home.config_toml
    if after != before:
        write_file(path, after.encode(), path.stat().st_mode & 0o777 if path.exists() else 0o600)
    return [note for key in plan.keys if (note := _store(session, key))]


def _store(session: Session, key: NewKey) -> str:
    try:
        session.manage.keys.create(
            session.actor, key.provider, key.secret, name=key.name, base_url=key.base_url
        )
    except Conflict:
        return f"{key.provider} has a key named {key.name!r} already; it stays"
    except ConfigError as error:
        return f"{key.variable or key.provider}: {error}"
    return ""


def _new(before: str, after: str) -> str:
    """The lines that are not there yet: those that are may have secrets."""
    compared = difflib.ndiff(before.splitlines(), after.splitlines())
    lines = [line[2:] for line in compared if line.startswith("+ ")]
    return "\n".join(lines).strip("\n")


def _with_kept(line: Line, kept: list[tuple[str, ...]]) -> Line:
    if line.outcome == "setting" and tuple(line.name.split(".")) in kept:
        return Line(line.variable, "nothing", line.name, f"config.toml has another {line.name}; it stays")
    return line


def _print(lines: list[Line], notes: list[str], text: str) -> None:
    if not lines:
        click.echo(_NOTHING)
    for line in lines:
        click.echo(f"{line.variable} is deprecated: {_sentence(line)}")
    for note in notes:
        click.echo(f"Note: {note}.")
    if text:
        click.echo(f"\nconfig.toml would get:\n\n{text}")


def _sentence(line: Line) -> str:
    note = f" ({line.note})" if line.note else ""
    if line.outcome == "setting":
        variable = config.variable(line.name)
        return f"now `{line.name}` in config.toml, or {variable}{note}"
    if line.outcome == "key":
        return f"now a stored key of {line.name}, see `llm-intercept key list`{note}"
    return line.note
