"""What a running proxy tells the audit log: tokens that it refused, limits, listeners. Nothing here waits."""

from dataclasses import replace

from llm_intercept.auditfile import AuditFile
from llm_intercept.engine.doorbook import DoorBook
from llm_intercept.engine.events import Event
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange, Principal
from llm_intercept.home import Home
from llm_intercept.policy.actor import PROXY, Actor
from llm_intercept.settings import Settings
from llm_intercept.store.audit import Audit
from llm_intercept.store.audit_rows import NOTHING, Outcome, Thing
from llm_intercept.store.database import Database
from llm_intercept.store.listeners import Listener
from llm_intercept.store.migrate import connect
from llm_intercept.vault import Vault

_ABOUT_RIGHTS = ("authentication", "permission")
_NOWHERE = replace(PROXY, source="")


class Watch:
    """Before `open` and after `close` what is told only waits."""

    def __init__(self) -> None:
        self._book = DoorBook()

    def open(self, home: Home, settings: Settings, vault: Vault) -> None:
        def audit() -> Audit:
            return Audit(Database(connect(home.control_db), vault), AuditFile(home.logs, settings.log))

        self._book.start(audit, lambda audit: audit.database.connection.close())

    def close(self) -> None:
        self._book.close()

    def call_refused(self, exchange: Exchange, refusal: Refusal) -> None:
        what = f"{exchange.method} {exchange.path.partition('?')[0]}"
        self.refused(refusal, exchange.client_ip, exchange.principal, what, exchange.request_id)

    def refused(
        self,
        refusal: Refusal,
        client_ip: str,
        who: Principal | None = None,
        what: str = "",
        request_id: str = "",
    ) -> None:
        """A client that has no right to a call, or to a tunnel."""
        if refusal.kind not in _ABOUT_RIGHTS:
            return
        known = refusal.about or who
        name = (known.user or known.token) if known else ""
        actor = Actor("proxy", name, source=client_ip, request_id=request_id)
        said = f"{refusal.code}: {what}: {refusal.message}" if what else f"{refusal.code}: {refusal.message}"
        self._book.event("token.refused", actor, _token(known), outcome="denied", detail=said)

    def limit(self, event: Event) -> None:
        """A limit that is nearly or wholly used up."""
        data = event.data
        outcome: Outcome = "denied" if event.kind == "limit.refused" else "ok"
        thing = Thing("limit", f"{data.get('scope', '')} {data.get('name', '')}".strip(), str(data["limit"]))
        self._book.event(
            event.kind, _NOWHERE, thing, outcome=outcome, detail=str(data.get("text", "")), after=dict(data)
        )

    def listener(self, listener: Listener, state: str, problem: str = "") -> None:
        """What became of one that was to be started or stopped."""
        self._book.event(
            f"listener.{state}",
            _NOWHERE,
            Thing("listener", listener.name, listener.id),
            outcome="failed" if state == "error" else "ok",
            detail=problem,
        )


def _token(who: Principal | None) -> Thing:
    if who is None or not who.token:
        return NOTHING
    return Thing("token", f"{who.project}/{who.token}", who.token_id)
