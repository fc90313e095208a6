"""Users in `control.db`: people who own projects and tokens, and who may log in."""

import re
import sqlite3
from dataclasses import dataclass
from typing import Literal, get_args

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.store.database import Database, Row, checked_name

Role = Literal["admin", "member", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)

_EMAIL = re.compile(r"[^@\s<>\"',;]{1,64}@[A-Za-z0-9.-]{1,189}\.[A-Za-z0-9-]{2,}")
_SELECT = (
    "SELECT users.*, (SELECT count(*) FROM projects WHERE owner_id = users.id) AS owned,"
    " (SELECT count(*) FROM tokens WHERE user_id = users.id AND revoked_at IS NULL"
    " AND (expires_at IS NULL OR expires_at > ?)) AS tokens FROM users "
)


@dataclass(frozen=True, slots=True)
class User:
    """`projects` counts those that the user owns, `tokens` those of the user's that are not at their end."""

    id: str
    name: str
    email: str | None
    role: Role
    active: bool
    created_at: str
    projects: int
    tokens: int


class Users:
    """Create, list, show, change and remove. A user is known by name, by email address or by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, *, email: str | None = None, role: Role = "member") -> User:
        checked_name("user", name)
        _check_role(role)
        id_ = self._database.new_id("usr")
        values = (id_, name, checked_email(email), role, self._database.now_text())
        try:
            with self._database.write() as connection:
                connection.execute(
                    "INSERT INTO users (id, name, email, role, created_at) VALUES (?, ?, ?, ?, ?)", values
                )
        except sqlite3.IntegrityError as error:
            raise _taken(error, name, email) from None
        return self.get(id_)

    def list(self) -> list[User]:
        """All of them, by name."""
        rows = self._database.rows(_SELECT + "ORDER BY name", (self._database.now_text(),))
        return [_user(row) for row in rows]

    def get(self, reference: str) -> User:
        found = self.find(reference)
        if found is None:
            raise NotFound(f"there is no user {reference!r}; `llm-intercept user list` shows all")
        return found

    def find(self, reference: str) -> User | None:
        """None if there is nobody of this name, address or id."""
        row = self._database.row(
            _SELECT + "WHERE id = ? OR name = ? COLLATE NOCASE OR email = ? COLLATE NOCASE",
            (self._database.now_text(), reference, reference, reference),
        )
        return _user(row) if row is not None else None

    def change(
        self,
        reference: str,
        *,
        email: str | None = None,
        role: Role | None = None,
        active: bool | None = None,
    ) -> User:
        """Changes what is given; an empty address removes it. The last active admin stays one."""
        user = self.get(reference)
        if role is not None:
            _check_role(role)
        new_email = user.email if email is None else checked_email(email)
        values = (new_email, role or user.role, int(user.active if active is None else active), user.id)
        try:
            with self._database.write() as connection:
                self._keep_an_admin(user, stays=active is not False and role in (None, "admin"))
                connection.execute("UPDATE users SET email = ?, role = ?, active = ? WHERE id = ?", values)
        except sqlite3.IntegrityError as error:
            raise _taken(error, user.name, email) from None
        return self.get(user.id)

    def remove(self, reference: str) -> User:
        """Deletes somebody who owns no project and has no working token; returns who it was."""
        user = self.get(reference)
        if user.projects or user.tokens:
            what = f"owns {user.projects} projects" if user.projects else f"has {user.tokens} working tokens"
            raise Conflict(
                f"the user {user.name} {what}; give those to somebody else or revoke them first, "
                f"or switch the user off: llm-intercept user set {user.name} --inactive"
            )
        with self._database.write() as connection:
            self._keep_an_admin(user, stays=False)
            connection.execute("UPDATE tokens SET user_id = NULL WHERE user_id = ?", (user.id,))
            connection.execute("DELETE FROM users WHERE id = ?", (user.id,))
        return user

    def _keep_an_admin(self, user: User, *, stays: bool) -> None:
        if stays or user.role != "admin" or not user.active:
            return
        others = "SELECT 1 FROM users WHERE role = 'admin' AND active AND id <> ?"
        if self._database.row(others, (user.id,)) is None:
            raise Conflict(f"{user.name} is the last active admin; make somebody else one first")


def checked_email(email: str | None) -> str | None:
    """The address, if it may be one; None for none."""
    if not email:
        return None
    if not _EMAIL.fullmatch(email):
        raise ConfigError(f"{email!r} is not an email address")
    return email


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise ConfigError(f"{role!r} is not a role; use admin, member or viewer")


def _taken(error: sqlite3.IntegrityError, name: str, email: str | None) -> Conflict:
    what = f"the email address {email}" if "email" in str(error) else f"the name {name!r}"
    return Conflict(f"a user with {what} exists already; `llm-intercept user list` shows all")


def _user(row: Row) -> User:
    return User(
        row["id"],
        row["name"],
        row["email"],
        row["role"],
        bool(row["active"]),
        row["created_at"],
        row["owned"],
        row["tokens"],
    )
