"""Projects: created and changed by admins, seen by their owners and members."""

import builtins
from typing import Any

from llm_intercept.errors import NotFound
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.projects import Project


def thing_of(project: Project) -> Thing:
    return Thing("project", project.name, project.id)


class Projects:
    """The options are those of store/projects.py."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.control.projects

    def list(self, actor: Actor) -> builtins.list[Project]:
        """By name; those of the actor, all for admins."""
        mine = self._desk.projects_of(actor)
        return [p for p in self._store.list() if self._desk.sees(actor, "projects", own=p.id in mine)]

    def get(self, actor: Actor, name: str) -> Project:
        """What must not be seen is not there."""
        if actor.role == "admin":
            return self._store.get(name)
        found = next((p for p in self.list(actor) if p.name.lower() == name.lower()), None)
        if found is None:
            raise NotFound(f"there is no project named {name!r}")
        return found

    def create(self, actor: Actor, name: str, **options: Any) -> Project:
        return self._desk.change(
            actor,
            "project.create",
            "projects",
            lambda: self._store.create(name, **options),
            thing=thing_of,
            named=name,
            after=lambda made: made,
        )

    def change(self, actor: Actor, name: str, **changes: Any) -> Project:
        """What is given, from the next call on."""
        return self._desk.change(
            actor,
            "project.change",
            "projects",
            lambda: self._store.change(name, **changes),
            thing=thing_of,
            named=name,
            before=lambda: self._store.get(name),
            after=lambda changed: changed,
        )
