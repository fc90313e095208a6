"""How commands print: tables for people, JSON for programs, both from the same values."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import click
from pydantic import BaseModel
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

type Formatter = Callable[[Any], str]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")

# Rich cuts cells at 80 columns where there is no terminal; a pipe should get them whole.
_WIDE = 240


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    return str(value)


def print_table(
    columns: Mapping[str, str],
    rows: Iterable[Mapping[str, object]],
    formats: Mapping[str, Formatter] | None = None,
) -> None:
    """`columns` is key -> heading. Columns with numbers stand to the right."""
    formats = formats or {}
    lines = list(rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for key, heading in columns.items():
        numeric = any(isinstance(line[key], int | float) for line in lines)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for line in lines:
        table.add_row(*(_cell(line[key], formats.get(key)) for key in columns))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)


def _cell(value: object, form: Formatter | None) -> str:
    if value is None:
        return "-"
    text = form(value) if form else str(value)
    return text.replace("[", "\\[")


def records(values: Sequence[Any]) -> list[dict[str, Any]]:
    """Dataclasses as rows."""
    return [asdict(value) for value in values]


def count(value: float) -> str:
    return f"{value:,.0f}"


def moment(text: str) -> str:
    """A time of the databases, to the minute."""
    return text[:16].replace("T", " ")


def percent(share: float) -> str:
    return f"{share:.1%}"


def milliseconds(value: float) -> str:
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"


def dollars(nanos: int) -> str:
    """Two decimals for real money, enough of them to see small change."""
    if nanos == 0:
        return "$0.00"
    return f"${nanos / 1e9:,.2f}" if abs(nanos) >= 10**9 else f"${nanos / 1e9:.6f}"
