"""`llm-intercept token`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import click

from llm_intercept.cli.output import Formatter, json_option, moment, print_json, print_table, records
from llm_intercept.cli.policy_options import (
    policy_lines,
    policy_of,
    policy_options,
    policy_summary,
    unrestricted_option,
)
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.policy.allow import Policy
from llm_intercept.policy.tokens import parse_duration, parse_lifetime
from llm_intercept.store.token_use import UsedToken, used
from llm_intercept.store.tokens import NewToken, Token, Wanted

_STATES = ("active", "expired", "revoked", "exhausted", "suspended", "inactive")
_OVER = ("revoked", "expired")
_COLUMNS = {
    "project": "project",
    "name": "token",
    "hint": "begins",
    "kind": "kind",
    "state": "state",
    "user": "user",
    "requests": "calls",
    "cache_hits": "hits",
    "remaining": "left",
    "policy": "allowed",
    "last_used_at": "last used",
    "expires_at": "expires",
    "id": "id",
}
_FORMATS: dict[str, Formatter] = {
    "created_at": moment,
    "expires_at": moment,
    "last_used_at": moment,
    "policy": policy_summary,
}
_project_option = click.option("--project", help="Needed where several projects have a token of that name.")
_expires_option = click.option(
    "--expires", metavar="30d", help="How long it works from now on: 30d, 12h, 90m; never: until revoked."
)
_requests_option = click.option(
    "--max-requests",
    type=click.IntRange(0),
    metavar="N",
    help="How many calls it is good for; 0: any number.",
)


@click.group
def command() -> None:
    """Create and revoke the tokens that clients use instead of keys.

    A token goes wherever a client has a place for a key: `Authorization: Bearer`, `x-api-key`,
    `api-key`, `x-goog-api-key`, `?key=`, or the password of the proxy's URL.

    \b
    llm-intercept token create --project demo --name laptop --expires 30d
    llm-intercept token create --project demo --name ci --count 20 --max-requests 500
    llm-intercept token create --project demo --name app --allow-model 'gpt-4o-*' \\
        --limit-parameter max_tokens=max:4096 --allow-ip 10.0.0.0/8
    llm-intercept token refresh laptop --overlap 10m
    llm-intercept token suspend laptop
    """


@command.command
@click.option("--project", required=True, help="The project that its calls belong to.")
@click.option("--name", required=True, help="What it is for: a machine, a person, a job.")
@click.option("--user", default="", help="Who uses it: a user, or any label; shown with each call.")
@click.option(
    "--expires",
    metavar="30d",
    help="How long it works: 30d, 12h, 90m, never.  [default: tokens.default_lifetime, else until revoked]",
)
@click.option(
    "--aws", is_flag=True, help="An AWS key pair instead, for clients that sign their requests (Bedrock)."
)
@_requests_option
@click.option("--count", type=click.IntRange(1), metavar="N", help="So many at once: NAME-1, NAME-2, ...")
@policy_options
@json_option
@pass_session
def create(
    session: Session,
    /,
    project: str,
    name: str,
    user: str,
    expires: str | None,
    aws: bool,
    max_requests: int | None,
    count: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Make a token, or several. They are printed this once."""
    lifetime = _lifetime(expires)
    wanted = Wanted(user, lifetime, aws, policy_of(given) or Policy(), max_requests)
    if count is not None:
        batch = session.manage.tokens.create_many(session.actor, project, name, count, wanted)
        _print_batch(batch, as_json)
        return
    made = session.manage.tokens.create(
        session.actor,
        project,
        name,
        user=wanted.user,
        lifetime=lifetime,
        aws=aws,
        policy=wanted.policy,
        max_requests=max_requests,
    )
    _print_new(made, as_json)


def _lifetime(text: str | None) -> timedelta | None:
    return None if text is None else parse_lifetime(text)


def _duration(text: str | None) -> timedelta | None:
    """An empty one is a mistake: of a script whose variable is not set."""
    return None if text is None else parse_duration(text)


def _print_new(made: NewToken, as_json: bool) -> None:
    if as_json:
        print_json({**_texts(made), **_about(made)})
        return
    for key, value in _texts(made).items():
        click.echo(value if key == "token" else f"AWS_{key.upper()}={value}")
    until = made.token.expires_at or "it is revoked"
    click.echo(f"Belongs to {made.token.project}, works until {until}. It is not shown again.", err=True)


def _print_batch(batch: Sequence[NewToken], as_json: bool) -> None:
    """A line for each: its name, and what it is."""
    if as_json:
        print_json([{**_texts(made), **_about(made)} for made in batch])
        return
    for made in batch:
        click.echo(" ".join((made.token.name, *_texts(made).values())))
    click.echo(f"{len(batch)} tokens of {batch[0].token.project}. They are not shown again.", err=True)


def _texts(made: NewToken) -> dict[str, str]:
    if made.secret is None:
        return {"token": made.text}
    return {"access_key_id": made.text, "secret_access_key": made.secret.get_secret_value()}


def _about(made: NewToken) -> dict[str, object]:
    token = made.token
    return {"id": token.id, "name": token.name, "project": token.project, "expires_at": token.expires_at}


