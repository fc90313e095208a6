"""`llm-intercept user`."""

import click

from llm_intercept.cli.output import json_option, moment, print_json, print_table, records
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.cli.user_login import invite, password, sessions
from llm_intercept.store.token_use import used
from llm_intercept.store.users import ROLES, Role, User

_ROLE = click.Choice(ROLES)
_COLUMNS = {
    "name": "user",
    "email": "email",
    "role": "role",
    "active": "active",
    "projects": "owns",
    "tokens": "tokens",
    "created_at": "created",
    "id": "id",
}
_PROJECTS = {"name": "project", "owner": "owner", "tokens": "working tokens"}
_TOKENS = {"project": "project", "name": "token", "hint": "begins", "state": "state", "requests": "calls"}
_FORMATS = {"created_at": moment}


@click.group
def command() -> None:
    """Users: people who own projects and tokens.

    \b
    llm-intercept user create ada --email ada@example.com --role admin
    llm-intercept project create research --owner ada --member bob
    llm-intercept token create --project research --name laptop --user ada

    Admins may do everything, members make tokens for projects of theirs, viewers look at what is theirs.
    """


@command.command
@click.argument("name")
@click.option("--email", help="For login by single sign-on, and to find the user by.")
@click.option("--role", type=_ROLE, default="member", show_default=True)
@json_option
@pass_session
def create(session: Session, name: str, email: str | None, role: Role, as_json: bool) -> None:
    """Make a user."""
    made = session.manage.users.create(session.actor, name, email=email, role=role)
    if as_json:
        print_json(made)
    else:
        click.echo(f"Created the user {made.name} ({made.role}).")


@command.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """All users."""
    found = session.control.users.list()
    if as_json:
        print_json(found)
    elif found:
        print_table(_COLUMNS, [_row(user) for user in found], _FORMATS)
    else:
        click.echo("No users yet: llm-intercept user create NAME --role admin")


@command.command
@click.argument("user", metavar="NAME|EMAIL|ID")
@json_option
@pass_session
def show(session: Session, user: str, as_json: bool) -> None:
    """One user, with projects and tokens."""
    found = session.control.users.get(user)
    projects = session.control.projects.of_user(found.id)
    tokens = session.control.tokens.list(user_id=found.id)
    shown = used(tokens, session.home.usage_db, session.home.limits_db)
    if as_json:
        print_json({**records([found])[0], "owned_or_member_of": projects, "their_tokens": shown})
        return
    print_table(_COLUMNS, [_row(found)], _FORMATS)
    for columns, lines in ((_PROJECTS, records(projects)), (_TOKENS, records(shown))):
        if lines:
            click.echo()
            print_table(columns, lines)


@command.command("set")
@click.argument("user", metavar="NAME|EMAIL|ID")
@click.option("--email", help='Another address; "" for none.')
@click.option("--role", type=_ROLE)
@click.option("--active/--inactive", default=None, help="Inactive: no login, and no token of theirs works.")
@json_option
@pass_session
def set_(
    session: Session, user: str, email: str | None, role: Role | None, active: bool | None, as_json: bool
) -> None:
    """Change a user, from the next call on."""
    if email is None and role is None and active is None:
        raise click.UsageError("say what to change: --email, --role, --active or --inactive")
    changed = session.manage.users.change(session.actor, user, email=email, role=role, active=active)
    if as_json:
        print_json(changed)
    else:
        print_table(_COLUMNS, [_row(changed)], _FORMATS)


@command.command
@click.argument("user", metavar="NAME|EMAIL|ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def remove(session: Session, user: str, yes: bool, as_json: bool) -> None:
    """Delete a user who owns no project and has no working token. What they did stays on record."""
    found = session.control.users.get(user)
    if not yes:
        click.confirm(f"Delete the user {found.name}?", abort=True, err=True)
    removed = session.manage.users.delete(session.actor, found.id)
    if as_json:
        print_json(removed)
    else:
        click.echo(f"Deleted the user {removed.name}.")


def _row(user: User) -> dict[str, object]:
    return records([user])[0] | {"active": "yes" if user.active else "no"}


for _login in (password, invite, sessions):
    command.add_command(_login)
