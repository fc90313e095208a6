"""Named listeners: created, started, stopped and deleted by admins."""

import builtins
from collections.abc import Callable
from typing import Any

from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.listeners import Listener


def thing_of(listener: Listener) -> Thing:
    return Thing("listener", listener.name, listener.id)


class Listeners:
    """The options are those of store/listeners.py."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.control.listeners

    def list(self, actor: Actor) -> builtins.list[Listener]:
        return self._store.list() if self._desk.sees(actor, "listeners") else []

    def get(self, actor: Actor, name: str) -> Listener:
        self._desk.see(actor, "listeners")
        return self._store.get(name)

    def create(self, actor: Actor, name: str, **options: Any) -> Listener:
        return self._desk.change(
            actor,
            "listener.create",
            "listeners",
            lambda: self._store.create(name, **options),
            thing=thing_of,
            named=name,
            after=lambda made: made,
        )

    def start(self, actor: Actor, name: str) -> Listener:
        """What is wanted; the proxy makes it so."""
        return self._change(actor, "listener.start", name, lambda: self._store.want(name, "running"))

    def stop(self, actor: Actor, name: str, *, alive: bool) -> Listener:
        """`alive`: a proxy is there to do it; without one it is stopped at once."""

        def work() -> Listener:
            listener = self._store.want(name, "stopped")
            return listener if alive else self._store.set_state(listener.name, "stopped")

        return self._change(actor, "listener.stop", name, work)

    def delete(self, actor: Actor, name: str) -> Listener:
        """One that is stopped, for good; returns what it was."""
        return self._desk.change(
            actor,
            "listener.delete",
            "listeners",
            lambda: self._store.delete(name),
            thing=thing_of,
            named=name,
            before=lambda: self._store.get(name),
        )

    def _change(self, actor: Actor, action: str, name: str, work: Callable[[], Listener]) -> Listener:
        return self._desk.change(
            actor,
            action,
            "listeners",
            work,
            thing=thing_of,
            named=name,
            before=lambda: self._store.get(name),
            after=lambda changed: changed,
        )