@command.command("list")
@click.option("--project", help="Only those of this project.")
@click.option("--user", default="", help="Only those of this user.")
@click.option("--prefix", default="", help="Only those that begin so: by name, or the token itself.")
@click.option("--state", type=click.Choice(_STATES), help="Only those in this state.")
@click.option("--all", "everything", is_flag=True, help="Those that were revoked or have expired, too.")
@json_option
@pass_session
def list_(
    session: Session,
    project: str | None,
    user: str,
    prefix: str,
    state: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Tokens by name, with what they were used for; their texts are not kept."""
    user_id = session.control.users.get(user).id if user else ""
    tokens = session.control.tokens.list(project, prefix=prefix, user_id=user_id)
    shown = [t for t in _used(session, tokens) if _wanted(t, state, everything=everything or bool(prefix))]
    if as_json:
        print_json(shown)
    elif shown:
        print_table(_COLUMNS, records(shown), _FORMATS)
    elif prefix or state or user:
        click.echo("No such tokens.")
    else:
        click.echo("No tokens yet: llm-intercept token create --project default --name laptop")


def _wanted(token: UsedToken, state: str | None, *, everything: bool) -> bool:
    return token.state == state if state else everything or token.state not in _OVER


def _used(session: Session, tokens: Sequence[Token]) -> list[UsedToken]:
    return used(tokens, session.home.usage_db, session.home.limits_db)


@command.command
@click.argument("token", metavar="[PROJECT/]NAME|ID")
@_project_option
@json_option
@pass_session
def show(session: Session, token: str, project: str | None, as_json: bool) -> None:
    """One token: its state, its use, and what it may be used for."""
    _print(session, session.control.tokens.get(token, project), as_json)


@command.command("set")
@click.argument("token", metavar="[PROJECT/]NAME|ID")
@_project_option
@click.option("--user", help='Who uses it; "" for nobody.')
@_expires_option
@_requests_option
@unrestricted_option
@policy_options
@json_option
@pass_session
def set_(
    session: Session,
    /,
    token: str,
    project: str | None,
    user: str | None,
    expires: str | None,
    max_requests: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Change a token, from the next call on. A restriction that is given replaces those of its kind."""
    known = session.control.tokens.get(token, project)
    policy = policy_of(given, known.policy)
    if policy is None and user is None and expires is None and max_requests is None:
        raise click.UsageError("say what to change: --expires, --max-requests, --user, --allow-model, ...")
    changed = session.manage.tokens.change(
        session.actor,
        known.id,
        policy=policy,
        max_requests=max_requests,
        user=user,
        lifetime=_lifetime(expires),
    )
    _print(session, changed, as_json)


@command.command
@click.argument("token", metavar="[PROJECT/]NAME|ID")
@_project_option
@click.option(
    "--overlap",
    metavar="10m",
    help="How long the old one works beside the new one.  [default: not a moment]",
)
@click.option(
    "--expires",
    metavar="30d",
    help="How long the new one works.  [default: as long as the old one was made for]",
)
@json_option
@pass_session
def refresh(
    session: Session,
    token: str,
    project: str | None,
    overlap: str | None,
    expires: str | None,
    as_json: bool,
) -> None:
    """Give a token a new secret: name, limits and what it has used stay as they are."""
    made = session.manage.tokens.refresh(
        session.actor,
        token,
        project,
        lifetime=_lifetime(expires),
        overlap=_duration(overlap),
    )
    _print_new(made, as_json)


@command.command
@click.argument("tokens", metavar="[PROJECT/]NAME|ID...", nargs=-1, required=True)
@_project_option
@json_option
@pass_session
def suspend(session: Session, tokens: tuple[str, ...], project: str | None, as_json: bool) -> None:
    """Refuse a token, from the very next call on, until it is resumed."""
    manage, actor = session.manage.tokens, session.actor
    _done([manage.suspend(actor, token, project) for token in tokens], "Suspended", as_json)


@command.command
@click.argument("tokens", metavar="[PROJECT/]NAME|ID...", nargs=-1, required=True)
@_project_option
@json_option
@pass_session
def resume(session: Session, tokens: tuple[str, ...], project: str | None, as_json: bool) -> None:
    """Let a suspended token work again."""
    manage, actor = session.manage.tokens, session.actor
    _done([manage.resume(actor, token, project) for token in tokens], "Resumed", as_json)


@command.command
@click.argument("tokens", metavar="[PROJECT/]NAME|ID...", nargs=-1)
@_project_option
@click.option("--all", "everything", is_flag=True, help="Every token of --project.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def revoke(
    session: Session,
    tokens: tuple[str, ...],
    project: str | None,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make tokens useless, from the very next call on and for good.

    \b
    llm-intercept token revoke laptop
    llm-intercept token revoke ci-1 ci-2 --project demo --yes
    llm-intercept token revoke --project demo --all
    """
    if everything == bool(tokens) or (everything and project is None):
        raise click.UsageError("say which tokens, or --project NAME --all")
    if everything and project is not None:
        _confirm(yes, f"Revoke every token of {session.control.projects.get(project).name}?")
        found = session.manage.tokens.revoke_all(session.actor, project)
    else:
        _confirm(yes or len(tokens) == 1, f"Revoke {len(tokens)} tokens?")
        found = session.manage.tokens.revoke_many(session.actor, tokens, project)
    _done(found, "Revoked", as_json)


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        click.confirm(question, abort=True, err=True)


def _done(tokens: Sequence[Token], what: str, as_json: bool) -> None:
    if as_json:
        print_json(tokens)
        return
    for token in tokens:
        click.echo(f"{what} {token.name} of {token.project} ({token.hint}).")
    if not tokens:
        click.echo("There was nothing to do.")


def _print(session: Session, token: Token, as_json: bool) -> None:
    (shown,) = _used(session, [token])
    if as_json:
        print_json(shown)
        return
    print_table(_COLUMNS, records([shown]), _FORMATS)
    if shown.overlap_until:
        click.echo(f"\nIts former secret works until {moment(shown.overlap_until)} as well.")
    if lines := policy_lines(shown.policy):
        click.echo("\nIt may be used only within")
        click.echo("\n".join(f"  {line}" for line in lines))
