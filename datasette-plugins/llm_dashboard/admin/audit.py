"""The audit log: searching it, one row and what it changed, exporting, proving that nothing was changed."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from datasette import Response
from datasette.utils.asgi import AsgiStream

from llm_dashboard import clock
from llm_dashboard.admin.visit import Visit
from llm_intercept.errors import ConfigError
from llm_intercept.manage import Management
from llm_intercept.store.audit_rows import OUTCOMES, AuditRow, row_of
from llm_intercept.store.database import Database
from llm_intercept.store.report_time import window

PATH = "/-/llm/manage/audit"
PAGE = 50
_AT_ONCE = 500
_NAMES = ("q", "actor", "action", "outcome", "since", "until")
_TONES = {"ok": "good", "denied": "warn", "failed": "bad"}
_COLUMNS = ("ts", "actor", "actor_kind", "source", "action", "object", "outcome", "detail", "before", "after")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Search:
    """Conditions of SQL with their parameters; nothing typed is in the text."""

    conditions: Sequence[str] = ()
    values: Sequence[object] = ()
    chosen: Mapping[str, str] = field(default_factory=dict)

    def page(self, database: Database, before: int, limit: int) -> list[AuditRow]:
        """The newest first."""
        conditions = " AND ".join(["id < ?", *self.conditions])
        sql = f"SELECT * FROM audit WHERE {conditions} ORDER BY id DESC LIMIT ?"  # noqa: S608
        return [row_of(row) for row in database.rows(sql, (before or 2**62, *self.values, limit))]


def search(chosen: Mapping[str, str], now: int) -> Search:
    """ConfigError for a time that cannot be read."""
    conditions, values = [], []
    if chosen["since"] or chosen["until"]:
        span = window(chosen["since"] or "3650d", chosen["until"], now)
        conditions, values = ["id >= ?", "id < ?"], [span.since, span.until]
    for column in ("actor", "outcome"):
        if chosen[column]:
            conditions.append(f"{column} = ?")
            values.append(chosen[column])
    if chosen["action"]:
        conditions.append("substr(action, 1, ?) = ?")
        values += [len(chosen["action"]), chosen["action"]]
    if chosen["q"]:
        looked_at = "object_name || ' ' || object_kind || ' ' || detail || ' ' || source || ' ' || object_id"
        conditions.append(f"instr(lower({looked_at}), lower(?))")
        values.append(chosen["q"])
    return Search(conditions, values, chosen)


async def page(visit: Visit) -> Response:
    chosen = {name: visit.arg(name) for name in _NAMES}
    before = visit.arg("before")
    problem, wanted = "", Search(chosen=chosen)
    try:
        wanted = search(chosen, clock.now())
    except ConfigError as error:
        problem = str(error)
    start = int(before) if before.isdigit() and len(before) < 19 else 0

    def look(m: Management) -> tuple[list[AuditRow], list[str]]:
        m.desk.see(visit.actor, "audit")
        actors = m.control.database.rows("SELECT DISTINCT actor FROM audit ORDER BY actor LIMIT 200")
        return wanted.page(m.control.database, start, PAGE + 1), [row["actor"] for row in actors]

    found, actors = await visit.ask(look)
    return await visit.page(
        "audit",
        400 if problem else 200,
        rows=found[:PAGE],
        actors=actors,
        outcomes=OUTCOMES,
        tones=_TONES,
        chosen=chosen,
        filtered=any(chosen.values()),
        problem=problem,
        paging=bool(start),
        next=found[PAGE - 1].id if len(found) > PAGE else 0,
        now=clock.now(),
    )


async def row(visit: Visit) -> Response:
    def look(m: Management) -> AuditRow:
        m.desk.see(visit.actor, "audit")
        return m.audit.get(int(visit.var("id")))

    found = await visit.ask(look)
    changes = [(name, _text(before), _text(after)) for name, before, after in found.changes()]
    return await visit.page("audit_row", row=found, changes=changes, tones=_TONES)


def _text(value: object) -> str:
    """As it is shown; nothing is ""."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


async def verify(visit: Visit) -> Response:
    if not visit.posting:
        return visit.to(PATH)

    def look(m: Management) -> Any:
        m.desk.see(visit.actor, "audit")
        return m.audit.verify()

    verdict = await visit.ask(look)
    if not verdict.ok:
        return visit.to(PATH, f"The log is not as it was written: {verdict.text}.", bad=True)
    removed = f" {verdict.removed:,} older ones were removed under a seal." if verdict.removed else ""
    end = verdict.chain[:16] or "nothing yet"
    return visit.to(
        PATH, f"All {verdict.rows:,} rows are as they were written.{removed} The chain ends in {end}."
    )


async def export(visit: Visit) -> AsgiStream:
    """What is searched for, the newest first; in pages, however long it is."""
    kind = visit.var("kind")
    wanted = search({name: visit.arg(name) for name in _NAMES}, clock.now())
    await visit.ask(lambda m: m.desk.see(visit.actor, "audit"))

    async def stream(writer: Any) -> None:
        if kind == "csv":
            await writer.write(_csv([_COLUMNS]))
        before = 0
        while rows := await visit.ask(lambda m: wanted.page(m.control.database, before, _AT_ONCE)):  # noqa: B023
            await writer.write(await asyncio.to_thread(_body, kind, rows))
            before = rows[-1].id

    headers = {
        "content-disposition": f'attachment; filename="llm-intercept-audit.{kind}"',
        "cache-control": "private, no-store",
    }
    types = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
    return AsgiStream(stream, headers=headers, content_type=types[kind])


def _body(kind: str, rows: Sequence[AuditRow]) -> str:
    if kind == "csv":
        return _csv(_cells(rows))
    return "".join(orjson.dumps(row.document()).decode() + "\n" for row in rows)


def _cells(rows: Sequence[AuditRow]) -> Iterator[Sequence[str]]:
    for each in rows:
        thing = f"{each.object_kind} {each.object_name}".strip()
        cells = (each.at, each.actor, each.actor_kind, each.source, each.action, thing)
        cells += (each.outcome, each.detail, each.before, each.after)
        # A spreadsheet would run these as formulas.
        yield [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells]


def _csv(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
