"""What the commands that keep house share: who acts, and the audit row of what was done."""

import getpass
import sys

import click

from llm_intercept.cli.session import Session
from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import Thing


def acting() -> Actor:
    """Whoever runs commands on this machine may do everything; the name is the operating system's."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number without a name
        name = "unknown"
    return Actor("cli", name, "admin")


def record(session: Session, action: str, thing: Thing, after: object = None) -> None:
    """One row about something that is no change of one object."""
    session.control.audit.record(acting(), action, thing, after=after)


def progress(text: str) -> None:
    """Where it takes its time: to people only, so that output stays output."""
    if sys.stderr.isatty():
        click.echo(f"  {text}", err=True)
