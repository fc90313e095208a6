"""`llm-intercept import`: projects, tokens and users out of a file."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import click

from llm_intercept.cli.output import json_option, print_json
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import ConfigError
from llm_intercept.store.tokens import NewToken
from llm_intercept.tools import tables
from llm_intercept.tools.importing import Importer, Kind, Made

_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_DRY = click.option("--dry-run", is_flag=True, help="Check everything, and make nothing.")


@click.group
def command() -> None:
    """Make many projects, tokens or users from a CSV or JSON file: all of them, or none.

    The first line of a CSV file names its columns, and several words in a cell are separated by
    semicolons. JSON is an array of objects, or one object on each line.

    \b
    llm-intercept import users people.csv --dry-run
    llm-intercept import projects projects.json
    llm-intercept import tokens tokens.csv --output new-tokens.csv
    """


@command.command
@_FILE
@_DRY
@json_option
@pass_session
def users(session: Session, file: Path, dry_run: bool, as_json: bool) -> None:
    """Columns: name, email, role (admin, member or viewer), active."""
    _say("users", _importer(session).run("users", _records(file), dry_run=dry_run), dry_run, as_json)


@command.command
@_FILE
@_DRY
@json_option
@pass_session
def projects(session: Session, file: Path, dry_run: bool, as_json: bool) -> None:
    """Columns: name, owner, members, capture, hangup, cache, active; and those that restrict it.

    These are models, providers, endpoints, ips, origins; in JSON also `parameters`:
    {"max_tokens": {"max": 4096}}.
    """
    _say("projects", _importer(session).run("projects", _records(file), dry_run=dry_run), dry_run, as_json)


@command.command
@_FILE
@_DRY
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), metavar="NEW-FILE",
    help="Where the texts of the new tokens are written, once. Must not exist.",
)  # fmt: skip
@json_option
@pass_session
def tokens(session: Session, file: Path, dry_run: bool, output: Path | None, as_json: bool) -> None:
    """Columns: project, name, user, expires (30d), max_requests, aws; and those that restrict a project.

    The texts of the tokens go into --output, which only you can read, and are shown nowhere else.
    """
    if output is None and not dry_run:
        raise click.UsageError("say where the texts of the new tokens go: --output new-tokens.csv")
    written: list[Path] = []

    def keep(made: list[Made]) -> None:
        assert output is not None
        _write_new(output, _texts(made))
        written.append(output)

    try:
        made = _importer(session).run("tokens", _records(file), dry_run=dry_run, keep=keep)
    except BaseException:
        for path in written:  # these tokens do not exist
            path.unlink(missing_ok=True)
        raise
    _say("tokens", made, dry_run, as_json)
    if written and not as_json:
        click.echo(f"Their texts are in {output}, and nowhere else.")


def _importer(session: Session) -> Importer:
    return Importer(session.manage, session.actor)


def _records(file: Path) -> list[tables.Record]:
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    is_csv = file.suffix.lower() == ".csv" or (file.suffix == "" and text.lstrip()[:1] not in ("[", "{"))
    try:
        return tables.read(text, is_csv=is_csv)
    except ConfigError as error:
        raise ConfigError(f"{file.name}, {error}") from None


def _texts(made: Sequence[Made]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("project", "name", "id", "token", "secret_access_key", "expires_at"))
    for new in made:
        if isinstance(new, NewToken):
            token, secret = new.token, new.secret.get_secret_value() if new.secret else ""
            writer.writerow((token.project, token.name, token.id, new.text, secret, token.expires_at or ""))
    return text.getvalue()


def _write_new(path: Path, text: str) -> None:
    """On disk before the tokens are, so that none comes to be whose text nobody has."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists already; choose another --output") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _counted(made: Sequence[Made], kind: Kind) -> str:
    return f"{len(made)} {kind.removesuffix('s') if len(made) == 1 else kind}"


def _say(kind: Kind, made: Sequence[Made], dry_run: bool, as_json: bool) -> None:
    if as_json:
        names = [new.token.name if isinstance(new, NewToken) else new.name for new in made]
        print_json({"dry_run": dry_run, "kind": kind, "number": len(made), "names": names})
    elif dry_run:
        click.echo(f"{_counted(made, kind)} would be imported.")
    else:
        click.echo(f"Imported {_counted(made, kind)}.")
