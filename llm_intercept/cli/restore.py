"""`llm-intercept restore`: a home out of a backup."""

import os
from dataclasses import asdict
from pathlib import Path

import click
from pydantic import SecretStr

from llm_intercept.cli.backup import word
from llm_intercept.cli.house import progress
from llm_intercept.cli.output import json_option, print_json
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.home import HOME_VARIABLE, Home
from llm_intercept.tools import restore


@click.command
@click.argument("source", metavar="FILE.tar|FOLDER", type=click.Path(path_type=Path))
@click.option("--home", metavar="FOLDER", help="Restore into this folder.  [default: the home folder]")
@click.option("--force", is_flag=True, help="Replace a home that exists; the old one is kept beside it.")
@click.option("--passphrase-env", metavar="NAME", help="The variable with the passphrase of its secrets.")
@json_option
@pass_session
def command(
    session: Session, source: Path, home: str | None, force: bool, passphrase_env: str | None, as_json: bool
) -> None:
    """Make a home out of a backup, checked before anything is replaced.

    \b
    llm-intercept restore monday.tar --home /tmp/look
    llm-intercept restore monday.tar --force
    llm-intercept restore full.tar --passphrase-env BACKUP_PASSPHRASE

    Stop the proxy and the dashboard first. A database of an older version is brought up to date. Where the
    backup does not hold the encryption key, that of the replaced home is used if it fits.
    """
    passphrase = SecretStr(word(session, passphrase_env)) if passphrase_env else None
    target = Home.find({HOME_VARIABLE: home}) if home else Home(session.home.path)
    done = restore.restore(
        restore.Source(source, passphrase), target, dict(os.environ), progress, force=force
    )
    if as_json:
        print_json(asdict(done))
        return
    calls = done.rows["usage.db"]["requests"]
    click.echo(f"Restored {done.home} as it was on {done.made}: {calls:,} calls.")
    if done.aside:
        click.echo(f"The old home is {done.aside}.")
    if done.key == "nowhere":
        click.echo(
            f"The encryption key is missing: put the secret.key of that home into {done.home} before you use "
            "it, or no token works and no stored key can be decrypted."
        )
