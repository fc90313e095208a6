"""How everything that a person changes is changed: the right to it, the change and its audit row, at once."""

from collections.abc import Callable

import orjson

from llm_intercept.errors import ConfigError, Forbidden, InterceptError, StoreError
from llm_intercept.manage.rights import Area, may_change, may_see
from llm_intercept.policy.actor import Actor
from llm_intercept.secrecy import suspects
from llm_intercept.store.audit import Audit
from llm_intercept.store.audit_rows import Thing, as_json
from llm_intercept.store.control import Control
from llm_intercept.store.membership import projects_of

type Shown = Callable[[], object]


class Desk:
    """What the modules of the objects share."""

    def __init__(self, control: Control, audit: Audit) -> None:
        self.control = control
        self.audit = audit

    def projects_of(self, actor: Actor) -> frozenset[str]:
        """The ids of the projects that are the actor's own."""
        return projects_of(self.control.database, actor.user_id)

    def change[T](
        self,
        actor: Actor,
        action: str,
        area: Area,
        work: Callable[[], T],
        *,
        thing: Thing | Callable[[T], Thing],
        named: str = "",
        own: bool = False,
        before: Shown | None = None,
        after: Callable[[T], object] | None = None,
    ) -> T:
        """Does it and leaves one row. `named` is what it was called by, for the row of what did not happen.

        `before` is looked up inside the transaction; `after` makes a public value out of what `work` returns
        (left out: nothing is there any more).
        """
        wanted = thing if isinstance(thing, Thing) else Thing(area.removesuffix("s"), named)
        self.check(actor, action, area, wanted, own=own)
        try:
            with self.control.database.write():
                was = before() if before is not None else None
                done = work()
                about = thing if isinstance(thing, Thing) else thing(done)
                now = after(done) if after else None
                refuse_keys(was, now)
                self.audit.record(actor, action, about, before=was, after=now)
                return done
        except StoreError:
            raise
        except InterceptError as error:
            self.audit.event(action, actor, wanted, outcome="failed", detail=str(error))
            raise

    def check(self, actor: Actor, action: str, area: Area, thing: Thing, *, own: bool = False) -> None:
        """Forbidden, with an audit row, for whoever must not."""
        if may_change(actor.role, area, own=own):
            return
        self.denied(actor, action, thing)
        raise Forbidden(
            f"{actor.name} ({actor.role}) may not do this ({action}); "
            "admins may, and members may make tokens and delete stored answers for their projects"
        )

    def denied(self, actor: Actor, action: str, thing: Thing) -> None:
        self.audit.event(
            action, actor, thing, outcome="denied", detail=f"the role {actor.role} does not allow it"
        )

    def sees(self, actor: Actor, area: Area, *, own: bool = False) -> bool:
        return may_see(actor.role, area, own=own)

    def see(self, actor: Actor, area: Area, what: str = "") -> None:
        """Forbidden for whoever sees nothing of an area (or of `what` is in it); looking leaves no row."""
        if not may_see(actor.role, area, own=False):
            raise Forbidden(f"{actor.name} ({actor.role}) may not see the {what or area}; only admins do")


def refuse_keys(before: object, after: object) -> None:
    """ConfigError for a key where everybody would see it; one that stood there before may stay."""
    if after is None:
        return
    found = set(suspects(orjson.loads(as_json(after))))
    if before is not None:
        found -= set(suspects(orjson.loads(as_json(before))))
    if found:
        where = f"`{min(found)}`" if min(found) else "it"
        raise ConfigError(
            f"{where} holds something that looks like a key or a password, which people and logs would see; "
            "nothing was changed. Keys of providers are stored with `llm-intercept key add`"
        )
