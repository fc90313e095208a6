"""Project tokens in `control.db`. Only a digest is kept; what a token looks like is `policy/tokens.py`."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.policy.allow import Policy, stored
from llm_intercept.policy.tokens import (
    AWS_BYTES,
    TOKEN_BYTES,
    IssuedToken,
    Lifetimes,
    Wellformed,
    hint,
    new_aws_pair,
    new_token,
    parse,
)
from llm_intercept.store.database import Database, Row, as_seconds, as_text, checked_name
from llm_intercept.store.issued import SELECT, issued
from llm_intercept.store.projects import Projects
from llm_intercept.store.users import Users

MOST_AT_ONCE = 1000
_NAMESAKE = "SELECT 1 FROM tokens WHERE project_id = :project_id AND name = :name COLLATE NOCASE"
_HINTED = 8  # characters of a token that its hint begins with


@dataclass(frozen=True, slots=True)
class Token:
    """What may be shown of a token. `state`: active, revoked, expired, suspended, or inactive (its project
    or its user is off); `exhausted` is known where its calls are counted (`token_use.py`).

    `overlap_until`: until when its former secret works as well.
    """

    id: str
    project: str
    name: str
    user: str
    kind: str  # bearer | aws
    hint: str
    state: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    user_id: str | None = None
    policy: Policy = field(default_factory=Policy)
    max_requests: int | None = None
    suspended_at: str | None = None
    refreshed_at: str | None = None
    overlap_until: str | None = None

    def called(self, reference: str) -> bool:
        """By its id, its name, or both names (`demo/laptop`)."""
        return reference in (self.id, self.name, f"{self.project}/{self.name}")


@dataclass(frozen=True, slots=True)
class NewToken:
    """The one moment in which the text of a token is known. `text` is the access key id for `aws`."""

    token: Token
    text: str = field(repr=False)
    secret: SecretStr | None = None  # aws: the secret access key


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a token shall be like. `user` is a user by name, address or id, or any label."""

    user: str = ""
    lifetime: timedelta | None = None
    aws: bool = False
    policy: Policy = field(default_factory=Policy)
    max_requests: int | None = None


