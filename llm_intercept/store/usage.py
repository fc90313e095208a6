"""Writing to `usage.db`: rows, what belongs to them, rollups in one transaction. Reading is `reports.py`."""

import dataclasses
import itertools
import logging
import sqlite3
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from llm_intercept.store.rollup import COLUMNS, KEYS, Deltas, aggregate
from llm_intercept.store.rows import AttemptRow, RequestRow, ViolationRow
from llm_intercept.store.token_use import write_token_use

log = logging.getLogger(__name__)

IN_TABLES_OF_THEIR_OWN = ("tries", "violations")
REQUEST_COLUMNS = tuple(
    f.name for f in dataclasses.fields(RequestRow) if f.name not in IN_TABLES_OF_THEIR_OWN
)
ATTEMPT_COLUMNS = tuple(f.name for f in dataclasses.fields(AttemptRow))
VIOLATION_COLUMNS = tuple(f.name for f in dataclasses.fields(ViolationRow))


def _insert(table: str, columns: Sequence[str]) -> str:
    """Column names come from our own dataclasses, never from outside."""
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


def _upsert(table: str) -> str:
    sums = ", ".join(f"{name} = {name} + excluded.{name}" for name in COLUMNS if name not in KEYS)
    return f"{_insert(table, COLUMNS)} ON CONFLICT ({', '.join(KEYS)}) DO UPDATE SET {sums}"


_INSERT_REQUEST = _insert("requests", REQUEST_COLUMNS)
_INSERT_ATTEMPT = _insert("attempts", ATTEMPT_COLUMNS)
_INSERT_VIOLATION = _insert("violations", VIOLATION_COLUMNS)
_UPSERT_HOUR = _upsert("usage_hour")
_UPSERT_DAY = _upsert("usage_day")
_TOGETHER = 16  # rows; with the columns of one fewer parameters than any SQLite takes
_request_values = attrgetter(*REQUEST_COLUMNS)
_attempt_values = attrgetter(*ATTEMPT_COLUMNS)
_violation_values = attrgetter(*VIOLATION_COLUMNS)

# What one unusable row raises: text that is no UTF-8, a number beyond 64 bits, a value of a wrong type.
ROW_FAULTS = (
    UnicodeEncodeError,
    OverflowError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


def write_batch(connection: sqlite3.Connection, rows: Sequence[RequestRow]) -> list[RequestRow]:
    """Writes all rows in one transaction and returns those that are new.

    A row whose `request_id` is known already is skipped, so recovering a journal twice counts once.
    A row whose `id` is taken gets the next free microsecond. Raises sqlite3.OperationalError when the
    database cannot be written at all; then nothing has been.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        written = _insert_rows(connection, rows)
        _write_rollups(connection, written)
        write_token_use(connection, written)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk rolls back by itself
            connection.execute("ROLLBACK")
        raise
    return written


def _insert_rows(connection: sqlite3.Connection, rows: Sequence[RequestRow]) -> list[RequestRow]:
    connection.execute("SAVEPOINT batch")
    try:
        _insert_all(connection, _INSERT_REQUEST, map(_request_values, rows))
        _insert_details(connection, rows)
    except ROW_FAULTS:
        connection.execute("ROLLBACK TO batch")
        return [row for row in rows if _insert_one(connection, row)]
    return list(rows)


def _insert_all(connection: sqlite3.Connection, statement: str, values: Iterable[tuple[Any, ...]]) -> None:
    """Several rows with each statement: for every one that runs, this thread gives the interpreter lock away
    and takes it from the calls again.
    """
    rows = list(values)
    whole = len(rows) - len(rows) % _TOGETHER
    if whole:
        head, _, one = statement.partition("VALUES ")
        several = f"{head}VALUES {', '.join([one] * _TOGETHER)}"
        for together in itertools.batched(rows[:whole], _TOGETHER):
            connection.execute(several, [value for row in together for value in row])
    connection.executemany(statement, rows[whole:])


def _insert_details(connection: sqlite3.Connection, rows: Iterable[RequestRow]) -> None:
    """Attempts and violations; they take the id that their row was given."""
    attempts: list[AttemptRow] = []
    violations: list[ViolationRow] = []
    for row in rows:
        for attempt in row.tries:
            attempt.request_id = row.id
        for violation in row.violations:
            violation.request_id = row.id
        attempts += row.tries
        violations += row.violations
    _insert_all(connection, _INSERT_ATTEMPT, map(_attempt_values, attempts))
    if violations:
        connection.executemany(_INSERT_VIOLATION, map(_violation_values, violations))


def _insert_one(connection: sqlite3.Connection, row: RequestRow) -> bool:
    """The patient way, for a batch in which something does not fit. Whether the row is in now, and is new."""
    make_storable(row)
    if _exists(connection, "SELECT 1 FROM requests WHERE request_id = ?", row.request_id):
        return False
    while _exists(connection, "SELECT 1 FROM requests WHERE id = ?", row.id):
        row.id += 1
    connection.execute("SAVEPOINT one")
    try:
        connection.execute(_INSERT_REQUEST, _request_values(row))
        _insert_details(connection, [row])
    except ROW_FAULTS:
        log.exception("a row cannot be stored", extra={"request_id": row.request_id})
        connection.execute("ROLLBACK TO one")
        return False
    return True


def make_storable(row: RequestRow) -> None:
    """Replaces what no database takes: lone surrogates of undecodable headers, integers beyond 64 bits."""
    records: list[RequestRow | AttemptRow | ViolationRow] = [row, *row.tries, *row.violations]
    for record in records:
        for field in dataclasses.fields(record):
            value = getattr(record, field.name)
            if isinstance(value, str) and not value.isascii():
                setattr(record, field.name, value.encode("utf-8", "replace").decode())
            elif isinstance(value, int) and not -(2**63) <= value < 2**63:
                setattr(record, field.name, None if field.default is None else 0)


def _exists(connection: sqlite3.Connection, sql: str, value: Any) -> bool:
    return connection.execute(sql, (value,)).fetchone() is not None


def _write_rollups(connection: sqlite3.Connection, rows: Sequence[RequestRow]) -> None:
    hours, days = aggregate(rows)
    connection.executemany(_UPSERT_HOUR, _flat(hours))
    connection.executemany(_UPSERT_DAY, _flat(days))


def _flat(deltas: Deltas) -> Iterable[tuple[Any, ...]]:
    return ((*key, *sums) for key, sums in deltas.items())
