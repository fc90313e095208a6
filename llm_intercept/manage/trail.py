"""The audit log for whoever may read it: admins."""

from collections.abc import Iterator

from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.store import audit_search
from llm_intercept.store.audit_rows import AuditRow
from llm_intercept.store.audit_search import AuditPage, AuditQuery
from llm_intercept.store.audit_verify import Verdict
from llm_intercept.store.export import Format


class Trail:
    """Looking at it leaves no row."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def search(
        self, actor: Actor, query: AuditQuery, *, limit: int = 50, cursor: int | None = None
    ) -> AuditPage:
        """Newest first; `cursor` is that of the page before."""
        self._desk.see(actor, "audit", "audit log")
        return audit_search.search(self._desk.control.database, query, limit=limit, cursor=cursor)

    def get(self, actor: Actor, id_: int) -> AuditRow:
        self._desk.see(actor, "audit", "audit log")
        return self._desk.audit.get(id_)

    def actions(self, actor: Actor) -> list[str]:
        """Every action there is a row of."""
        self._desk.see(actor, "audit", "audit log")
        return audit_search.actions(self._desk.control.database)

    def verify(self, actor: Actor) -> Verdict:
        self._desk.see(actor, "audit", "audit log")
        return self._desk.audit.verify()

    def export(self, actor: Actor, query: AuditQuery, kind: Format) -> Iterator[str]:
        """Oldest first, in pieces of text."""
        self._desk.see(actor, "audit", "audit log")
        return audit_search.export(self._desk.control.database, query, kind)
