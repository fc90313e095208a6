"""Looking through the audit log: filters, pages from the newest row back, and whole exports."""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from llm_intercept.errors import ConfigError
from llm_intercept.store import export as writing
from llm_intercept.store.audit_rows import OUTCOMES, AuditRow, row_of
from llm_intercept.store.database import Database
from llm_intercept.store.export import Format
from llm_intercept.store.report_days import checked_zone, local_window

MOST = 1000
COLUMNS = (
    *("id", "ts", "actor_kind", "actor", "actor_id", "source", "action", "object_kind", "object_name"),
    *("object_id", "outcome", "detail", "before", "after", "chain", "request_id"),
)
_PAGE = 1000
# field -> condition; `*` in the first three stands for anything
_CLAUSES = {
    "actor": "(lower(actor) GLOB lower(?) OR actor_id = ?)",
    "action": "action GLOB lower(?)",
    "name": "(lower(object_name) GLOB lower(?) OR object_id = ?)",
    "kind": "object_kind = ?",
    "outcome": "outcome = ?",
    "source": "source = ?",
    "request_id": "(request_id <> '' AND request_id = lower(?))",
    "text": (
        "instr(lower(actor || ' ' || source || ' ' || action || ' ' || object_name || ' ' || object_id"
        " || ' ' || detail || ' ' || before || ' ' || after || ' ' || request_id), lower(?)) > 0"
    ),
    "since": "id >= ?",
    "until": "id < ?",
}


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What is looked for; what is empty is not asked about. `since` and `until` are epoch microseconds.

    `actor` is a name or the id of a user, `name` that of an object or its id, `kind` the kind of the object,
    `request_id` what the answer of the management API, or of a call, had in its header.
    """

    actor: str = ""
    action: str = ""
    kind: str = ""
    name: str = ""
    outcome: str = ""
    source: str = ""
    request_id: str = ""
    text: str = ""
    since: int = 0
    until: int = 0

    def clauses(self) -> tuple[str, list[object]]:
        found, values = ["1"], []
        for field, clause in _CLAUSES.items():
            value: object = getattr(self, field)
            if value:
                found.append(clause)
                values += [value] * clause.count("?")
        return " AND ".join(found), values


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Newest first. `cursor` is what to ask for the next page with; None after the last one."""

    rows: tuple[AuditRow, ...]
    cursor: int | None


def asked(
    *, since: str = "", until: str = "", timezone: str = "UTC", now_us: int, **fields: str
) -> AuditQuery:
    """A query from a person's words: `7d`, `today`, `2026-11-01` in a time zone."""
    if fields.get("outcome") and fields["outcome"] not in OUTCOMES:
        raise ConfigError(f"{fields['outcome']!r} is no outcome; use {', '.join(OUTCOMES)}")
    window = local_window(since, until, checked_zone(timezone), now_us)
    return AuditQuery(**fields, since=window.since if since else 0, until=window.until if until else 0)


def search(database: Database, query: AuditQuery, *, limit: int = 50, cursor: int | None = None) -> AuditPage:
    """The rows before `cursor` (the newest without one) that fit."""
    if not 1 <= limit <= MOST:
        raise ConfigError(f"ask for 1 to {MOST} rows at once")
    condition, values = query.clauses()
    if cursor is not None:
        condition += " AND id < ?"
        values.append(cursor)
    sql = f"SELECT * FROM audit WHERE {condition} ORDER BY id DESC LIMIT ?"  # noqa: S608
    found = tuple(row_of(row) for row in database.rows(sql, [*values, limit + 1]))
    rows = found[:limit]
    return AuditPage(rows, rows[-1].id if len(found) > limit else None)


def actions(database: Database) -> list[str]:
    """Every action there is a row of, for lists to choose from."""
    return [row["action"] for row in database.rows("SELECT DISTINCT action FROM audit ORDER BY action")]


def export(database: Database, query: AuditQuery, kind: Format) -> Iterator[str]:
    """All rows that fit, oldest first, as pieces of text of constant size."""
    yield writing.head(kind, COLUMNS)
    first = True
    for rows in _pages(database, query):
        yield writing.body(kind, COLUMNS, [_cells(row, kind) for row in rows], first=first)
        first = False
    yield writing.tail(kind)


def _pages(database: Database, query: AuditQuery) -> Iterator[list[AuditRow]]:
    condition, values = query.clauses()
    sql = f"SELECT * FROM audit WHERE {condition} AND id > ? ORDER BY id LIMIT ?"  # noqa: S608
    last = 0
    while found := database.rows(sql, [*values, last, _PAGE]):
        yield [row_of(row) for row in found]
        last = found[-1]["id"]


def _cells(row: AuditRow, kind: Format) -> tuple[object, ...]:
    said = {"ts": row.at, "chain": row.chain.hex()}
    if kind != "csv":
        said |= {name: orjson.loads(getattr(row, name) or "null") for name in ("before", "after")}
    return tuple(said[name] if name in said else getattr(row, name) for name in COLUMNS)
