"""The audit log in `control.db`: who did what, from where, and what it changed. Rows are only ever added.

`record` writes inside the caller's transaction, so that a change and its row are both there or neither.
`event` is for what happens at the doors (logins, refused tokens): a flood of these is counted, not written.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from llm_intercept.errors import NotFound, StoreError
from llm_intercept.policy.actor import SYSTEM, Actor
from llm_intercept.policy.flood import Flood, LeftOut
from llm_intercept.store import audit_rows as rows
from llm_intercept.store.audit_rows import GENESIS, NOTHING, AuditRow, Outcome, Thing
from llm_intercept.store.audit_verify import Verdict, verify
from llm_intercept.store.database import Database, Row

_INSERT = (
    "INSERT INTO audit (id, actor_kind, actor_id, actor, source, action, object_kind, object_id, object_name,"
    " before, after, outcome, detail, seal, chain, request_id) VALUES (:id, :actor_kind, :actor_id, :actor,"
    " :source, :action, :object_kind, :object_id, :object_name, :before, :after, :outcome, :detail, :seal,"
    " :chain, :request_id)"
)
_HEAD = (
    "INSERT INTO audit_head (one, number, last_id, chain, seal) VALUES (1, ?, ?, ?, ?)"
    " ON CONFLICT (one) DO UPDATE SET"
    " number = excluded.number, last_id = excluded.last_id, chain = excluded.chain, seal = excluded.seal"
)
_CHECKPOINT = (
    "INSERT INTO audit_checkpoint (one, number, last_id, chain, seal) VALUES (1, ?, ?, ?, ?)"
    " ON CONFLICT (one) DO UPDATE SET"
    " number = excluded.number, last_id = excluded.last_id, chain = excluded.chain, seal = excluded.seal"
)

type Sink = Callable[["Audit"], None]
"""Called after a commit that added rows."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a door, ready to be written."""

    action: str
    actor: Actor
    thing: Thing = NOTHING
    outcome: Outcome = "ok"
    detail: str = ""
    after: object = None


