"""`llm-intercept project`."""

from typing import Any, Literal

import click

from llm_intercept.cli.output import Formatter, json_option, moment, print_json, print_table, records
from llm_intercept.cli.policy_options import (
    policy_lines,
    policy_of,
    policy_options,
    policy_summary,
    unrestricted_option,
)
from llm_intercept.cli.project_house import delete, export
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.policy.cachecontrol import CacheMode
from llm_intercept.store.projects import CaptureMode, Hangup, Project
from llm_intercept.store.token_use import used

_CAPTURE = click.Choice(["none", "errors", "all", "default"])
_HANGUP = click.Choice(["cut", "drain"])
_CACHE = click.Choice(["off", "opt-in", "on", "default"])
_CACHE_HELP = (
    "Which answers are stored: none, those of calls that ask for it, or all; `default`: as in settings."
)
_HANGUP_HELP = "When a client goes away: end the call at the provider, or read it to its end."
_COLUMNS = {
    "name": "project",
    "tokens": "working tokens",
    "owner": "owner",
    "members": "members",
    "policy": "allowed",
    "capture": "capture",
    "hangup": "hangup",
    "cache": "cache",
    "active": "active",
    "created_at": "created",
    "id": "id",
}
_TOKENS = {"name": "token", "hint": "begins", "state": "state", "requests": "calls", "expires_at": "expires"}
_FORMATS: dict[str, Formatter] = {"created_at": moment, "expires_at": moment, "policy": policy_summary}


@click.group
def command() -> None:
    """Create and show projects, to which calls and tokens belong.

    \b
    llm-intercept project create demo --owner ada --allow-model 'gpt-4o-*'
    llm-intercept token create --project demo --name laptop

    What a project does not allow, none of its tokens is allowed.
    """


command.add_command(export)
command.add_command(delete)


@command.command
@click.argument("name")
@click.option("--capture", type=_CAPTURE, default="default", show_default=True, help="Which bodies to keep.")
@click.option("--owner", default="", metavar="USER", help="A user who may make tokens for it.")
@click.option("--member", multiple=True, metavar="USER", help="More of them. Repeatable.")
@click.option("--hangup", type=_HANGUP, default="cut", show_default=True, help=_HANGUP_HELP)
@click.option("--cache", type=_CACHE, default="default", show_default=True, help=_CACHE_HELP)
@policy_options
@json_option
@pass_session
def create(
    session: Session,
    /,
    name: str,
    capture: str,
    owner: str,
    member: tuple[str, ...],
    hangup: Hangup,
    cache: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Make a project."""
    project = session.manage.projects.create(
        session.actor,
        name,
        capture=_mode(capture),
        owner=owner,
        members=member,
        policy=policy_of(given),
        hangup=hangup,
        cache=None if cache == "default" else cache,
    )
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
    tokens = used(session.control.tokens.list(project.name), session.home.usage_db, session.home.limits_db)
    if as_json:
        print_json({**records([project])[0], "tokens": records(tokens)})
        return
    print_table(_COLUMNS, [_row(project)], _FORMATS)
    if lines := policy_lines(project.policy):
        click.echo("\nIts tokens may be used only within")
        click.echo("\n".join(f"  {line}" for line in lines))
    if tokens:
        click.echo()
        print_table(_TOKENS, records(tokens), _FORMATS)


@command.command("set")
@click.argument("name")
@click.option("--capture", type=_CAPTURE, help="Which bodies to keep; `default`: as in settings.")
@click.option(
    "--active/--inactive", default=None, help="Inactive: all its tokens are refused, none is revoked."
)
@click.option("--owner", metavar="USER", help='Another owner; "" for none.')
@click.option("--member", multiple=True, metavar="USER", help="Add a member. Repeatable.")
@click.option("--remove-member", multiple=True, metavar="USER", help="Remove one. Repeatable.")
@click.option("--hangup", type=_HANGUP, help=_HANGUP_HELP)
@click.option("--cache", type=_CACHE, help=_CACHE_HELP)
@unrestricted_option
@policy_options
@json_option
@pass_session
def set_(
    session: Session,
    /,
    name: str,
    capture: CaptureMode | Literal["default"] | None,
    active: bool | None,
    owner: str | None,
    member: tuple[str, ...],
    remove_member: tuple[str, ...],
    hangup: Hangup | None,
    cache: CacheMode | Literal["default"] | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Change a project, from the next call on. A restriction that is given replaces those of its kind."""
    policy = policy_of(given, session.control.projects.get(name).policy)
    changes = {
        "capture": capture,
        "active": active,
        "owner": owner,
        "policy": policy,
        "hangup": hangup,
        "cache": cache,
        "add": member or None,
        "remove": remove_member or None,
    }
    asked = {key: value for key, value in changes.items() if value is not None}
    if not asked:
        raise click.UsageError(
            "say what to change: --capture, --cache, --active, --owner, --member, --allow-model, ..."
        )
    project = session.manage.projects.change(session.actor, name, **asked)
    if as_json:
        print_json(project)
    else:
        print_table(_COLUMNS, [_row(project)], _FORMATS)


def _mode(capture: str) -> CaptureMode | None:
    modes: dict[str, CaptureMode] = {"none": "none", "errors": "errors", "all": "all"}
    return modes.get(capture)


def _row(project: Project) -> dict[str, object]:
    return records([project])[0] | {
        "capture": project.capture or "as in settings",
        "cache": project.cache or "as in settings",
        "active": "yes" if project.active else "no",
        "members": ", ".join(project.members),
    }
