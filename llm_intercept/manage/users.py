"""Users: created, changed and removed by admins; everybody sees who they are themselves."""

import builtins
from typing import Any

from llm_intercept.errors import NotFound
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.users import User


def thing_of(user: User) -> Thing:
    return Thing("user", user.name, user.id)


class Users:
    """The options are those of store/users.py."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.control.users

    def list(self, actor: Actor) -> builtins.list[User]:
        """By name; only themselves for those who are no admins."""
        return [u for u in self._store.list() if self._desk.sees(actor, "users", own=u.id == actor.user_id)]

    def get(self, actor: Actor, reference: str) -> User:
        """By name, address or id. Who must not be seen is not there."""
        if actor.role == "admin":
            return self._store.get(reference)
        for user in self.list(actor):
            if reference.lower() in (user.id, user.name.lower(), (user.email or "").lower()):
                return user
        raise NotFound(f"there is no user {reference!r}")

    def create(self, actor: Actor, name: str, **options: Any) -> User:
        return self._desk.change(
            actor,
            "user.create",
            "users",
            lambda: self._store.create(name, **options),
            thing=thing_of,
            named=name,
            after=lambda made: made,
        )

    def change(self, actor: Actor, reference: str, **changes: Any) -> User:
        """What is given, from the next call on."""
        return self._desk.change(
            actor,
            "user.change",
            "users",
            lambda: self._store.change(reference, **changes),
            thing=thing_of,
            named=reference,
            before=lambda: self._store.get(reference),
            after=lambda changed: changed,
        )

    def delete(self, actor: Actor, reference: str) -> User:
        """For good; returns who it was."""
        return self._desk.change(
            actor,
            "user.delete",
            "users",
            lambda: self._store.remove(reference),
            thing=thing_of,
            named=reference,
            before=lambda: self._store.get(reference),
        )
