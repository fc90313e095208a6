"""`llm-intercept project`."""

import click

from llm_intercept.cli.output import json_option, moment, print_json, print_table, records
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.store.projects import CaptureMode, Project

_CAPTURE = click.Choice(["none", "errors", "all", "default"])
_COLUMNS = {
    "name": "project",
    "tokens": "active tokens",
    "capture": "capture",
    "active": "active",
    "created_at": "created",
    "id": "id",
}
_TOKENS = {"name": "token", "hint": "begins", "state": "state", "expires_at": "expires"}
_FORMATS = {"created_at": moment, "expires_at": moment}


@click.group
def command() -> None:
    """Create and show projects, to which calls and tokens belong.

    \b
    llm-intercept project create demo
    llm-intercept token create --project demo --name laptop
    """


@command.command
@click.argument("name")
@click.option("--capture", type=_CAPTURE, default="default", show_default=True, help="Which bodies to keep.")
@json_option
@pass_session
def create(session: Session, name: str, capture: str, as_json: bool) -> None:
    """Make a project."""
    project = session.manage.projects.create(session.actor, name, capture=_mode(capture))
    if as_json:
        print_json(project)
    else:
        click.echo(f"Created the project {project.name}.")
        click.echo(f"Next: llm-intercept token create --project {project.name} --name NAME")


@command.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """All projects."""
    found = session.control.projects.list()
    if as_json:
        print_json(found)
    else:
        print_table(_COLUMNS, [_row(project) for project in found], _FORMATS)


@command.command
@click.argument("name")
@json_option
@pass_session
def show(session: Session, name: str, as_json: bool) -> None:
    """One project with its tokens."""
    project = session.control.projects.get(name)
    tokens = session.control.tokens.list(project.name)
    if as_json:
        print_json({**records([project])[0], "tokens": records(tokens)})
        return
    print_table(_COLUMNS, [_row(project)], _FORMATS)
    if tokens:
        click.echo()
        print_table(_TOKENS, records(tokens), _FORMATS)


@command.command("set")
@click.argument("name")
@click.option("--capture", type=_CAPTURE, help="Which bodies to keep; `default`: as in settings.")
@click.option(
    "--active/--inactive", default=None, help="Inactive: all its tokens are refused, none is revoked."
)
@json_option
@pass_session
def set_(session: Session, name: str, capture: str | None, active: bool | None, as_json: bool) -> None:
    """Change a project, from the next call on."""
    if capture is None and active is None:
        raise click.UsageError("say what to change: --capture, --active or --inactive")
    project = session.manage.projects.change(session.actor, name, capture=capture, active=active)
    if as_json:
        print_json(project)
    else:
        print_table(_COLUMNS, [_row(project)], _FORMATS)


def _mode(capture: str) -> CaptureMode | None:
    modes: dict[str, CaptureMode] = {"none": "none", "errors": "errors", "all": "all"}
    return modes.get(capture)


def _row(project: Project) -> dict[str, object]:
    row = records([project])[0]
    return row | {"capture": project.capture or "as in settings", "active": "yes" if project.active else "no"}
