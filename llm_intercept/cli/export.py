"""`llm-intercept export`: all rows, in constant memory."""

import sys
from typing import Any, TextIO

import click

from llm_intercept.cli.session import Session, pass_session
from llm_intercept.cli.spans import Span, read_span, span_options
from llm_intercept.errors import InterceptError
from llm_intercept.store.export import FORMATS, Format, export


@click.command
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), default="csv", show_default=True, help="What to write."
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write to this file instead of the terminal."
)
@span_options
@pass_session
def command(session: Session, /, kind: Format, output: str | None, **options: Any) -> None:
    """Write every call as CSV, JSON or NDJSON, without a limit on rows.

    \b
    llm-intercept export -o usage.csv
    llm-intercept export --format ndjson --since 7d --project demo | jq .cost_usd
    """
    span = read_span(session, options)
    if output is None:
        _write(session, span, kind, sys.stdout)
        return
    try:
        with open(output, "w", encoding="utf-8", newline="") as file:
            _write(session, span, kind, file)
    except OSError as error:
        raise InterceptError(f"{output} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {output}", err=True)


def _write(session: Session, span: Span, kind: Format, file: TextIO) -> None:
    for piece in export(session.usage, span.window, kind, span.filters):
        file.write(piece)
