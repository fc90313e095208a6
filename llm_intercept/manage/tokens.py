"""Tokens: made and changed by admins and by the members of their projects."""

import builtins
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from llm_intercept.errors import Forbidden, InterceptError, NotFound
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import Outcome, Thing
from llm_intercept.store.projects import Project
from llm_intercept.store.tokens import NewToken, Token, Wanted


def thing_of(token: Token) -> Thing:
    return Thing("token", f"{token.project}/{token.name}", token.id)


class Tokens:
    """The options are those of store/tokens.py."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.control.tokens

    def list(self, actor: Actor, project: str | None = None, **filters: str) -> builtins.list[Token]:
        """Oldest first: those of the actor and, for members, of their projects; all for admins."""
        if project is not None:
            project = self._project(actor, project).name
        mine = self._projects(actor)
        return [t for t in self._store.list(project, **filters) if self._sees(actor, t, mine)]

    def get(self, actor: Actor, reference: str, project: str | None = None) -> Token:
        """By id, PROJECT/NAME, name within a project, or a name that only one project uses."""
        if project is not None:
            self._project(actor, project)
        if actor.role == "admin":
            return self._store.get(reference, project)
        named = [t for t in self.list(actor, project) if t.called(reference)]
        if not named:
            raise NotFound(f"there is no token {reference!r}; `llm-intercept token list` shows all")
        return named[0] if len(named) == 1 else self._store.get(reference, project)

    def create(self, actor: Actor, project: str, name: str, **options: Any) -> NewToken:
        """The text of the token is in what is returned, and nowhere else."""
        named = f"{project}/{name}"
        options["user"] = self._whose(actor, "token.create", named, options.get("user", ""))
        return self._desk.change(
            actor,
            "token.create",
            "tokens",
            lambda: self._store.create(project, name, **options),
            thing=lambda made: thing_of(made.token),
            named=named,
            own=self._own(actor, "token.create", named, lambda: [self._project(actor, project)]),
            after=lambda made: made.token,
        )

    def create_many(
        self, actor: Actor, project: str, name: str, count: int, wanted: Wanted
    ) -> tuple[NewToken, ...]:
        """So many at once, or none; one audit row names them all."""
        named = f"{project}/{name}"
        wanted = replace(wanted, user=self._whose(actor, "token.create_batch", named, wanted.user))
        return self._desk.change(
            actor,
            "token.create_batch",
            "tokens",
            lambda: self._store.create_many(project, name, count, wanted),
            thing=Thing("token", named),
            own=self._own(actor, "token.create_batch", named, lambda: [self._project(actor, project)]),
            after=lambda made: [new.token for new in made],
        )

    def change(self, actor: Actor, reference: str, project: str | None = None, **changes: Any) -> Token:
        self._leave_alone(actor, "token.change", reference, project)
        if changes.get("user") is not None:
            changes["user"] = self._whose(actor, "token.change", reference, changes["user"])
        return self._change(
            actor, "token.change", reference, project, lambda id_: self._store.change(id_, **changes)
        )

    def refresh(self, actor: Actor, reference: str, project: str | None = None, **options: Any) -> NewToken:
        """A new secret for the same token."""
        self._leave_alone(actor, "token.refresh", reference, project)
        token = self._found(actor, "token.refresh", reference, project)
        return self._desk.change(
            actor,
            "token.refresh",
            "tokens",
            lambda: self._store.refresh(token.id, **options),
            thing=thing_of(token),
            own=self._is_own(actor, token),
            before=lambda: self._store.get(token.id),
            after=lambda made: made.token,
        )

    def suspend(self, actor: Actor, reference: str, project: str | None = None) -> Token:
        return self._change(actor, "token.suspend", reference, project, self._store.suspend)

    def resume(self, actor: Actor, reference: str, project: str | None = None) -> Token:
        return self._change(actor, "token.resume", reference, project, self._store.resume)

    def revoke(self, actor: Actor, reference: str, project: str | None = None) -> Token:
        return self._change(actor, "token.revoke", reference, project, self._store.revoke)

    def revoke_many(
        self, actor: Actor, references: Sequence[str], project: str | None = None
    ) -> tuple[Token, ...]:
        """All of these, or none if one of them is not there; one audit row names them all."""
        if len(references) == 1:
            return (self.revoke(actor, references[0], project),)
        action, named = "token.revoke_batch", ", ".join(references)
        found: builtins.list[Token] = []

        def look() -> builtins.list[Project]:
            found.extend(self.get(actor, reference, project) for reference in references)
            return [self._desk.control.projects.get(token.project) for token in found]

        own = self._own(actor, action, named, look)
        return self._desk.change(
            actor,
            action,
            "tokens",
            lambda: self._store.revoke_many([token.id for token in found]),
            thing=Thing("token", named),
            own=own,
            before=lambda: [self._store.get(token.id) for token in found],
            after=lambda revoked: revoked,
        )

    def revoke_all(self, actor: Actor, project: str) -> tuple[Token, ...]:
        """Every token of a project that was not revoked before."""
        action = "token.revoke_all"
        return self._desk.change(
            actor,
            action,
            "tokens",
            lambda: self._store.revoke_all(project),
            thing=Thing("project", project),
            own=self._own(actor, action, project, lambda: [self._project(actor, project)]),
            before=lambda: [token for token in self._store.list(project) if token.revoked_at is None],
            after=lambda revoked: revoked,
        )

    def _change(
        self,
        actor: Actor,
        action: str,
        reference: str,
        project: str | None,
        work: Callable[[str], Token],
    ) -> Token:
        token = self._found(actor, action, reference, project)
        return self._desk.change(
            actor,
            action,
            "tokens",
            lambda: work(token.id),
            thing=thing_of(token),
            own=self._is_own(actor, token),
            before=lambda: self._store.get(token.id),
            after=lambda changed: changed,
        )

    def _found(self, actor: Actor, action: str, reference: str, project: str | None) -> Token:
        named = f"{project}/{reference}" if project else reference
        return self._looked_up(actor, action, named, lambda: self.get(actor, reference, project))

    def _whose(self, actor: Actor, action: str, named: str, user: str) -> str:
        """A token that a member makes is that member's: limits on users hold for whoever they are set on."""
        me = self._desk.control.users.find(actor.user_id) if actor.user_id else None
        if actor.role == "admin" or me is None:
            return user
        known = self._desk.control.users.find(user) if user else me
        if known is None or known.id != me.id:
            self._desk.denied(actor, action, Thing("token", named))
            raise Forbidden(f"tokens that {me.name} makes are {me.name}'s own; an admin can make others")
        return me.name

    def _leave_alone(self, actor: Actor, action: str, reference: str, project: str | None) -> None:
        """What another user calls with is not for a member to change, or to have the secret of."""
        if actor.role == "admin":
            return
        token = self._found(actor, action, reference, project)
        if token.user_id and token.user_id != actor.user_id and self._is_own(actor, token):
            self._desk.denied(actor, action, thing_of(token))
            raise Forbidden(
                f"the token {token.name} is {token.user}'s; suspend or revoke it, or ask an admin"
            )

    def _own(self, actor: Actor, action: str, named: str, find: Callable[[], Sequence[Project]]) -> bool:
        """Whether all of them are projects of the actor."""
        found = self._looked_up(actor, action, named, find)
        return {project.id for project in found} <= self._desk.projects_of(actor)

    def _is_own(self, actor: Actor, token: Token) -> bool:
        return self._desk.control.projects.get(token.project).id in self._desk.projects_of(actor)

    def _looked_up[T](self, actor: Actor, action: str, named: str, find: Callable[[], T]) -> T:
        """What must not be seen is not there, and leaves a row."""
        try:
            return find()
        except InterceptError as error:
            outcome: Outcome = "failed" if actor.role == "admin" else "denied"
            self._desk.audit.event(action, actor, Thing("token", named), outcome=outcome, detail=str(error))
            raise

    def _project(self, actor: Actor, name: str) -> Project:
        if actor.role == "admin":
            return self._desk.control.projects.get(name)
        for project in self._desk.control.projects.of_user(actor.user_id):
            if project.name.lower() == name.lower():
                return project
        raise NotFound(f"there is no project named {name!r}")

    def _projects(self, actor: Actor) -> frozenset[str]:
        """The names of the actor's projects; not needed for admins, who see all."""
        if actor.role == "admin" or not actor.user_id:
            return frozenset()
        return frozenset(project.name for project in self._desk.control.projects.of_user(actor.user_id))

    def _sees(self, actor: Actor, token: Token, projects: frozenset[str]) -> bool:
        """Members see what their projects have, viewers what is theirs."""
        theirs = bool(actor.user_id) and token.user_id == actor.user_id
        shared = actor.role == "member" and token.project in projects
        return self._desk.sees(actor, "tokens", own=theirs or shared)
