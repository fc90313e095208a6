"""Logins of people in `control.db`: one-time links, and the sessions behind the dashboard's cookie.

Only digests of codes and cookies are kept. A session belongs to a user, or to nobody: then it was opened by a
link from the shell, and is the local administrator's. Name and role of a user are looked up at each use.
"""

from dataclasses import dataclass
from typing import Literal

from llm_intercept.errors import NotFound
from llm_intercept.store.database import Database, Row

LINK_SECONDS = 600
SETUP_SECONDS = 3600
_SEEN_EVERY = 60  # a write for each page view would make every proxy reload its snapshot

type Purpose = Literal["login", "setup"]
_LASTS: dict[Purpose, int] = {"login": LINK_SECONDS, "setup": SETUP_SECONDS}
# The first bytes of a digest name a session to people; they lead neither to the digest nor to the cookie.
_ID = "'ses_' || lower(substr(hex(sessions.digest), 1, 16))"
_SELECT = (
    f"SELECT {_ID} AS id, coalesce(users.name, sessions.actor) AS actor,"  # noqa: S608
    " coalesce(users.role, sessions.role) AS role, sessions.user_id, sessions.method, sessions.created_at,"
    " sessions.expires_at, sessions.last_seen_at, sessions.user_agent, sessions.client_ip"
    " FROM sessions LEFT JOIN users ON users.id = sessions.user_id"
    " WHERE sessions.expires_at > ? AND coalesce(users.active, sessions.user_id IS NULL) "
)


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is logged in; times are Unix seconds. `user_id` "": the local administrator."""

    id: str
    actor: str
    role: str
    user_id: str
    method: str  # link | password | invite | setup | oidc
    created_at: int
    expires_at: int
    last_seen_at: int
    user_agent: str
    client_ip: str


class Sessions:
    """Times come from the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_link(self, purpose: Purpose = "login") -> str:
        """A code that opens one session within ten minutes, or makes the first admin within an hour."""
        code = self._database.entropy(24).hex()
        now = int(self._database.clock())
        with self._database.write() as connection:
            connection.execute("DELETE FROM login_links WHERE expires_at <= ?", (now,))
            connection.execute(
                "INSERT INTO login_links (digest, created_at, expires_at, purpose) VALUES (?, ?, ?, ?)",
                (self._database.vault.digest(code), now, now + _LASTS[purpose], purpose),
            )
        return code

    def is_link(self, code: str, purpose: Purpose) -> bool:
        """Whether the code is good, without using it up."""
        found = self._database.row(
            "SELECT 1 FROM login_links WHERE digest = ? AND purpose = ? AND used_at IS NULL"
            " AND expires_at > ?",
            (self._database.vault.digest(code), purpose, int(self._database.clock())),
        )
        return found is not None

    def redeem_link(self, code: str, purpose: Purpose = "login") -> bool:
        """Whether the code was good; it is not from now on."""
        now = int(self._database.clock())
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE login_links SET used_at = ? WHERE digest = ? AND purpose = ? AND used_at IS NULL"
                " AND expires_at > ?",
                (now, self._database.vault.digest(code), purpose, now),
            )
            return cursor.rowcount == 1

    def open(
        self,
        actor: str,
        role: str,
        *,
        hours: float,
        user_agent: str = "",
        client_ip: str = "",
        user_id: str = "",
        method: str = "link",
    ) -> str:
        """A new session; its id belongs into the cookie and is not kept here."""
        session_id = self._database.entropy(32).hex()
        now = int(self._database.clock())
        values = (
            self._database.vault.digest(session_id),
            actor,
            role,
            now,
            now + int(hours * 3600),
            now,
            user_agent[:200],
            client_ip,
            user_id or None,
            method,
        )
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE expires_at <= ?", (now,))
            connection.execute(
                "INSERT INTO sessions (digest, actor, role, created_at, expires_at, last_seen_at,"
                " user_agent, client_ip, user_id, method) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        return session_id

    def find(self, session_id: str) -> Session | None:
        """The session of a cookie, if it is still good; remembers once a minute that it was seen."""
        now = int(self._database.clock())
        digest = self._database.vault.digest(session_id)
        row = self._database.row(_SELECT + "AND sessions.digest = ?", (now, digest))
        if row is None:
            return None
        if now - row["last_seen_at"] >= _SEEN_EVERY:
            with self._database.write() as connection:
                connection.execute("UPDATE sessions SET last_seen_at = ? WHERE digest = ?", (now, digest))
        return _session(row)

    def list(self, user_id: str | None = None) -> list[Session]:
        """Those of a user ("": of the local administrator), or all; the latest seen first."""
        now = int(self._database.clock())
        which = "" if user_id is None else "AND coalesce(sessions.user_id, '') = ? "
        parameters = (now,) if user_id is None else (now, user_id)
        rows = self._database.rows(_SELECT + which + "ORDER BY sessions.last_seen_at DESC, 1", parameters)
        return [_session(row) for row in rows]

    def close(self, session_id: str) -> None:
        """Logs out."""
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM sessions WHERE digest = ?", (self._database.vault.digest(session_id),)
            )

    def revoke(self, id_: str, user_id: str) -> Session:
        """Ends one session of a user ("": of the local administrator) by the id it is listed with."""
        found = next((session for session in self.list(user_id) if session.id == id_), None)
        if found is None:
            raise NotFound(f"there is no session {id_!r}")
        with self._database.write() as connection:
            connection.execute(f"DELETE FROM sessions WHERE {_ID} = ?", (id_,))  # noqa: S608
        return found

    def revoke_all(self, user_id: str, *, but: str = "") -> int:
        """Logs a user out everywhere, except in the session of the cookie `but`; returns how many ended."""
        kept = self._database.vault.digest(but)
        with self._database.write() as connection:
            cursor = connection.execute(
                "DELETE FROM sessions WHERE coalesce(user_id, '') = ? AND digest <> ?", (user_id, kept)
            )
            return cursor.rowcount


def _session(row: Row) -> Session:
    return Session(**(row | {"user_id": row["user_id"] or ""}))
