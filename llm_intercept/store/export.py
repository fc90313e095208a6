"""Rows out of `usage.db`, all of them: CSV, NDJSON or JSON in pages of constant memory.

The dashboard fetches page by page in its own threads, the command line iterates `export`; both
write the same bytes. Limits on rows belong to pages for people, never here.
"""

import csv
import io
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Literal

import orjson

from llm_intercept.store.report_terms import Filters
from llm_intercept.store.report_time import Window

type Format = Literal["csv", "ndjson", "json"]
FORMATS: tuple[Format, ...] = ("csv", "ndjson", "json")
CONTENT_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson; charset=utf-8",
    "json": "application/json; charset=utf-8",
}
PAGE = 5_000
# A spreadsheet takes a cell that starts with one of these for a formula.
_FORMULA = frozenset("=+-@\t\r")


def usd(nanos: int | None) -> str | None:
    """Nano-dollars as an exact decimal: 1_234_500 -> "0.001234500"."""
    if nanos is None:
        return None
    sign, digits = "-" * (nanos < 0), abs(nanos)
    return f"{sign}{digits // 10**9}.{digits % 10**9:09d}"


def columns(conn: sqlite3.Connection) -> tuple[str, ...]:
    """The columns of `requests` in order (with `ts` after `id`), and `cost_usd`."""
    listed = conn.execute("SELECT * FROM requests LIMIT 0").description
    return (*(column[0] for column in listed), "cost_usd")


def page(
    conn: sqlite3.Connection, span: Window, filters: Filters, after_id: int, limit: int = PAGE
) -> list[tuple[object, ...]]:
    """The next rows in order of time; `after_id` is the id (first column) of the last one seen.

    Which of a provider's keys was used is left out for whoever does not see everything.
    """
    condition, parameters = filters.clauses()
    statement = f"SELECT *, cost_nanos FROM requests WHERE id >= ? AND id < ?{condition} ORDER BY id LIMIT ?"  # noqa: S608
    start = max(span.since, after_id + 1)
    found = conn.execute(statement, [start, span.until, *parameters, limit])
    rows = [(*row[:-1], usd(row[-1])) for row in found]
    if filters.scope.everything:
        return rows
    place = columns(conn).index("credential")
    return [(*row[:place], "", *row[place + 1 :]) for row in rows]


def head(kind: Format, names: Sequence[str]) -> str:
    return {"csv": _csv([names]), "ndjson": "", "json": "["}[kind]


def body(kind: Format, names: Sequence[str], rows: Sequence[Sequence[object]], *, first: bool) -> str:
    """One page as text; `first` says that nothing was written before it."""
    if kind == "csv":
        return _csv([_guarded(row) for row in rows])
    objects = [orjson.dumps(dict(zip(names, row, strict=True))).decode() for row in rows]
    if kind == "ndjson":
        return "".join(line + "\n" for line in objects)
    return ("\n" if first or not rows else ",\n") + ",\n".join(objects) if rows else ""


def tail(kind: Format) -> str:
    return "\n]\n" if kind == "json" else ""


def export(
    conn: sqlite3.Connection, span: Window, kind: Format, filters: Filters, limit: int = PAGE
) -> Iterator[str]:
    """The whole export as pieces of text."""
    names = columns(conn)
    yield head(kind, names)
    last, first = 0, True
    while rows := page(conn, span, filters, last, limit):
        yield body(kind, names, rows, first=first)
        last, first = _id(rows[-1]), False
    yield tail(kind)


def _id(row: Sequence[object]) -> int:
    number = row[0]
    assert isinstance(number, int)
    return number


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _guarded(row: Sequence[object]) -> list[object]:
    return ["'" + cell if isinstance(cell, str) and cell[:1] in _FORMULA else cell for cell in row]