class Audit:
    """Record, look up, verify and, with a checkpoint, forget. `sink` is told of commits with new rows."""

    def __init__(self, database: Database, sink: Sink | None = None, flood: Flood | None = None) -> None:
        self._database = database
        self.sink = sink
        self._flood = flood or Flood()

    @property
    def database(self) -> Database:
        return self._database

    def record(
        self,
        actor: Actor,
        action: str,
        thing: Thing = NOTHING,
        *,
        before: object = None,
        after: object = None,
        outcome: Outcome = "ok",
        detail: str = "",
    ) -> int:
        """Adds a row, in the caller's transaction if there is one; returns its id.

        `before` and `after` are public values (dataclasses, models, dicts), never secrets or digests.
        """
        values: Row = {
            "actor_kind": actor.kind,
            "actor_id": actor.user_id,
            "actor": actor.name,
            "source": actor.source,
            "action": action,
            "object_kind": thing.kind,
            "object_id": thing.id,
            "object_name": rows.detail(thing.name),
            "before": rows.document(before),
            "after": rows.document(after),
            "outcome": outcome,
            "detail": rows.detail(detail),
            "request_id": actor.request_id,
        }
        with self._database.write():
            self._append(values)
            if self.sink is not None:
                self._database.on_commit(self._tell)
        return int(values["id"])

    def event(
        self,
        action: str,
        actor: Actor,
        thing: Thing = NOTHING,
        *,
        outcome: Outcome = "ok",
        detail: str = "",
        after: object = None,
    ) -> bool:
        """Writes down what happened at a door, unless too many like it came from there; False if so."""
        return self.events([Event(action, actor, thing, outcome, detail, after)]) == 1

    def events(self, found: Iterable[Event]) -> int:
        """The same for many, in one transaction; returns how many were written."""
        now = self._database.clock()
        left = list(self._flood.ended(now))
        kept = [event for event in found if self._flood.admit(event.action, event.actor.source, now)]
        self._write(kept, left)
        return len(kept)

    def left_out(self) -> None:
        """Before the end: tells of what was left out and not yet said."""
        self._write([], list(self._flood.ended(self._database.clock(), all_of_them=True)))

    def get(self, id_: int) -> AuditRow:
        found = self._database.row("SELECT * FROM audit WHERE id = ?", (id_,))
        if found is None:
            raise NotFound(f"the audit log has no row {id_}; `llm-intercept audit list` shows the last ones")
        return rows.row_of(found)

    def after(self, id_: int, limit: int) -> list[AuditRow]:
        """Rows in the order in which they were written, from the one after `id_` on."""
        found = self._database.rows("SELECT * FROM audit WHERE id > ? ORDER BY id LIMIT ?", (id_, limit))
        return [rows.row_of(values) for values in found]

    def id_before_last(self, number: int) -> int:
        """The id after which the last so many rows come; 0 for all."""
        found = self._database.row("SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET ?", (number,))
        return int(found["id"]) if found else 0

    def has_chain(self, text: str) -> bool:
        """Whether a digest that was noted, in hexadecimal, is that of a row or of the checkpoint."""
        try:
            chain = bytes.fromhex(text)
        except ValueError:
            return False
        sql = "SELECT 1 FROM audit WHERE chain = ? UNION SELECT 1 FROM audit_checkpoint WHERE chain = ?"
        return self._database.row(sql, (chain, chain)) is not None

    def removed_to(self) -> int:
        """The last row that was removed under a checkpoint; 0 for none."""
        found = self._database.row("SELECT last_id FROM audit_checkpoint")
        return int(found["last_id"]) if found else 0

    def verify(self) -> Verdict:
        return verify(self._database)

    def prune(self, before_us: int, actor: Actor = SYSTEM) -> int:
        """Removes rows older than a moment and leaves a sealed checkpoint from which the rest can be proved.

        Refuses while anything in the log is not as it was written: evidence is not removed.
        """
        with self._database.write() as connection:
            verdict = self.verify()
            if not verdict.ok:
                raise StoreError(f"nothing is removed from the audit log: {verdict.text}")
            last = self._database.row(
                "SELECT count(*) AS number, max(id) AS id FROM audit WHERE id < ?", (before_us,)
            )
            if last is None or not last["number"]:
                return 0
            count, through = int(last["number"]), int(last["id"])
            chain = self.get(through).chain
            self._set_end("checkpoint", verdict.removed + count, through, chain)
            connection.execute("DELETE FROM audit WHERE id <= ?", (through,))
            self.record(
                actor,
                "audit.prune",
                Thing("audit"),
                after={"removed": count, "through": through, "chain": chain.hex()},
            )
        return count

    def _append(self, values: Row) -> None:
        """Inside a transaction, which is what keeps the rows of several processes in one order."""
        vault, (number, last_id, chain) = self._database.vault, self._end()
        values["id"] = max(round(self._database.clock() * 1e6), last_id + 1)
        values["seal"] = rows.seal(vault, values)
        values["chain"] = rows.link(vault, chain, values["seal"])
        self._database.connection.execute(_INSERT, values)
        self._set_end("head", number + 1, values["id"], values["chain"])

    def _end(self) -> tuple[int, int, bytes]:
        """Where to go on. A head that is gone or not ours is no such place: the break stays to be seen."""
        head = self._database.row("SELECT number, last_id, chain, seal FROM audit_head")
        if head is not None:
            place = (head["number"], head["last_id"], head["chain"])
            if head["seal"] == rows.end(self._database.vault, "head", *place):
                return place
        last = self._database.row("SELECT count(*) AS number, max(id) AS id FROM audit")
        return (last["number"], last["id"] or 0, GENESIS) if last else (0, 0, GENESIS)

    def _set_end(self, kind: Literal["head", "checkpoint"], number: int, last_id: int, chain: bytes) -> None:
        sealed = rows.end(self._database.vault, kind, number, last_id, chain)
        statement = _HEAD if kind == "head" else _CHECKPOINT
        self._database.connection.execute(statement, (number, last_id, chain, sealed))

    def _write(self, events: Sequence[Event], left: Sequence[LeftOut]) -> None:
        if not events and not left:
            return
        with self._database.write():
            for gone in left:
                text = f"{gone.count} more of {gone.kind} were not written down"
                source = "" if gone.source == "*" else gone.source
                self.record(Actor("system", "system", "admin", source=source), gone.kind, detail=text)
            for event in events:
                self.record(
                    event.actor,
                    event.action,
                    event.thing,
                    after=event.after,
                    outcome=event.outcome,
                    detail=event.detail,
                )

    def _tell(self) -> None:
        if self.sink is not None:
            self.sink(self)
