"""Tokens of the management API in `control.db`. Only digests are kept; see `policy/apitokens.py`."""

import sqlite3
from dataclasses import dataclass, field
from datetime import timedelta

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.policy.apitokens import PREFIX, ApiScope, checked_scope, hint
from llm_intercept.policy.tokens import TOKEN_BYTES, is_wellformed, new_token
from llm_intercept.store.database import Database, Row, as_seconds, as_text, checked_name

OWNER = "owner"
_SEEN_EVERY = 60
_SELECT = (
    "SELECT api_tokens.*, coalesce(users.name, '') AS user, users.role,"
    " coalesce(users.active, api_tokens.user_id IS NULL) AS active"
    " FROM api_tokens LEFT JOIN users ON users.id = api_tokens.user_id "
)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What may be shown. `user` "": the local administrator. `state`: active, revoked, expired, inactive."""

    id: str
    name: str
    user: str
    user_id: str
    role: str
    scope: ApiScope
    hint: str
    state: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """The one moment in which the text is known."""

    token: ApiToken
    text: str = field(repr=False)


class ApiTokens:
    """Create, list, revoke, find. A token may do what its user may, as far as its scope goes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, user_id: str, name: str, scope: str = "read", lifetime: timedelta | None = None
    ) -> NewApiToken:
        """`user_id` "": for the local administrator."""
        checked_name("API token", name)
        scope = checked_scope(scope)
        text = new_token(self._database.entropy(TOKEN_BYTES), PREFIX)
        now, id_ = self._database.clock(), self._database.new_id("apt")
        expires = as_text(now + lifetime.total_seconds()) if lifetime else None
        digest = self._database.vault.digest(text)
        values = (id_, user_id or None, name, digest, hint(text), scope, as_text(now), expires)
        try:
            with self._database.write() as connection:
                connection.execute(
                    "INSERT INTO api_tokens (id, user_id, name, digest, hint, scope, created_at, expires_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    values,
                )
        except sqlite3.IntegrityError as error:
            if "FOREIGN KEY" in str(error):
                raise NotFound("there is no such user; `llm-intercept user list` shows all") from None
            raise Conflict(f"there is an API token named {name!r} already; choose another name") from None
        return NewApiToken(self.get(id_, user_id), text)

    def list(self, user_id: str | None = None) -> list[ApiToken]:
        """Those of a user ("": of the local administrator), or all; oldest first."""
        which = "" if user_id is None else "WHERE coalesce(api_tokens.user_id, '') = ? "
        parameters = () if user_id is None else (user_id,)
        rows = self._database.rows(
            _SELECT + which + "ORDER BY api_tokens.created_at, api_tokens.id", parameters
        )
        now = self._database.now_text()
        return [_token(row, now) for row in rows]

    def get(self, reference: str, user_id: str | None = None) -> ApiToken:
        """By id, or by name: then the one that works, else the latest."""
        found = [token for token in self.list(user_id) if reference in (token.id, token.name)]
        working = [token for token in found if token.state == "active"]
        if not found:
            raise NotFound(f"there is no API token {reference!r}; `llm-intercept apitoken list` shows all")
        if len(working) > 1:
            raise Conflict(f"several users have an API token named {reference!r}; give its id")
        return (working or found)[-1]

    def revoke(self, reference: str, user_id: str | None = None) -> ApiToken:
        """From the next call on it is refused. Revoking twice keeps the first time."""
        token = self.get(reference, user_id)
        with self._database.write() as connection:
            connection.execute(
                "UPDATE api_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
                (self._database.now_text(), token.id),
            )
        return self.get(token.id)

    def find(self, text: str) -> ApiToken | None:
        """The token with this text in whatever state; remembers once a minute that one was used."""
        if not is_wellformed(text, PREFIX):
            return None
        digest = self._database.vault.digest(text)
        row = self._database.row(_SELECT + "WHERE api_tokens.digest = ?", (digest,))
        if row is None:
            return None
        token = _token(row, self._database.now_text())
        if token.state == "active":
            self._seen(token)
        return token

    def _seen(self, token: ApiToken) -> None:
        now = self._database.clock()
        if token.last_used_at is None or now - as_seconds(token.last_used_at) >= _SEEN_EVERY:
            with self._database.write() as connection:
                connection.execute(
                    "UPDATE api_tokens SET last_used_at = ? WHERE id = ?", (as_text(now), token.id)
                )


def parsed_lifetime(days: str) -> timedelta | None:
    """The days of a form's field; "" is none."""
    if not days.strip():
        return None
    if not days.strip().isdigit() or not 1 <= int(days) <= 36_500:
        raise ConfigError("the number of days must be from 1 to 36500, or empty")
    return timedelta(days=int(days))


def _token(row: Row, now: str) -> ApiToken:
    return ApiToken(
        id=row["id"],
        name=row["name"],
        user=row["user"],
        user_id=row["user_id"] or "",
        role=row["role"] or "admin",
        scope=row["scope"],
        hint=row["hint"],
        state=_state(row, now),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )


def _state(row: Row, now: str) -> str:
    if row["revoked_at"]:
        return "revoked"
    if row["expires_at"] and row["expires_at"] <= now:
        return "expired"
    return "active" if row["active"] else "inactive"
