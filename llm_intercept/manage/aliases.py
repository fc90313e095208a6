"""Aliases: set and removed by admins."""

import builtins
from collections.abc import Mapping

from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.models import ModelMap, Rows
from llm_intercept.providers import Registry
from llm_intercept.settings import Settings
from llm_intercept.store.aliases import Alias
from llm_intercept.store.audit_rows import Thing


class Aliases:
    """What store/aliases.py does, by somebody. With those of the settings they must not make a loop."""

    def __init__(self, desk: Desk, registry: Registry, settings: Settings) -> None:
        self._desk = desk
        self._store = desk.control.aliases
        self._registry = registry
        self._settings = settings

    def list(self, actor: Actor) -> builtins.list[Alias]:
        return self._store.list() if self._desk.sees(actor, "aliases") else []

    def get(self, actor: Actor, name: str, project: str = "") -> Alias:
        self._desk.see(actor, "aliases")
        return self._store.get(name, project)

    def set(self, actor: Actor, name: str, target: str, project: str = "") -> Alias:
        """From the next call on; nothing is changed if it makes a loop."""

        def work() -> Alias:
            made = self._store.set(name, target, project)
            self._check(self._store.active())
            return made

        exists = any((alias.name, alias.project) == (name, project) for alias in self._store.list())
        return self._desk.change(
            actor,
            "alias.change" if exists else "alias.create",
            "aliases",
            work,
            thing=_thing(name, project),
            before=(lambda: self._store.get(name, project)) if exists else None,
            after=lambda made: made,
        )

    def delete(self, actor: Actor, name: str, project: str = "") -> Alias:
        """Returns what it was."""
        return self._desk.change(
            actor,
            "alias.delete",
            "aliases",
            lambda: self._store.remove(name, project),
            thing=_thing(name, project),
            before=lambda: self._store.get(name, project),
        )

    def _check(self, rows: Rows) -> None:
        ModelMap.check(self._settings.models, self._registry.providers, rows)

    @property
    def settings(self) -> Mapping[str, Mapping[str, str]]:
        """Those of `config.toml`, by project; they cannot be changed here."""
        models = self._settings.models
        found = {name: project.aliases for name, project in models.projects.items() if project.aliases}
        return {"": models.aliases, **found} if models.aliases else found


def _thing(name: str, project: str) -> Thing:
    return Thing("alias", f"{project}/{name}" if project else name)
