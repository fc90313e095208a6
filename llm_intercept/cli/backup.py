"""`llm-intercept backup`: the whole home in one file."""

from dataclasses import asdict
from pathlib import Path

import click
from pydantic import SecretStr

from llm_intercept.cli.house import progress
from llm_intercept.cli.output import count, json_option, moment, print_json, print_table, records
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import NotFound
from llm_intercept.manage.house import House, next_backup
from llm_intercept.tools import backup, backups
from llm_intercept.vault import KEY_VARIABLE


@click.command
@click.argument("target", required=False, metavar="[FILE.tar|FOLDER]", type=click.Path(path_type=Path))
@click.option("--with-secrets", is_flag=True, help="Also the encryption key and the root certificate's key.")
@click.option(
    "--passphrase-env", metavar="NAME", help="Lock those with the passphrase in this environment variable."
)
@click.option("--list", "listing", is_flag=True, help="Show the backups in the home's backups/.")
@click.option("--verify", "verifying", is_flag=True, help="Open and check FILE.tar, and make nothing.")
@json_option
@pass_session
def command(
    session: Session,
    target: Path | None,
    with_secrets: bool,
    passphrase_env: str | None,
    listing: bool,
    verifying: bool,
    as_json: bool,
) -> None:
    """Copy the whole home into one file, while everything runs.

    \b
    llm-intercept backup                                   # into the home's backups/
    llm-intercept backup /mnt/disk/monday.tar.gz
    llm-intercept backup full.tar --with-secrets --passphrase-env BACKUP_PASSPHRASE
    llm-intercept backup --list
    llm-intercept backup --verify monday.tar

    Without --with-secrets, the stored keys of providers cannot be decrypted from it, and no token works,
    unless secret.key is kept elsewhere. The copy is opened and checked before it is called a backup.
    """
    if listing and verifying:
        raise click.UsageError("say --list or --verify, not both")
    if listing:
        _list(session, as_json)
    elif verifying:
        _verify(session, target, as_json)
    else:
        _make(session, target, with_secrets, passphrase_env, as_json)


def _list(session: Session, as_json: bool) -> None:
    found = backups.stored(session.home)
    if as_json:
        print_json(found)
        return
    rows = [
        {
            **row,
            "made_at": moment(row["made_at"]),
            "bytes": count(row["bytes"]),
            "secrets": row["secrets"] or "-",
        }
        for row in records(found)
    ]
    columns = {"name": "backup", "made_at": "made (UTC)", "bytes": "bytes", "secrets": "key in it"}
    print_table(columns, rows)


def _verify(session: Session, target: Path | None, as_json: bool) -> None:
    if target is None:
        raise click.UsageError("say which backup: llm-intercept backup --verify FILE.tar")
    path = target if target.exists() else backups.find(session.home, str(target))
    House(session.manage.desk, session.settings).may_verify(session.actor, path.name)
    found = backups.verify(path, session.home, progress)
    if as_json:
        print_json(asdict(found))
        return
    calls = found.rows["usage.db"]["requests"]
    click.echo(f"{path} is whole: made on {found.made} by version {found.program}, {calls:,} calls.")


def _make(
    session: Session, target: Path | None, with_secrets: bool, passphrase_env: str | None, as_json: bool
) -> None:
    if passphrase_env and not with_secrets:
        raise click.UsageError("--passphrase-env goes with --with-secrets")
    passphrase = SecretStr(word(session, passphrase_env)) if passphrase_env else None
    house = House(
        session.manage.desk, session.settings
    )  # creates what is missing, tells if the key does not fit
    wanted, target = backup.Wanted(with_secrets, passphrase), target or next_backup(session.home, session.now)
    house.may_back_up(session.actor, target)
    made = backup.make(session.home, target, wanted, session.now, progress)
    house.backed_up(session.actor, made)
    if as_json:
        print_json(asdict(made))
    else:
        _say(session, made)


def word(session: Session, name: str) -> str:
    """What an environment variable holds."""
    value = session.environ.get(name, "")
    if not value:
        raise NotFound(f"the environment variable {name} is not set or empty")
    return value


def _say(session: Session, made: backup.Backup) -> None:
    rows = made.databases["usage.db"].rows["requests"]
    click.echo(f"{made.path}: {made.bytes:,} bytes, {rows:,} calls; opened and checked.")
    if made.secrets == "plain":
        click.echo("It holds the encryption key as it is: whoever has the file can read the stored keys.")
    elif made.secrets == "none":
        place = KEY_VARIABLE if session.environ.get(KEY_VARIABLE) else str(session.home.secret_key)
        click.echo(
            f"It does not hold the encryption key. Without {place} nobody can decrypt the stored keys, "
            "and no token works."
        )
