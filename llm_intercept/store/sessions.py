"""Logins of people in `control.db`: one-time links, and the sessions behind the dashboard's cookie.

Only digests of codes and cookies are kept.
"""

from dataclasses import dataclass

from llm_intercept.store.database import Database

LINK_SECONDS = 600
_SEEN_EVERY = 60  # a write for each page view would make every proxy reload its snapshot


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is logged in; times are Unix seconds."""

    actor: str
    role: str
    created_at: int
    expires_at: int
    last_seen_at: int


class Sessions:
    """Times come from the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_link(self) -> str:
        """A code that opens one session within ten minutes."""
        code = self._database.entropy(24).hex()
        now = int(self._database.clock())
        with self._database.write() as connection:
            connection.execute("DELETE FROM login_links WHERE expires_at <= ?", (now,))
            connection.execute(
                "INSERT INTO login_links (digest, created_at, expires_at) VALUES (?, ?, ?)",
                (self._database.vault.digest(code), now, now + LINK_SECONDS),
            )
        return code

    def redeem_link(self, code: str) -> bool:
        """Whether the code was good; it is not from now on."""
        now = int(self._database.clock())
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE login_links SET used_at = ? WHERE digest = ? AND used_at IS NULL AND expires_at > ?",
                (now, self._database.vault.digest(code), now),
            )
            return cursor.rowcount == 1

    def open(self, actor: str, role: str, *, hours: float, user_agent: str = "", client_ip: str = "") -> str:
        """A new session; its id belongs into the cookie and is not kept here."""
        session_id = self._database.entropy(32).hex()
        now = int(self._database.clock())
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE expires_at <= ?", (now,))
            connection.execute(
                "INSERT INTO sessions (digest, actor, role, created_at, expires_at, last_seen_at,"
                " user_agent, client_ip) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self._database.vault.digest(session_id),
                    actor,
                    role,
                    now,
                    now + int(hours * 3600),
                    now,
                    user_agent[:200],
                    client_ip,
                ),
            )
        return session_id

    def find(self, session_id: str) -> Session | None:
        """The session of a cookie, if it is still good; remembers once a minute that it was seen."""
        now = int(self._database.clock())
        digest = self._database.vault.digest(session_id)
        row = self._database.row(
            "SELECT actor, role, created_at, expires_at, last_seen_at FROM sessions"
            " WHERE digest = ? AND expires_at > ?",
            (digest, now),
        )
        if row is None:
            return None
        if now - row["last_seen_at"] >= _SEEN_EVERY:
            with self._database.write() as connection:
                connection.execute("UPDATE sessions SET last_seen_at = ? WHERE digest = ?", (now, digest))
        return Session(**row)

    def close(self, session_id: str) -> None:
        """Logs out."""
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM sessions WHERE digest = ?", (self._database.vault.digest(session_id),)
            )

    def close_all(self, actor: str) -> int:
        """Logs a person out everywhere; returns how many sessions that were."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM sessions WHERE actor = ?", (actor,)).rowcount
