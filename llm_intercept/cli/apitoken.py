"""`llm-intercept apitoken`."""

import click

from llm_intercept.cli.output import json_option, moment, print_json, print_table, records
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.manage.accounts import Accounts
from llm_intercept.policy.apitokens import SCOPES
from llm_intercept.policy.tokens import parse_duration

_COLUMNS = {
    "name": "name",
    "user": "user",
    "scope": "scope",
    "state": "state",
    "hint": "begins",
    "created_at": "created",
    "expires_at": "expires",
    "last_used_at": "last used",
    "id": "id",
}
_TIMES = dict.fromkeys(("created_at", "expires_at", "last_used_at"), moment)


@click.group
def command() -> None:
    """Tokens of the management API: for programs that read numbers, or manage things.

    \b
    llm-intercept apitoken create --name backup --scope read --expires 90d
    llm-intercept apitoken create --name ada-notebook --user ada --scope usage

    A token may do what its user may, as far as its scope goes: `usage` the user's own numbers, `read` also
    whatever the user sees, `write` also what the user may change. Without --user it is the local
    administrator's. It is sent as `Authorization: Bearer llm_api_...`.
    """


@command.command
@click.option("--name", required=True, help="What it is for.")
@click.option("--user", default="", metavar="NAME|EMAIL|ID", help="Whose it is.  [default: nobody's]")
@click.option("--scope", type=click.Choice(SCOPES), default="read", show_default=True)
@click.option("--expires", metavar="90d", help="How long it works: 90d, 12h.  [default: until revoked]")
@json_option
@pass_session
def create(session: Session, name: str, user: str, scope: str, expires: str | None, as_json: bool) -> None:
    """Make a token. It is printed this once."""
    lifetime = None if expires is None else parse_duration(expires)
    made = Accounts(session.manage.desk).create_api_token(session.actor, name, scope, lifetime, user)
    if as_json:
        token = made.token
        print_json({"token": made.text, "id": token.id, "name": token.name, "expires_at": token.expires_at})
        return
    click.echo(made.text)
    whose = f"{made.token.user}'s" if made.token.user else "the local administrator's"
    until = moment(made.token.expires_at) if made.token.expires_at else "it is revoked"
    click.echo(f"It is {whose} ({scope}), and works until {until}. It is not shown again.", err=True)


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that do not work any more, too.")
@json_option
@pass_session
def list_(session: Session, everything: bool, as_json: bool) -> None:
    """All tokens of the API; their texts are not kept."""
    tokens = Accounts(session.manage.desk).api_tokens(session.actor, everybody=True)
    found = [token for token in tokens if everything or token.state in ("active", "inactive")]
    if as_json:
        print_json(found)
    elif not found:
        click.echo("No API tokens yet: llm-intercept apitoken create --name backup")
    else:
        print_table(_COLUMNS, records(found), _TIMES)


@command.command
@click.argument("token", metavar="NAME|ID")
@pass_session
def revoke(session: Session, token: str) -> None:
    """Make a token useless, from the very next call on."""
    revoked = Accounts(session.manage.desk).revoke_api_token(session.actor, token)
    click.echo(f"Revoked {revoked.name} ({revoked.hint}).")
