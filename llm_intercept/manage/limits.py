"""Limits: set by admins; whoever they bind may see them."""

import builtins
from collections.abc import Callable

from llm_intercept.errors import NotFound
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.limits import Limit
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.limits import LimitRecord


def thing_of(record: LimitRecord) -> Thing:
    return Thing("limit", record.text, record.id)


class Limits:
    """What store/limits.py does, by somebody."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.control.limits

    def list(self, actor: Actor) -> builtins.list[LimitRecord]:
        """Oldest first; those that bind the actor, all for admins."""
        names = self._names(actor)
        return [r for r in self._store.list() if self._desk.sees(actor, "limits", own=_binds(r, names))]

    def get(self, actor: Actor, id_: str) -> LimitRecord:
        record = self._store.get(id_)
        if self._desk.sees(actor, "limits", own=_binds(record, self._names(actor))):
            return record
        raise NotFound(f"there is no limit {id_!r}; `llm-intercept limit list` shows all")

    def set(self, actor: Actor, limit: Limit) -> LimitRecord:
        """Changes the limit of the same scope, name, measure and period, or makes it."""
        same = [record for record in self._store.list() if record.limit.identity == limit.identity]
        return self._desk.change(
            actor,
            "limit.change" if same else "limit.create",
            "limits",
            lambda: self._store.set(limit),
            thing=thing_of,
            before=(lambda: self._store.get(same[0].id)) if same else None,
            after=lambda record: record,
        )

    def enable(self, actor: Actor, id_: str) -> LimitRecord:
        return self._change(actor, "limit.enable", id_, lambda: self._store.enable(id_))

    def disable(self, actor: Actor, id_: str) -> LimitRecord:
        return self._change(actor, "limit.disable", id_, lambda: self._store.enable(id_, False))

    def delete(self, actor: Actor, id_: str) -> LimitRecord:
        """For good, with what it has counted; returns what it was."""
        return self._desk.change(
            actor,
            "limit.delete",
            "limits",
            lambda: self._store.remove(id_),
            thing=thing_of,
            named=id_,
            before=lambda: self._store.get(id_),
        )

    def _change(self, actor: Actor, action: str, id_: str, work: Callable[[], LimitRecord]) -> LimitRecord:
        return self._desk.change(
            actor,
            action,
            "limits",
            work,
            thing=thing_of,
            named=id_,
            before=lambda: self._store.get(id_),
            after=lambda changed: changed,
        )

    def _names(self, actor: Actor) -> builtins.set[tuple[str, str]]:
        """What an actor is bound by: (scope, name)."""
        mine = self._desk.projects_of(actor)
        projects = {("project", p.name) for p in self._desk.control.projects.list() if p.id in mine}
        return {*projects, ("user", actor.name), ("user", "")} if actor.user_id else projects


def _binds(record: LimitRecord, names: builtins.set[tuple[str, str]]) -> bool:
    limit = record.limit
    return limit.scope == "global" or (limit.scope, limit.name) in names
