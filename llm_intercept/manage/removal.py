"""Deleting a project with all it has: what is kept of it is money and time without a name."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from llm_intercept.errors import Conflict
from llm_intercept.home import Home
from llm_intercept.manage.desk import Desk
from llm_intercept.manage.projects import thing_of
from llm_intercept.policy.actor import Actor
from llm_intercept.store import project_rows
from llm_intercept.store.cache import Which, opened
from llm_intercept.store.limits import LimitRecord
from llm_intercept.store.migrate import connect
from llm_intercept.store.projects import DEFAULT_PROJECT, Project
from llm_intercept.store.reservations import uncount
from llm_intercept.store.routes import StoredRoute


@dataclass(frozen=True, slots=True)
class Removed:
    """What there was. `calls` were deleted, or are nobody's now (`anonymous`); `answers`: stored ones."""

    project: str
    calls: int
    anonymous: bool
    tokens: int
    limits: int
    routes: int
    answers: int


@dataclass(frozen=True, slots=True)
class Books:
    """Where its calls are, what limits have counted, and stored answers."""

    usage: Path
    bodies: Path
    limits: Path
    cache: Path

    @classmethod
    def of(cls, home: Home) -> "Books":
        return cls(home.usage_db, home.bodies_db, home.limits_db, home.cache_db)


class Removal:
    """One step after the other, each of which can be taken again: off, its calls, at last the project."""

    def __init__(self, desk: Desk, books: Books) -> None:
        self._desk = desk
        self._control = desk.control
        self._books = books

    def check(self, actor: Actor, name: str) -> Project:
        """The project, if it can be deleted."""
        project = self._control.projects.get(name)
        self._desk.check(actor, "project.delete", "projects", thing_of(project))
        if project.name == DEFAULT_PROJECT:
            raise Conflict(f"the project {DEFAULT_PROJECT} takes the calls that belong to no other and stays")
        using = [each.name for each in self._control.listeners.list() if each.project == project.name]
        if using:
            raise Conflict(
                f"the listener {using[0]} puts calls into the project {project.name}; give it another one or "
                "delete it first"
            )
        return project

    def delete(
        self, actor: Actor, name: str, *, with_calls: bool, progress: Callable[[int], object]
    ) -> Removed:
        project = self.check(actor, name)
        if project.active:
            self._desk.change(
                actor,
                "project.change",
                "projects",
                lambda: self._control.projects.set_active(project.name, False),
                thing=thing_of(project),
                before=lambda: project,
                after=lambda changed: changed,
            )
        answers = self._purge(project.name)
        calls = self._forget(project.name, with_calls, progress)
        self._uncount(project)
        return self._desk.change(
            actor,
            "project.delete",
            "projects",
            lambda: self._remove(project, calls, with_calls, answers),
            thing=thing_of(project),
            before=lambda: self._before(project),
            after=lambda removed: removed,
        )

    def limits(self, project: Project) -> list[LimitRecord]:
        """Those about this project or one of its tokens, and nobody else."""
        name = project.name.lower()

        def ours(record: LimitRecord) -> bool:
            scope, named = record.limit.scope, record.limit.name.lower()
            return (scope == "project" and named == name) or (
                scope == "token" and named.startswith(f"{name}/")
            )

        return [record for record in self._control.limits.list() if ours(record)]

    def routes(self, project: Project) -> list[StoredRoute]:
        """Those that name it."""
        name = project.name.lower()
        return [
            stored
            for stored in self._control.routes.list()
            if stored.route is not None and name in (each.lower() for each in stored.route.match.projects)
        ]

    def _purge(self, name: str) -> int:
        if not self._books.cache.exists():
            return 0
        with opened(self._books.cache) as store:
            return store.purge(Which(project=name))

    def _forget(self, name: str, with_calls: bool, progress: Callable[[int], object]) -> int:
        done = 0
        with closing(connect(self._books.usage)) as usage, closing(connect(self._books.bodies)) as bodies:
            for number in project_rows.forget(usage, bodies, name, delete=with_calls):
                done += number
                progress(done)
        return done

    def _uncount(self, project: Project) -> None:
        """What limits about every project or token have counted of it, and what is gone with it."""
        name = project.name.lower()
        gone = {record.id for record in self.limits(project)}
        gone |= {token.id for token in self._control.tokens.list(project.name)}
        scopes = {record.id: record.limit.scope for record in self._control.limits.list()}

        def its(id_: str, member: str) -> bool:
            scope = scopes.get(id_)
            of_token = scope == "token" and member.startswith(f"{name}/")
            return id_ in gone or of_token or (scope == "project" and member == name)

        uncount(self._books.limits, its)

    def _remove(self, project: Project, calls: int, with_calls: bool, answers: int) -> Removed:
        tokens = self._control.tokens.list(project.name)
        limits = self.limits(project)
        only_its = [r for r in self.routes(project) if r.route and len(r.route.match.projects) == 1]
        for limit in limits:
            self._control.limits.remove(limit.id)
        for route in only_its:
            self._control.routes.remove(route.name)
        project_rows.remove_project(self._control.database, project.id, project.name)
        return Removed(project.name, calls, not with_calls, len(tokens), len(limits), len(only_its), answers)

    def _before(self, project: Project) -> dict[str, object]:
        return {
            "project": project,
            "tokens": [token.name for token in self._control.tokens.list(project.name)],
            "limits": [record.text for record in self.limits(project)],
        }
