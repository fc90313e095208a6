"""What the commands that keep house share: the audit row of what was done, and telling how far it is."""

import sys

import click

from llm_intercept.cli.session import Session
from llm_intercept.store.audit_rows import Thing


def record(session: Session, action: str, thing: Thing, after: object = None) -> None:
    """One row about something that is no change of one object."""
    session.manage.audit.record(session.actor, action, thing, after=after)


def progress(text: str) -> None:
    """Where it takes its time: to people only, so that output stays output."""
    if sys.stderr.isatty():
        click.echo(f"  {text}", err=True)
