"""Routes: where calls may go. Only admins see and change them."""

import builtins
from collections.abc import Callable

from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.routing import Route
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.routes import StoredRoute


def thing_of(stored: StoredRoute) -> Thing:
    return Thing("route", stored.name, stored.id)


class Routes:
    """What store/routes.py does, by somebody."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.control.routes

    def list(self, actor: Actor) -> builtins.list[StoredRoute]:
        return self._store.list() if self._desk.sees(actor, "routes") else []

    def get(self, actor: Actor, name: str) -> StoredRoute:
        self._desk.see(actor, "routes")
        return self._store.get(name)

    def set(self, actor: Actor, route: Route, position: int | None = None) -> StoredRoute:
        """A new one goes last, one that exists keeps its place; `position` (from 1) says otherwise."""
        exists = any(stored.name.lower() == route.name.lower() for stored in self._store.list())
        return self._desk.change(
            actor,
            "route.change" if exists else "route.create",
            "routes",
            lambda: self._store.set(route, position),
            thing=thing_of,
            named=route.name,
            before=(lambda: self._store.get(route.name)) if exists else None,
            after=lambda stored: stored,
        )

    def enable(self, actor: Actor, name: str) -> StoredRoute:
        return self._change(actor, "route.enable", name, lambda: self._store.enable(name))

    def disable(self, actor: Actor, name: str) -> StoredRoute:
        return self._change(actor, "route.disable", name, lambda: self._store.disable(name))

    def move(self, actor: Actor, name: str, position: int) -> StoredRoute:
        return self._change(actor, "route.move", name, lambda: self._store.move(name, position))

    def delete(self, actor: Actor, name: str) -> StoredRoute:
        """For good; returns what it was."""
        return self._desk.change(
            actor,
            "route.delete",
            "routes",
            lambda: self._store.remove(name),
            thing=thing_of,
            named=name,
            before=lambda: self._store.get(name),
        )

    def _change(self, actor: Actor, action: str, name: str, work: Callable[[], StoredRoute]) -> StoredRoute:
        return self._desk.change(
            actor,
            action,
            "routes",
            work,
            thing=thing_of,
            named=name,
            before=lambda: self._store.get(name),
            after=lambda changed: changed,
        )
