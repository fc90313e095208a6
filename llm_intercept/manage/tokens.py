"""Tokens: made and changed by admins and by the members of their projects."""

import builtins
from collections.abc import Callable
from typing import Any

from llm_intercept.errors import InterceptError, NotFound
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import Outcome, Thing
from llm_intercept.store.projects import Project
from llm_intercept.store.tokens import NewToken, Token


def thing_of(token: Token) -> Thing:
    return Thing("token", f"{token.project}/{token.name}", token.id)


class Tokens:
    """The options are those of store/tokens.py."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.control.tokens

    def list(self, actor: Actor, project: str | None = None) -> builtins.list[Token]:
        """Oldest first: those of the actor and, for members, of their projects; all for admins."""
        if project is not None:
            project = self._project(actor, project).name
        mine = self._projects(actor)
        return [t for t in self._store.list(project) if self._sees(actor, t, mine)]

    def get(self, actor: Actor, reference: str, project: str | None = None) -> Token:
        """By id, by name within a project, or by a name that only one project uses."""
        token = self._store.get(reference, project)
        if self._sees(actor, token, self._projects(actor)):
            return token
        raise NotFound(f"there is no token {reference!r}; `llm-intercept token list` shows all")

    def create(self, actor: Actor, project: str, name: str, **options: Any) -> NewToken:
        """The text of the token is in what is returned, and nowhere else."""
        own = self._checked(actor, "token.create", f"{project}/{name}", lambda: self._project(actor, project))
        return self._desk.change(
            actor,
            "token.create",
            "tokens",
            lambda: self._store.create(project, name, **options),
            thing=lambda made: thing_of(made.token),
            named=f"{project}/{name}",
            own=own,
            after=lambda made: made.token,
        )

    def revoke(self, actor: Actor, reference: str, project: str | None = None) -> Token:
        return self._change(actor, "token.revoke", reference, project, self._store.revoke)

    def _change(
        self,
        actor: Actor,
        action: str,
        reference: str,
        project: str | None,
        work: Callable[[str], Token],
    ) -> Token:
        named = f"{project}/{reference}" if project else reference
        own = self._checked(actor, action, named, lambda: self._owner(actor, reference, project))
        return self._desk.change(
            actor,
            action,
            "tokens",
            lambda: work(self._store.get(reference, project).id),
            thing=thing_of,
            named=named,
            own=own,
            before=lambda: self._store.get(reference, project),
            after=lambda changed: changed,
        )

    def _checked(self, actor: Actor, action: str, named: str, find: Callable[[], Project]) -> bool:
        """Whether it is in one of the actor's projects. What must not be seen is audited, and not there."""
        try:
            found = find()
        except InterceptError as error:
            outcome: Outcome = "failed" if actor.role == "admin" else "denied"
            self._desk.audit.event(action, actor, Thing("token", named), outcome=outcome, detail=str(error))
            raise
        return found.id in self._desk.projects_of(actor)

    def _project(self, actor: Actor, name: str) -> Project:
        project = self._desk.control.projects.get(name)
        if not self._desk.sees(actor, "projects", own=project.id in self._desk.projects_of(actor)):
            raise NotFound(f"there is no project named {name!r}")
        return project

    def _owner(self, actor: Actor, reference: str, project: str | None) -> Project:
        return self._desk.control.projects.get(self.get(actor, reference, project).project)

    def _projects(self, actor: Actor) -> frozenset[str]:
        """The names of the actor's projects."""
        mine = self._desk.projects_of(actor)
        return frozenset(p.name for p in self._desk.control.projects.list() if p.id in mine)

    def _sees(self, actor: Actor, token: Token, projects: frozenset[str]) -> bool:
        """Members see what their projects have, viewers what is theirs."""
        theirs = bool(actor.user_id) and getattr(token, "user_id", "") == actor.user_id
        return self._desk.sees(
            actor, "tokens", own=theirs or (actor.role == "member" and token.project in projects)
        )
