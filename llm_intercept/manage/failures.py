"""Failures on purpose: set for listeners and projects by admins."""

import builtins

from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.failures import Failures as Document
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.failures import FailureEntry, Scope


class Failures:
    """What store/failures.py does, by somebody."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.control.failures

    def list(self, actor: Actor) -> builtins.list[FailureEntry]:
        return self._store.list() if self._desk.sees(actor, "failures") else []

    def find(self, actor: Actor, scope: Scope, name: str) -> FailureEntry | None:
        self._desk.see(actor, "failures")
        return self._store.find(scope, name)

    def set(self, actor: Actor, scope: Scope, name: str, failures: Document) -> FailureEntry:
        """From the next call on."""
        return self._desk.change(
            actor,
            "failure.change",
            "failures",
            lambda: self._store.set(scope, name, failures),
            thing=Thing("failure", f"{scope} {name}"),
            before=lambda: self._store.find(scope, name),
            after=lambda entry: entry,
        )

    def reset(self, actor: Actor, scope: Scope, name: str) -> bool:
        """Removes the settings; False if there were none."""
        return self._desk.change(
            actor,
            "failure.reset",
            "failures",
            lambda: self._store.reset(scope, name),
            thing=Thing("failure", f"{scope} {name}"),
            before=lambda: self._store.find(scope, name),
        )
