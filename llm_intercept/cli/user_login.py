"""`llm-intercept user password`, `invite` and `sessions`: how users get into the dashboard, and out of it."""

import sys
from datetime import UTC, datetime

import click

from llm_intercept.cli.output import json_option, print_json, print_table, records
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import NotFound
from llm_intercept.manage.accounts import Accounts
from llm_intercept.policy.tokens import duration_text, parse_duration

_SESSIONS = {
    "id": "login",
    "method": "by",
    "client_ip": "address",
    "user_agent": "browser",
    "created_at": "since (UTC)",
    "last_seen_at": "last seen",
    "expires_at": "until",
}


@click.command
@click.argument("user", metavar="NAME|EMAIL|ID")
@click.option("--stdin", is_flag=True, help="Read the password from standard input, without asking twice.")
@pass_session
def password(session: Session, user: str, stdin: bool) -> None:
    """Set the password of a user, who is logged out everywhere by that.

    \b
    llm-intercept user password ada

    At least 12 characters, whatever they are. To have users choose theirs: `user invite`.
    """
    from llm_intercept.hashing import Hasher

    found = session.control.users.get(user)
    given = sys.stdin.readline().rstrip("\r\n") if stdin else _asked(found.name)
    Accounts(session.manage.desk).set_password(session.actor, found.id, Hasher().new(given))
    click.echo(f"{found.name} has a new password; all logins of {found.name} have ended.")


def _asked(name: str) -> str:
    text: str = click.prompt(f"New password of {name}", hide_input=True, confirmation_prompt=True, err=True)
    return text


@click.command
@click.argument("user", metavar="NAME|EMAIL|ID")
@click.option("--expires", default="7d", show_default=True, help="How long it works: 7d, 12h.")
@click.option("--withdraw", is_flag=True, help="Make none: the one that was made last stops working.")
@json_option
@pass_session
def invite(session: Session, user: str, expires: str, withdraw: bool, as_json: bool) -> None:
    """Print a link by which a user sets a first or a new password, once.

    \b
    llm-intercept user create bob --role member
    llm-intercept user invite bob
    llm-intercept user invite bob --withdraw

    Those made before stop working. Send it by a way that only the user reads.
    """
    from llm_intercept.cli.dashboard import address

    lifetime = parse_duration(expires)
    found = session.control.users.get(user)
    if withdraw:
        Accounts(session.manage.desk).withdraw_invite(session.actor, found.id)
        print_json({"user": found.name}) if as_json else click.echo(
            f"The invite of {found.name} is withdrawn."
        )
        return
    code = Accounts(session.manage.desk).invite(session.actor, found.id, int(lifetime.total_seconds()))
    link = f"{address(session.home, session.settings)}/-/llm/invite?code={code}"
    if as_json:
        print_json({"user": found.name, "link": link, "expires_in": int(lifetime.total_seconds())})
        return
    click.echo(link)
    click.echo(f"For {found.name}, once, within {duration_text(lifetime)}.", err=True)


@click.command
@click.argument("user", metavar="NAME|EMAIL|ID", required=False)
@click.option("--revoke", is_flag=True, help="End them all.")
@click.option("--end", metavar="LOGIN", help="End this one.")
@json_option
@pass_session
def sessions(session: Session, user: str | None, revoke: bool, end: str | None, as_json: bool) -> None:
    """Show the logins of a user, and end them. Without a name: those by links from this shell.

    \b
    llm-intercept user sessions ada
    llm-intercept user sessions ada --end ses_...
    llm-intercept user sessions ada --revoke
    """
    accounts, whose = Accounts(session.manage.desk), user or ""
    if end is not None:
        if end not in {one.id for one in accounts.sessions(session.actor, whose)}:
            raise NotFound(f"there is no login {end!r} of {user or 'this shell'}")
        ended_one = accounts.revoke_session(session.actor, end)
        print_json(ended_one) if as_json else click.echo(f"Ended: {ended_one.id}.")
        return
    if revoke:
        ended = accounts.revoke_sessions(session.actor, whose)
        print_json({"ended": ended}) if as_json else click.echo(f"Ended: {ended}.")
        return
    found = accounts.sessions(session.actor, whose)
    if as_json:
        print_json(found)
    elif not found:
        click.echo("Nobody is logged in." if user is None else f"{user} is not logged in.")
    else:
        print_table(_SESSIONS, records(found), dict.fromkeys(tuple(_SESSIONS)[4:], _moment))


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
