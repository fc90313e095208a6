"""Project tokens in `control.db`. Only a digest is kept; what a token looks like is `policy/tokens.py`."""

import sqlite3
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from llm_intercept.errors import Conflict, NotFound
from llm_intercept.exchange import Principal
from llm_intercept.policy.tokens import AWS_BYTES, TOKEN_BYTES, IssuedToken, hint, new_aws_pair, new_token
from llm_intercept.store.database import Database, as_seconds, as_text, checked_name
from llm_intercept.store.projects import Projects

_SELECT = (
    "SELECT tokens.*, projects.name AS project, projects.active, projects.capture"
    " FROM tokens JOIN projects ON projects.id = tokens.project_id "
)


@dataclass(frozen=True, slots=True)
class Token:
    """What may be shown of a token. `state`: active, revoked, expired or inactive (its project is off)."""

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


@dataclass(frozen=True, slots=True)
class NewToken:
    """The one moment in which the text of a token is known. `text` is the access key id for `aws`."""

    token: Token
    text: str = field(repr=False)
    secret: SecretStr | None = None  # aws: the secret access key


class Tokens:
    """Create, list and revoke tokens."""

    def __init__(self, database: Database, projects: Projects) -> None:
        self._database = database
        self._projects = projects

    def create(
        self, project: str, name: str, *, user: str = "", lifetime: timedelta | None = None, aws: bool = False
    ) -> NewToken:
        """A new token; its text is returned here and never again."""
        checked_name("token", name)
        owner = self._projects.get(project)
        text, secret = self._mint(aws)
        now = self._database.clock()
        values: dict[str, Any] = {
            "id": self._database.new_id("tok"),
            "project_id": owner.id,
            "name": name,
            "user": user,
            "kind": "aws" if aws else "bearer",
            "digest": self._database.vault.digest(text),
            "hint": hint(text),
            "secret": self._database.vault.encrypt(secret) if secret else None,
            "created_at": as_text(now),
            "expires_at": as_text(now + lifetime.total_seconds()) if lifetime else None,
        }
        self._insert(values, owner.name)
        return NewToken(self.get(values["id"]), text, secret)

    def list(self, project: str | None = None) -> list[Token]:
        """All tokens, or those of one project, oldest first; never their texts."""
        if project is None:
            rows = self._database.rows(_SELECT + "ORDER BY tokens.created_at, tokens.rowid")
        else:
            owner = self._projects.get(project)
            rows = self._database.rows(
                _SELECT + "WHERE project_id = ? ORDER BY tokens.created_at", (owner.id,)
            )
        now = self._database.now_text()
        return [_token(row, now) for row in rows]

    def get(self, reference: str, project: str | None = None) -> Token:
        """A token by id, by name within a project, or by a name that only one project uses."""
        matches = [t for t in self.list(project) if reference in (t.id, t.name)]
        if not matches:
            raise NotFound(f"there is no token {reference!r}; `llm-intercept token list` shows all")
        if len(matches) > 1:
            owners = ", ".join(t.project for t in matches)
            raise Conflict(
                f"several projects have a token named {reference!r} ({owners}); say --project or give its id"
            )
        return matches[0]

    def revoke(self, reference: str, project: str | None = None) -> Token:
        """From the next call on it is refused. Revoking twice is not an error and keeps the first time."""
        token = self.get(reference, project)
        with self._database.write() as connection:
            connection.execute(
                "UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
                (self._database.now_text(), token.id),
            )
        return self.get(token.id)

    def issued(self, kind: str) -> dict[bytes, IssuedToken]:
        """Everything needed to judge tokens of one kind, by digest."""
        rows = self._database.rows(_SELECT + "WHERE kind = ?", (kind,))
        return {row["digest"]: _issued(row) for row in rows}

    def _mint(self, aws: bool) -> tuple[str, SecretStr | None]:
        if aws:
            text, secret = new_aws_pair(self._database.entropy(AWS_BYTES))
            return text, SecretStr(secret)
        return new_token(self._database.entropy(TOKEN_BYTES)), None

    def _insert(self, values: dict[str, Any], project: str) -> None:
        try:
            with self._database.write() as connection:
                connection.execute(
                    "INSERT INTO tokens (id, project_id, name, user, kind, digest, hint, secret,"
                    " created_at, expires_at) VALUES (:id, :project_id, :name, :user, :kind, :digest, :hint,"
                    " :secret, :created_at, :expires_at)",
                    values,
                )
        except sqlite3.IntegrityError:
            raise Conflict(
                f"the project {project!r} has a token named {values['name']!r} already; choose another name "
                "(names of revoked tokens stay taken, so that old calls keep their meaning)"
            ) from None


def _token(row: dict[str, Any], now: str) -> Token:
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
    )


def _state(row: dict[str, Any], now: str) -> str:
    if row["revoked_at"]:
        return "revoked"
    if row["expires_at"] and row["expires_at"] <= now:
        return "expired"
    return "active" if row["active"] else "inactive"


def _issued(row: dict[str, Any]) -> IssuedToken:
    principal = Principal(
        project=row["project"],
        token=row["name"],
        user=row["user"],
        token_id=row["id"],
        capture=row["capture"],
    )
    expires = as_seconds(row["expires_at"]) if row["expires_at"] else None
    return IssuedToken(principal, bool(row["active"]), row["revoked_at"] is not None, expires, row["secret"])