class Tokens:
    """Create, list, change, refresh, suspend and revoke tokens."""

    def __init__(self, database: Database, projects: Projects, lifetimes: Lifetimes | None = None) -> None:
        self._database = database
        self._projects = projects
        self._users = Users(database)
        self.lifetimes = lifetimes or Lifetimes()

    def create(
        self,
        project: str,
        name: str,
        *,
        user: str = "",
        lifetime: timedelta | None = None,
        aws: bool = False,
        policy: Policy | None = None,
        max_requests: int | None = None,
    ) -> NewToken:
        """A new token; its text is returned here and never again."""
        wanted = Wanted(user, lifetime, aws, policy or Policy(), max_requests)
        return self._make(project, [name], wanted)[0]

    def create_many(self, project: str, name: str, count: int, wanted: Wanted) -> tuple[NewToken, ...]:
        """So many at once, or none: `name-1`, `name-2`, ..."""
        if not 1 <= count <= MOST_AT_ONCE:
            raise ConfigError(f"make 1 to {MOST_AT_ONCE} tokens at once, not {count}")
        width = len(str(count))
        return self._make(project, [f"{name}-{number:0{width}}" for number in range(1, count + 1)], wanted)

    def list(
        self, project: str | None = None, *, prefix: str = "", state: str = "", user_id: str = ""
    ) -> list[Token]:
        """All tokens, or those of one project, oldest first; never their texts.

        `prefix` is how a token or its name begins; a whole token finds itself alone.
        """
        clauses, values = ["1"], []
        if project is not None:
            clauses.append("tokens.project_id = ?")
            values.append(self._projects.get(project).id)
        if user_id:
            clauses.append("tokens.user_id = ?")
            values.append(user_id)
        now = self._database.now_text()
        rows = self._database.rows(
            f"{SELECT} WHERE {' AND '.join(clauses)} ORDER BY tokens.created_at, tokens.rowid",
            (now, *values),
        )
        found = [token_of(row, now) for row in rows if self._begins(row, prefix)]
        return [token for token in found if state in ("", token.state)]

    def get(self, reference: str, project: str | None = None) -> Token:
        """A token by id, PROJECT/NAME, name within a project, or a name that only one project uses."""
        matches = self._named(reference, project)
        if not matches:
            raise NotFound(f"there is no token {reference!r}; `llm-intercept token list` shows all")
        if len(matches) > 1:
            owners = ", ".join(t.project for t in matches)
            raise Conflict(
                f"several projects have a token named {reference!r} ({owners}); say --project or give its id"
            )
        return matches[0]

    def change(
        self,
        reference: str,
        project: str | None = None,
        *,
        policy: Policy | None = None,
        max_requests: int | None = None,
        user: str | None = None,
        lifetime: timedelta | None = None,
    ) -> Token:
        """Changes what is given, from the next call on. `max_requests` 0 is no limit; `lifetime` from now."""
        token = self.get(reference, project)
        changes: dict[str, object] = {}
        if policy is not None:
            changes["policy"] = policy.text()
        if max_requests is not None:
            changes["max_requests"] = _checked_requests(max_requests)
        if user is not None:
            changes["user"], changes["user_id"] = self._owner(user)
        if lifetime is not None:
            changes["expires_at"] = self._until(lifetime)
        self._update([token], changes)
        return self.get(token.id)

    def refresh(
        self,
        reference: str,
        project: str | None = None,
        *,
        lifetime: timedelta | None = None,
        overlap: timedelta | None = None,
    ) -> NewToken:
        """A new secret for the same token: name, limits, policy and what it has used stay.

        It works as long again as it was made for, or for `lifetime`; the old secret for `overlap` still.
        """
        token = self._unrevoked(reference, project)
        text, secret = self._mint(token.kind == "aws")
        now = self._database.clock()
        if lifetime is None and token.expires_at is not None:
            made = as_seconds(token.refreshed_at or token.created_at)
            lifetime = timedelta(seconds=as_seconds(token.expires_at) - made)
            lifetime = self.lifetimes.within(lifetime)
        values: dict[str, object] = {
            "digest": self._database.vault.digest(text),
            "hint": hint(text),
            "secret": self._sealed(secret),
            "expires_at": self._until(lifetime),
            "refreshed_at": as_text(now),
        }
        until = as_text(now + overlap.total_seconds()) if overlap else None
        if until is not None and token.expires_at is not None:
            until = min(until, token.expires_at)
        self._replace(token, values, until)
        return NewToken(self.get(token.id), text, secret)

    def suspend(self, reference: str, project: str | None = None) -> Token:
        """Refused from the next call on, until it is resumed. Twice is no error."""
        token = self._unrevoked(reference, project)
        if token.suspended_at is None:
            self._update([token], {"suspended_at": self._database.now_text()})
        return self.get(token.id)

    def resume(self, reference: str, project: str | None = None) -> Token:
        """Takes a suspension back; what has expired stays so."""
        token = self._unrevoked(reference, project)
        self._update([token], {"suspended_at": None})
        return self.get(token.id)

    def revoke(self, reference: str, project: str | None = None) -> Token:
        """From the next call on it is refused. Revoking twice is not an error and keeps the first time."""
        return self.revoke_many([reference], project)[0]

    def revoke_many(self, references: Sequence[str], project: str | None = None) -> tuple[Token, ...]:
        """All of these, or none if one of them does not exist."""
        found = [self.get(reference, project) for reference in references]
        live = [token for token in found if token.revoked_at is None]
        self._update(live, {"revoked_at": self._database.now_text()})
        return tuple(self.get(token.id) for token in found)

    def revoke_all(self, project: str) -> tuple[Token, ...]:
        """Every token of a project that was not revoked before; also one made at this very moment."""
        owner, now = self._projects.get(project), self._database.now_text()
        with self._database.write() as connection:
            rows = connection.execute(
                "UPDATE tokens SET revoked_at = ? WHERE project_id = ? AND revoked_at IS NULL RETURNING id",
                (now, owner.id),
            ).fetchall()
        return tuple(self.get(id_) for (id_,) in rows)

    def issued(self, kind: str, digest: bytes) -> IssuedToken | None:
        """Everything needed to judge a token of this kind; None if there is none."""
        return issued(self._database, kind, digest)

    def _unrevoked(self, reference: str, project: str | None) -> Token:
        token = self.get(reference, project)
        if token.state == "revoked":
            raise Conflict(f"the token {token.name} was revoked; make a new one (llm-intercept token create)")
        return token

    def _named(self, reference: str, project: str | None) -> Sequence[Token]:
        now = self._database.now_text()
        clause = "(? IN (tokens.id, projects.name || '/' || tokens.name) OR tokens.name = ? COLLATE NOCASE)"
        values = [now, reference, reference]
        if project is not None:
            clause += " AND tokens.project_id = ?"
            values.append(self._projects.get(project).id)
        found = [token_of(row, now) for row in self._database.rows(f"{SELECT} WHERE {clause}", values)]
        return [token for token in found if token.called(reference)] or found

    def _begins(self, row: Row, prefix: str) -> bool:
        if not prefix:
            return True
        if isinstance(parse(prefix), Wellformed):
            return bool(row["digest"] == self._database.vault.digest(prefix))
        named, hinted = str(row["name"]), str(row["hint"])
        return named.startswith(prefix) or hinted[:_HINTED].startswith(prefix[:_HINTED])

    def _make(self, project: str, names: Sequence[str], wanted: Wanted) -> tuple[NewToken, ...]:
        owner = self._projects.get(project)
        user, user_id = self._owner(wanted.user)
        shared = {
            "project_id": owner.id,
            "user": user,
            "user_id": user_id,
            "kind": "aws" if wanted.aws else "bearer",
            "created_at": self._database.now_text(),
            "expires_at": self._until(wanted.lifetime),
            "policy": wanted.policy.text(),
            "max_requests": _checked_requests(wanted.max_requests),
        }
        made = []
        for name in names:
            text, secret = self._mint(wanted.aws)
            values = shared | self._own_values(checked_name("token", name), text, secret)
            made.append((values, text, secret))
        self._insert([values for values, _, _ in made], owner.name)
        return tuple(NewToken(self.get(values["id"]), text, secret) for values, text, secret in made)

    def _own_values(self, name: str, text: str, secret: SecretStr | None) -> dict[str, Any]:
        return {
            "id": self._database.new_id("tok"),
            "name": name,
            "digest": self._database.vault.digest(text),
            "hint": hint(text),
            "secret": self._sealed(secret),
        }

    def _sealed(self, secret: SecretStr | None) -> bytes | None:
        return self._database.vault.encrypt(secret) if secret else None

    def _owner(self, user: str) -> tuple[str, str | None]:
        """(label, id) of whom it belongs to; a label that is no user's name stays one."""
        known = self._users.find(user) if user else None
        return (known.name, known.id) if known else (user, None)

    def _until(self, lifetime: timedelta | None) -> str | None:
        found = self.lifetimes.of(lifetime)
        return as_text(self._database.clock() + found.total_seconds()) if found else None

    def _mint(self, aws: bool) -> tuple[str, SecretStr | None]:
        if aws:
            text, secret = new_aws_pair(self._database.entropy(AWS_BYTES))
            return text, SecretStr(secret)
        return new_token(self._database.entropy(TOKEN_BYTES)), None

    def _insert(self, rows: Sequence[dict[str, Any]], project: str) -> None:
        name = ""
        try:
            with self._database.write() as connection:
                for values in rows:
                    name = values["name"]
                    if connection.execute(_NAMESAKE, values).fetchone():
                        raise sqlite3.IntegrityError
                    connection.execute(
                        "INSERT INTO tokens (id, project_id, name, user, user_id, kind, digest, hint, secret,"
                        " created_at, expires_at, policy, max_requests) VALUES (:id, :project_id, :name,"
                        " :user, :user_id, :kind, :digest, :hint, :secret, :created_at, :expires_at, :policy,"
                        " :max_requests)",
                        values,
                    )
        except sqlite3.IntegrityError:
            raise Conflict(
                f"the project {project!r} has a token named {name!r} already; choose another name "
                "(names of revoked tokens stay taken, so that old calls keep their meaning)"
            ) from None

    def _update(self, tokens: Sequence[Token], changes: dict[str, object]) -> None:
        """The columns' names are ours."""
        if not tokens or not changes:
            return
        columns = ", ".join(f"{column} = ?" for column in changes)
        values = tuple(changes.values())
        with self._database.write() as connection:
            connection.executemany(
                f"UPDATE tokens SET {columns} WHERE id = ?",  # noqa: S608
                [(*values, token.id) for token in tokens],
            )

    def _replace(self, token: Token, values: dict[str, object], until: str | None) -> None:
        """The former secret goes aside, the new one in its place."""
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM former_secrets WHERE expires_at <= ?", (self._database.now_text(),)
            )
            if until is not None:
                connection.execute(
                    "INSERT INTO former_secrets SELECT digest, id, secret, hint, ? FROM tokens WHERE id = ?",
                    (until, token.id),
                )
            else:
                connection.execute("DELETE FROM former_secrets WHERE token_id = ?", (token.id,))
            columns = ", ".join(f"{column} = :{column}" for column in values)
            connection.execute(f"UPDATE tokens SET {columns} WHERE id = :id", values | {"id": token.id})  # noqa: S608


def _checked_requests(count: int | None) -> int | None:
    """0 is no limit."""
    if count is not None and not 0 <= count <= 10**15:
        raise ConfigError(f"max_requests is a number of calls from 1 up, or 0 for no limit, not {count}")
    return count or None


def token_of(row: Row, now: str) -> Token:
    return Token(
        id=row["id"],
        project=row["project"],
        name=row["name"],
        user=row["user"],
        kind=row["kind"],
        hint=row["hint"],
        state=_state(row, now),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        user_id=row["user_id"],
        policy=stored(row["policy"]),
        max_requests=row["max_requests"],
        suspended_at=row["suspended_at"],
        refreshed_at=row["refreshed_at"],
        overlap_until=row["overlap_until"],
    )


def _state(row: Row, now: str) -> str:
    if row["revoked_at"]:
        return "revoked"
    if row["expires_at"] and row["expires_at"] <= now:
        return "expired"
    if row["suspended_at"]:
        return "suspended"
    return "active" if row["active"] and row["user_active"] else "inactive"
