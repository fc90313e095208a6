"""`llm-intercept secret`: the keys that encrypt what is stored. None of them is ever shown."""

from dataclasses import asdict
from datetime import UTC, datetime

import click

from llm_intercept.cli.output import json_option, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import InterceptError
from llm_intercept.manage.secrets import Secrets
from llm_intercept.tools.rotation import KeyState


@click.group
def command() -> None:
    """Change the key that encrypts what is stored (providers' keys, AWS secrets), and see how old it is.

    \b
    llm-intercept secret rotate                 # a new key; running proxies go on
    llm-intercept secret rotate --drop-old      # and forget the old ones
    llm-intercept secret check
    """


@command.command
@click.option("--drop-old", is_flag=True, help="Remove keys that nothing is encrypted with any more.")
@click.option(
    "--no-new-key", is_flag=True, help="Only encrypt everything with the key that is in front already."
)
@json_option
@pass_session
def rotate(session: Session, drop_old: bool, no_new_key: bool, as_json: bool) -> None:
    """Put a new key in front and encrypt everything with it.

    Tokens of projects stay valid, proxies and dashboards go on without a restart, and if this is
    interrupted, running it again finishes it. Backups that were made before need the old keys: keep a
    copy of secret.key for as long as you keep them.
    """
    secrets = _secrets(session)
    done = secrets.rotate(session.actor, session.now, new_key=not no_new_key, drop_old=drop_old)
    if as_json:
        print_json(asdict(done))
        return
    if done.key:
        click.echo(f"The key {done.key} is in front.")
    click.echo(f"Encrypted {done.renewed} stored secret{'' if done.renewed == 1 else 's'} anew.")
    if drop_old:
        gone = len(done.dropped)
        click.echo(f"Removed {gone} old key{'' if gone == 1 else 's'}." if gone else "There was no old key.")
    elif len(secrets.states(session.actor)) > 1:
        click.echo(
            "Old keys still decrypt; `llm-intercept secret rotate --no-new-key --drop-old` removes them."
        )


@command.command("show-age")
@json_option
@pass_session
def show_age(session: Session, as_json: bool) -> None:
    """How old each key is, and how much it has encrypted."""
    rows = [_row(state, session.now) for state in _secrets(session).states(session.actor)]
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [row | {"front": "encrypts" if row["front"] else "decrypts"} for row in rows])


_COLUMNS = {"id": "key", "front": "use", "made": "made", "days": "days", "values": "secrets"}


@command.command
@json_option
@pass_session
def check(session: Session, as_json: bool) -> None:
    """Decrypt everything that is stored, and say whether all of it can be."""
    secrets = _secrets(session)
    lost, states = secrets.lost(session.actor), secrets.states(session.actor)
    behind = sum(state.values for state in states if not state.front)
    if as_json:
        print_json({"lost": lost, "behind": behind, "keys": [asdict(state) for state in states]})
    else:
        click.echo(f"{sum(state.values for state in states)} stored secrets can be decrypted.")
        if behind:
            click.echo(f"{behind} of them with an old key: `llm-intercept secret rotate` encrypts them anew.")
    if lost:
        raise InterceptError(
            f"{lost} stored secrets cannot be decrypted with any key; restore the secret.key "
            "they were written with, or store them again"
        )


def _row(state: KeyState, now: float) -> dict[str, object]:
    age = None
    if state.made:
        age = (datetime.fromtimestamp(now, UTC) - datetime.fromisoformat(state.made)).days
    return asdict(state) | {"days": age, "made": state.made or None}


def _secrets(session: Session) -> Secrets:
    return Secrets(session.manage.desk, session.home.leases)
