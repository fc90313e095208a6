"""`llm-intercept alias`: names of models that lead to others."""

from collections.abc import Iterator

import click

from llm_intercept.cli.output import json_option, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.store.projects import DEFAULT_PROJECT

_COLUMNS = {"name": "name", "target": "leads to", "project": "project", "origin": "kept in"}
_project = click.option("--project", default="", help="Only for calls of this project.")


@click.group
def command() -> None:
    """Let a model's name lead to another model, or provider.

    \b
    llm-intercept alias set fast openai/gpt-5-mini
    llm-intercept alias set 'claude-*' bedrock/anthropic.claude-sonnet-4-5 --project demo
    llm-intercept alias list

    A change counts from the next call on. Those of config.toml (models.aliases) are listed as well; an alias
    that is set here goes before one of the same name there, and a project's before one for all.
    """


@command.command("set")
@click.argument("name")
@click.argument("target")
@_project
@json_option
@pass_session
def set_(session: Session, name: str, target: str, project: str, as_json: bool) -> None:
    """Let NAME (or a pattern) lead to TARGET: `provider/model`, a model, or another alias."""
    made = session.manage.aliases.set(session.actor, name, target, project)
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made.name} leads to {made.target} for {_whom(made.project)}.")
        whose = f" --project {made.project or DEFAULT_PROJECT}"
        click.echo(f"See what becomes of a call: llm-intercept route explain {made.name}{whose}")


@command.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """All of them, those of config.toml too."""
    rows = list(_rows(session))
    if as_json:
        print_json(rows)
    elif rows:
        print_table(_COLUMNS, [row | {"project": row["project"] or "all"} for row in rows])
    else:
        click.echo("There is no alias: llm-intercept alias set NAME TARGET")


@command.command
@click.argument("name")
@_project
@json_option
@pass_session
def remove(session: Session, name: str, project: str, as_json: bool) -> None:
    """Forget an alias that was set here."""
    gone = session.manage.aliases.delete(session.actor, name, project)
    if as_json:
        print_json(gone)
    else:
        click.echo(f"Removed {gone.name}, which led to {gone.target} for {_whom(gone.project)}.")


def _rows(session: Session) -> Iterator[dict[str, str]]:
    aliases = session.manage.aliases
    for alias in aliases.list(session.actor):
        yield {"name": alias.name, "target": alias.target, "project": alias.project, "origin": "control.db"}
    for project, names in aliases.settings.items():
        for name, target in names.items():
            yield {"name": name, "target": target, "project": project, "origin": "config.toml"}


def _whom(project: str) -> str:
    return f"calls of the project {project}" if project else "all calls"
