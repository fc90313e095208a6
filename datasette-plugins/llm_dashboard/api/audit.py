"""The audit log: who did what. Admins only; it is never changed from here."""

from typing import Any, Literal

from datasette.utils.asgi import Request
from pydantic import Field

from llm_dashboard.api.exporting import FILES, Send, send_pieces, start
from llm_dashboard.api.fields import span, time_zone
from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, cursor, place_of
from llm_dashboard.api.problem import Problem
from llm_intercept.manage import Management
from llm_intercept.store.audit_search import AuditQuery, asked
from llm_intercept.store.report_terms import Scope

table = Table("audit", "Who changed what, and what happened at the doors. Rows are only ever added.")
_LIST = "audit"
_LAST_ID = 1 << 62


class Who(View):
    """Who did it."""

    kind: str = Field(description="cli, session, api_token, system or proxy")
    name: str
    id: str = Field(description="of a user; empty for others")


class What(View):
    """What it was done to."""

    kind: str
    name: str
    id: str


class AuditView(View):
    """One row."""

    id: int = Field(description="epoch microseconds")
    ts: str
    actor: Who
    source: str = Field(description="an address, or local")
    request_id: str = Field(description="of the API's answer (x-request-id) or of a call; empty for others")
    action: str
    object: What
    outcome: str = Field(description="ok, denied or failed")
    detail: str
    before: Any
    after: Any
    chain: str = Field(description="binds the row to all those before it")


class AuditVerdict(View):
    """Whether the log is as it was written."""

    ok: bool
    rows: int
    removed: int = Field(description="taken out under a checkpoint")
    last_id: int
    chain: str = Field(description="noted elsewhere it proves that nothing was cut off")
    broken: int | None = Field(description="the first row that is wrong")
    reason: str
    text: str


class AuditFile(View):
    """A file; see the content type."""


class _Rows(Model):
    """All of them hold at once."""

    actor: str = Field("", max_length=200, description="a name, or a user's id; * stands for anything")
    action: str = Field("", max_length=100, description="token.create, key.*, *.delete")
    kind: str = Field("", max_length=40, description="project, token, key, limit, ...")
    name: str = Field("", max_length=200, description="demo, demo/*, or an id")
    outcome: Literal["", "ok", "denied", "failed"] = ""
    source: str = Field("", max_length=60)
    request_id: str = Field("", max_length=60, description="the x-request-id of an answer, or of a call")
    text: str = Field("", max_length=200, description="rows in which this occurs")
    since: str = Field("", max_length=40, description="7d, 24h, today, 2026-11-01")
    until: str = Field("", max_length=40, description="in the same words; a day counts whole")
    timezone: str = Field("UTC", max_length=60)


class AuditFilters(_Rows, Paged):
    """Which rows. All of them hold at once."""


class AuditExport(_Rows):
    """Which rows, and in which form."""

    format: Literal["csv", "json", "ndjson"] = "csv"


def _query(call: Call[Any, Nothing]) -> AuditQuery:
    query = call.query
    # Here it is told which of them is wrong.
    span(("since", query.since), ("until", query.until), time_zone(query.timezone), call.now_us)
    fields = query.model_dump(exclude={"limit", "cursor", "format"})
    return asked(now_us=call.now_us, **fields)


@table.get(
    "/audit",
    "Search the audit log",
    Page[AuditView],
    query=AuditFilters,
    command="audit list",
    gives={"row": "/items/0/id"},
)
def list_(management: Management, call: Call[AuditFilters, Nothing]) -> object:
    """Newest first. Admins only."""
    wanted = call.query
    place = place_of(wanted.cursor, _LIST, int)
    query = _query(call)
    before = int(place[0]) if place else None
    found = management.trail.search(call.actor, query, limit=wanted.limit, cursor=before)
    following = None if found.cursor is None else cursor(_LIST, [found.cursor])
    return {"items": [row.document() for row in found.rows], "next_cursor": following}


@table.get(
    "/audit/export",
    "Export the audit log",
    AuditFile,
    where="stream",
    query=AuditExport,
    command="audit export",
    files=FILES,
)
async def export(
    call: Call[AuditExport, Nothing], scope: Scope, request: Request, send: Send, id_: str
) -> None:
    """As CSV, JSON or NDJSON, oldest first. Admins only."""
    kind, query = call.query.format, _query(call)
    pieces = await call.stage.manage(lambda management: management.trail.export(call.actor, query, kind))
    await send_pieces(call.stage, request, send, start("llm-intercept-audit", kind, id_), pieces)


@table.get("/audit/verify", "Verify the audit log", AuditVerdict, command="audit verify")
def verify(management: Management, call: Call[Nothing, Nothing]) -> object:
    """Whether anybody has changed or removed a row. Reads all of it. Admins only."""
    return management.trail.verify(call.actor)


@table.get("/audit/{row}", "Show a row", AuditView, command="audit show")
def get(management: Management, call: Call[Nothing, Nothing]) -> object:
    """By its id, with what it changed. Admins only."""
    text = call.path["row"]
    if not (text.isascii() and text.isdigit() and int(text[:20]) < _LAST_ID):
        raise Problem("not_found", "The audit log has no such row.")
    return management.trail.get(call.actor, int(text)).document()
