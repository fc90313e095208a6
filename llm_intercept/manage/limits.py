"""Limits: set by admins; whoever they bind may see them."""

import builtins
from collections.abc import Callable

from llm_intercept.errors import ConfigError, NotFound
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.limit_texts import sentence
from llm_intercept.policy.limits import Limit, is_glob
from llm_intercept.policy.places import network
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.limits import LimitRecord, checked

_OWN_KEY = "own:"  # with a fingerprint: a client with a key of its own, which is nobody's token


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
        named = Thing("limit", sentence(limit))
        self._desk.check(actor, "limit.change" if self._same(limit) else "limit.create", "limits", named)
        limit = self._known(limit)
        same = self._same(limit)
        return self._desk.change(
            actor,
            "limit.change" if same else "limit.create",
            "limits",
            lambda: self._store.set(limit),
            thing=thing_of,
            before=(lambda: self._store.get(same[0].id)) if same else None,
            after=lambda record: record,
        )

    def change(self, actor: Actor, id_: str, *, enabled: bool | None = None, **values: object) -> LimitRecord:
        """What is given; its count stays, and so does whether it is in force. `reserve` 0 is all of it."""
        if values.get("reserve") == 0:
            values["reserve"] = None

        def work() -> LimitRecord:
            record = self._store.get(id_)
            limit = checked({**record.limit.model_dump(), **values})
            if limit.identity != record.limit.identity:
                raise ConfigError("whom a limit is for, what it counts and in which time cannot be changed")
            self._store.set(limit)
            return self._store.enable(id_, record.enabled if enabled is None else enabled)

        return self._change(actor, "limit.change", id_, work)

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

    def _known(self, limit: Limit) -> Limit:
        """With the name as calls have it. A limit whose party is gone can still be changed."""
        parties = {"project": self._project, "token": self._token, "listener": self._listener}
        find = {**parties, "client_ip": _address}.get(limit.scope)
        if find is None or not limit.name or is_glob(limit.name):
            return limit
        try:
            return limit.model_copy(update={"name": find(limit.name)})
        except NotFound:
            if self._same(limit):
                return limit
            raise

    def _same(self, limit: Limit) -> builtins.list[LimitRecord]:
        return [record for record in self._store.list() if record.limit.identity == limit.identity]

    def _project(self, name: str) -> str:
        return self._desk.control.projects.get(name).name

    def _listener(self, name: str) -> str:
        return self._desk.control.listeners.get(name).name

    def _token(self, name: str) -> str:
        project, _, token = name.rpartition("/")
        if token.startswith(_OWN_KEY):
            return f"{self._project(project or 'default')}/{token}"
        found = self._desk.control.tokens.get(token, project or None)
        return f"{found.project}/{found.name}"

    def _names(self, actor: Actor) -> builtins.set[tuple[str, str]]:
        """What an actor is bound by: (scope, name)."""
        mine = self._desk.projects_of(actor)
        projects = {("project", p.name) for p in self._desk.control.projects.list() if p.id in mine}
        return {*projects, ("user", actor.name), ("user", "")} if actor.user_id else projects


def _address(text: str) -> str:
    """As calls have it; a network that is none would be a limit that never applies."""
    try:
        found = network(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return str(found.network_address if found.num_addresses == 1 else found)


def _binds(record: LimitRecord, names: builtins.set[tuple[str, str]]) -> bool:
    limit = record.limit
    return limit.scope == "global" or (limit.scope, limit.name) in names
