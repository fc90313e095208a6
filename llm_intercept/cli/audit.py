"""`llm-intercept audit`: who did what, and whether the log of it is whole."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TextIO

import click

from llm_intercept.auditfile import AuditFile
from llm_intercept.cli.output import json_option, moment, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import InterceptError
from llm_intercept.store.audit_rows import OUTCOMES, AuditRow
from llm_intercept.store.audit_search import AuditQuery, asked
from llm_intercept.store.export import FORMATS, Format

_FILTERS = (
    click.option("--actor", default="", metavar="NAME", help="What this user, token or OS user did."),
    click.option("--action", default="", metavar="NAME", help="token.create, 'key.*', '*.delete'."),
    click.option("--kind", default="", help="What it was done to: project, token, key, limit, ..."),
    click.option("--name", default="", metavar="NAME|ID", help="To which one: demo, 'demo/*', prj_..."),
    click.option("--outcome", type=click.Choice(OUTCOMES), help="What came of it."),
    click.option("--source", default="", metavar="IP", help="From this address, or `local`."),
    click.option(
        "--request-id", default="", metavar="ID", help="What this request to the API, or this call, has left."
    ),
    click.option("--text", default="", help="Rows in which this occurs, upper or lower case."),
    click.option("--since", default="", metavar="WHEN", help="From: 7d, 24h, today, 2026-11-01."),
    click.option("--until", default="", metavar="WHEN", help="To, in the same words; a day counts whole."),
    click.option("--timezone", default="UTC", show_default=True, help="Whose days these are."),
)
_COLUMNS = {
    "id": "id",
    "at": "when (UTC)",
    "who": "who",
    "source": "from",
    "action": "action",
    "what": "what",
    "outcome": "outcome",
    "detail": "detail",
}


def filters[F: Callable[..., Any]](function: F) -> F:
    for option in reversed(_FILTERS):
        function = option(function)
    return function


def _query(session: Session, options: dict[str, Any]) -> AuditQuery:
    return asked(now_us=session.now_us, **options | {"outcome": options["outcome"] or ""})


@click.group
def command() -> None:
    """Show who changed what, and what happened at the doors.

    Every change by a command, the dashboard or the management API leaves a row here, and so do logins and
    refused tokens. Rows are only ever added; `audit verify` finds out whether somebody has meddled.

    \b
    llm-intercept audit list --since 7d --action 'token.*'
    llm-intercept audit verify
    """


@command.command("list")
@filters
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--cursor", type=int, metavar="ID", help="Go on before this row.")
@json_option
@pass_session
def list_(session: Session, /, limit: int, cursor: int | None, as_json: bool, **options: Any) -> None:
    """The rows that fit, newest first.

    \b
    llm-intercept audit list --actor anna --outcome denied
    llm-intercept audit list --kind token --name 'demo/*' --since today --timezone Europe/Berlin
    """
    page = session.manage.trail.search(session.actor, _query(session, options), limit=limit, cursor=cursor)
    if as_json:
        print_json({"rows": [row.document() for row in page.rows], "cursor": page.cursor})
    elif not page.rows:
        click.echo("Nothing in the audit log fits.")
    else:
        print_table(_COLUMNS, map(_line, page.rows), {"at": moment})
        if page.cursor is not None:
            click.echo(f"\nThere is more: --cursor {page.cursor}", err=True)


def _line(row: AuditRow) -> dict[str, object]:
    return {
        "id": str(row.id),
        "at": row.at,
        "who": row.actor,
        "source": row.source,
        "action": row.action,
        "what": f"{row.object_kind} {row.object_name}".strip(),
        "outcome": row.outcome,
        "detail": row.detail,
    }


@command.command
@click.argument("row_id", metavar="ID", type=int)
@json_option
@pass_session
def show(session: Session, row_id: int, as_json: bool) -> None:
    """One row, with what it changed."""
    row = session.manage.trail.get(session.actor, row_id)
    if as_json:
        print_json(row.document())
        return
    for name, value in _line(row).items():
        click.echo(f"{_COLUMNS[name]:<12}{value}")
    changes = [{"field": f, "before": _shown(b), "after": _shown(a)} for f, b, a in row.changes()]
    if changes:
        click.echo()
        print_table({"field": "field", "before": "before", "after": "after"}, changes)


def _shown(value: object) -> str | None:
    return None if value is None else str(value)


@command.command
@click.option(
    "--expect",
    metavar="HEX",
    help="What an earlier `verify` printed and somebody noted: that row must still be there.",
)
@json_option
@pass_session
def verify(session: Session, expect: str | None, as_json: bool) -> None:
    """Prove that no row was changed, removed, inserted or moved. Exit code 1 if one was.

    \b
    llm-intercept audit verify
    llm-intercept audit verify --expect 4f1c...
    """
    audit = session.manage.audit
    verdict = session.manage.trail.verify(session.actor)
    unknown = AuditFile(session.home.logs, session.settings.log).unknown(audit)
    problems = [verdict.text] if verdict.text else []
    if unknown:
        problems.append(
            f"{len(unknown)} rows are in logs/audit.jsonl and not in the log, or not as they are there: "
            f"{unknown[0]} is the first"
        )
    if expect is not None and not audit.has_chain(expect):
        removed = " (or cleanup has removed that row)" if verdict.removed else ""
        problems.append(f"no row has the digest that was noted: the log was cut off, or set back{removed}")
    if as_json:
        print_json({**asdict(verdict), "ok": not problems, "unknown": unknown, "problems": problems})
        if problems:
            click.get_current_context().exit(1)
    elif problems:
        raise InterceptError(f"the audit log is not as it was written: {'; '.join(problems)}")
    else:
        removed = f", {verdict.removed} older ones were removed by cleanup" if verdict.removed else ""
        click.echo(f"The audit log is whole: {verdict.rows} rows{removed}.")
        click.echo(f"Its digest is {verdict.chain}; noted elsewhere it proves that nothing was cut off.")


@command.command
@filters
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True, help="What to write."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to this file.")
@pass_session
def export(session: Session, /, form: Format, output: str | None, **options: Any) -> None:
    """Write the rows that fit, oldest first.

    \b
    llm-intercept audit export --since 2026-11-01 --until 2026-11-30 -o november.csv
    llm-intercept audit export --format ndjson --action 'login*'
    """
    query = _query(session, options)
    if output is None:
        _write(session, query, form, sys.stdout)
        return
    try:
        with open(output, "w", encoding="utf-8", newline="") as file:
            _write(session, query, form, file)
    except OSError as error:
        raise InterceptError(f"{output} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {output}", err=True)


def _write(session: Session, query: AuditQuery, form: Format, file: TextIO) -> None:
    for piece in session.manage.trail.export(session.actor, query, form):
        file.write(piece)
