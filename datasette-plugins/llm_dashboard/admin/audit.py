"""The audit log: searching it, one row and what it changed, exporting, proving that nothing was changed."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from datasette import Response
from datasette.utils.asgi import AsgiStream

from llm_dashboard import clock
from llm_dashboard.admin.visit import Visit
from llm_intercept.errors import ConfigError
from llm_intercept.manage import Management
from llm_intercept.store.audit_rows import OUTCOMES, AuditRow
from llm_intercept.store.audit_search import AuditPage, AuditQuery, asked
from llm_intercept.store.export import CONTENT_TYPES

PATH = "/-/llm/manage/audit"
PAGE = 50
_NAMES = ("text", "actor", "action", "kind", "outcome", "request_id", "since", "until")
_TONES = {"ok": "good", "denied": "warn", "failed": "bad"}


def query(chosen: Mapping[str, str]) -> AuditQuery:
    """ConfigError for what cannot be read. The beginning of an action is enough."""
    action = chosen["action"]
    whole = action if "*" in action or not action else f"{action}*"
    return asked(now_us=clock.now(), **{**chosen, "action": whole})


async def page(visit: Visit) -> Response:
    chosen = {name: visit.arg(name) for name in _NAMES}
    cursor = int(visit.arg("before")) if visit.arg("before").isdigit() else 0
    problem, wanted = "", AuditQuery()
    try:
        wanted = query(chosen)
    except ConfigError as error:
        problem = str(error)

    def look(m: Management) -> tuple[AuditPage, list[str]]:
        found = m.trail.search(visit.actor, wanted, limit=PAGE, cursor=min(cursor, 2**62) or None)
        return found, m.trail.actions(visit.actor)

    found, actions = await visit.ask(look)
    return await visit.page(
        "audit",
        400 if problem else 200,
        rows=found.rows,
        actions=actions,
        outcomes=OUTCOMES,
        tones=_TONES,
        chosen=chosen,
        filtered=any(chosen.values()),
        problem=problem,
        paging=bool(cursor),
        next=found.cursor,
        now=clock.now(),
    )


async def row(visit: Visit) -> Response:
    found: AuditRow = await visit.ask(lambda m: m.trail.get(visit.actor, int(visit.var("id"))))
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
    verdict = await visit.ask(lambda m: m.trail.verify(visit.actor))
    if not verdict.ok:
        return visit.to(PATH, f"The log is not as it was written: {verdict.text}.", bad=True)
    removed = f" {verdict.removed:,} older ones were removed under a seal." if verdict.removed else ""
    end = verdict.chain[:16] or "nothing yet"
    return visit.to(
        PATH, f"All {verdict.rows:,} rows are as they were written.{removed} The chain ends in {end}."
    )


async def export(visit: Visit) -> AsgiStream:
    """What is searched for, in pieces, however long it is."""
    kind = visit.var("kind")
    wanted = query({name: visit.arg(name) for name in _NAMES})
    pieces: Iterator[str] = await visit.ask(lambda m: m.trail.export(visit.actor, wanted, kind))

    async def stream(writer: Any) -> None:
        while (piece := await visit.ask(lambda m: next(pieces, None))) is not None:
            await writer.write(piece)

    headers = {
        "content-disposition": f'attachment; filename="llm-intercept-audit.{kind}"',
        "cache-control": "private, no-store",
    }
    return AsgiStream(stream, headers=headers, content_type=CONTENT_TYPES[kind])
