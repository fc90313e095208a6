"""Projects: created and changed by admins, seen by their owners and members."""

import builtins
from collections.abc import Callable
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
        project = self._store.get(name)
        if self._desk.sees(actor, "projects", own=project.id in self._desk.projects_of(actor)):
            return project
        raise NotFound(f"there is no project named {name!r}")

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

    def set_capture(self, actor: Actor, name: str, capture: Any) -> Project:
        return self._change(actor, "project.change", name, lambda: self._store.set_capture(name, capture))

    def set_active(self, actor: Actor, name: str, active: bool) -> Project:
        action = "project.enable" if active else "project.disable"
        return self._change(actor, action, name, lambda: self._store.set_active(name, active))

    def _change(self, actor: Actor, action: str, name: str, work: Callable[[], Project]) -> Project:
        return self._desk.change(
            actor,
            action,
            "projects",
            work,
            thing=thing_of,
            named=name,
            before=lambda: self._store.get(name),
            after=lambda changed: changed,
        )
