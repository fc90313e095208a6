"""`llm-intercept migrate`: which version of the schema the databases have."""

import click

from llm_intercept.cli.output import json_option, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.store.migrate import Standing


@click.group
def command() -> None:
    """Show the schema versions of the databases, and bring them up to date.

    Every command does that by itself when it finds databases of an older version, and first copies what it
    changes into the home's backups/. Databases of a newer version are never touched.

    \b
    llm-intercept migrate status
    llm-intercept migrate up
    """


@command.command
@json_option
@pass_session
def status(session: Session, as_json: bool) -> None:
    """What each database has and lacks. Changes nothing."""
    rows = [_row(found) for found in session.home.standings()]
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [row | {"pending": _listed(row["pending"])} for row in rows])


@command.command
@click.option("--no-backup", is_flag=True, help="Do not copy databases before they are changed.")
@json_option
@pass_session
def up(session: Session, no_backup: bool, as_json: bool) -> None:
    """Bring every database to the schema of this version.

    What is changed is copied to backups/ in the home folder first. To go back, stop everything, put the copy
    in the database's place and use the older version again.
    """
    applied = session.home.ensure(keep=not no_backup)
    if as_json:
        print_json(applied)
    elif not applied:
        click.echo("Everything is up to date.")
    for name, migrations in () if as_json else applied.items():
        click.echo(f"{name}: {', '.join(migrations)}")


def _row(found: Standing) -> dict[str, object]:
    known = (*found.applied, *found.pending)
    return {
        "database": found.path.name,
        "state": found.state,
        "version": found.applied[-1] if found.applied else None,
        "latest": max((name for name in known if name not in found.unknown), default=None),
        "pending": list(found.pending) if found.exists else [],
        "unknown": list(found.unknown),
    }


def _listed(names: object) -> str:
    return ", ".join(names) if isinstance(names, list) and names else "-"


_COLUMNS = {
    "database": "database",
    "state": "state",
    "version": "has",
    "latest": "this version's",
    "pending": "lacks",
}
