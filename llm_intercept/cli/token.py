"""`llm-intercept token`."""

import click

from llm_intercept.cli.output import json_option, moment, print_json, print_table, records
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.policy.tokens import parse_duration
from llm_intercept.store.tokens import NewToken


@click.group
def command() -> None:
    """Create and revoke the tokens that clients use instead of keys.

    A token goes wherever a client has a place for a key: `Authorization: Bearer`, `x-api-key`,
    `api-key`, `x-goog-api-key`, `?key=`, or the password of the proxy's URL.
    """


@command.command
@click.option("--project", required=True, help="The project that its calls belong to.")
@click.option("--name", required=True, help="What it is for: a machine, a person, a job.")
@click.option("--user", default="", help="Who uses it; shown with each call.")
@click.option("--expires", metavar="30d", help="How long it works: 30d, 12h, 90m.  [default: until revoked]")
@click.option(
    "--aws", is_flag=True, help="An AWS key pair instead, for clients that sign their requests (Bedrock)."
)
@json_option
@pass_session
def create(
    session: Session, project: str, name: str, user: str, expires: str | None, aws: bool, as_json: bool
) -> None:
    """Make a token. It is printed this once."""
    lifetime = parse_duration(expires) if expires else None
    made = session.manage.tokens.create(session.actor, project, name, user=user, lifetime=lifetime, aws=aws)
    if as_json:
        print_json({**_texts(made), **_about(made)})
        return
    for key, value in _texts(made).items():
        click.echo(value if key == "token" else f"AWS_{key.upper()}={value}")
    until = made.token.expires_at or "it is revoked"
    click.echo(f"Belongs to {made.token.project}, works until {until}. It is not shown again.", err=True)


def _texts(made: NewToken) -> dict[str, str]:
    if made.secret is None:
        return {"token": made.text}
    return {"access_key_id": made.text, "secret_access_key": made.secret.get_secret_value()}


def _about(made: NewToken) -> dict[str, object]:
    token = made.token
    return {"id": token.id, "name": token.name, "project": token.project, "expires_at": token.expires_at}


@command.command("list")
@click.option("--project", help="Only those of this project.")
@click.option("--all", "everything", is_flag=True, help="Those that do not work any more, too.")
@json_option
@pass_session
def list_(session: Session, project: str | None, everything: bool, as_json: bool) -> None:
    """Tokens by name; their texts are not kept."""
    found = [
        t for t in session.control.tokens.list(project) if everything or t.state in ("active", "inactive")
    ]
    if as_json:
        print_json(found)
    elif not found:
        click.echo("No tokens yet: llm-intercept token create --project default --name laptop")
    else:
        print_table(_COLUMNS, records(found), _FORMATS)


_COLUMNS = {
    "project": "project",
    "name": "token",
    "hint": "begins",
    "kind": "kind",
    "state": "state",
    "user": "user",
    "created_at": "created",
    "expires_at": "expires",
    "id": "id",
}
_FORMATS = {"created_at": moment, "expires_at": moment}


@command.command
@click.argument("token", metavar="NAME|ID")
@click.option("--project", help="Needed where several projects have a token of that name.")
@pass_session
def revoke(session: Session, token: str, project: str | None) -> None:
    """Make a token useless, from the very next call on."""
    revoked = session.manage.tokens.revoke(session.actor, token, project)
    click.echo(f"Revoked {revoked.name} of {revoked.project} ({revoked.hint}).")
