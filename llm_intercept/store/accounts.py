"""Passwords in `control.db`, the attempts at them, the first admin, and who people are elsewhere (OpenID).

Hashing is slow and done outside of any transaction (`llm_intercept/hashing.py`): an attempt is begun here,
judged there, and settled here. It counts as failed from its beginning, so that many at once are no way
round the pauses of `policy/passwords.py`.
"""

from dataclasses import dataclass, field

from llm_intercept.errors import Conflict, InterceptError
from llm_intercept.policy.passwords import FORGOTTEN_S, FailureScope, origin, pause
from llm_intercept.store.database import Database
from llm_intercept.store.users import Role, User, Users

type _Counter = tuple[FailureScope, str]


class TooManyAttempts(InterceptError):
    """There were too many failures; `seconds` says how long to wait."""

    def __init__(self, seconds: int) -> None:
        wait = f"{seconds} second{'s' * (seconds != 1)}" if seconds < 120 else f"{-(-seconds // 60)} minutes"
        super().__init__(f"there were too many failed attempts; try again in {wait}")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login to be judged. `user` is None for nobody, `hash` "" for somebody without a password."""

    user: User | None
    hash: str = field(repr=False)
    counters: tuple[_Counter, _Counter]


class Accounts:
    """Times come from the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = Users(database)

    def attempt(self, who: str, ip: str) -> Attempt:
        """Begins a login by name or email address; TooManyAttempts when it is not looked at."""
        found = self._users.find(who.strip()[:320]) if who.strip() else None
        user = found if found is not None and found.active else None
        digest = self._database.vault.digest(who.strip().lower()[:320]).hex()[:32]
        counters: tuple[_Counter, _Counter] = (
            ("user", user.id if user else digest),
            ("ip", origin(ip)),
        )
        now = int(self._database.clock())
        self._check(counters, now)  # before the write lock: a flood must not take it
        with self._database.write():
            self._check(counters, now)
            for counter in counters:
                self._count(counter, now)
        return Attempt(user, self._hash(user.id) if user else "", counters)

    def settle(self, attempt: Attempt, right: bool, rehashed: str = "") -> None:
        """A right password forgives what was typed wrong before it; an address only this attempt."""
        if not right or attempt.user is None:
            return
        by_user, by_ip = attempt.counters
        with self._database.write() as connection:
            connection.execute("DELETE FROM login_failures WHERE scope = ? AND name = ?", by_user)
            connection.execute(
                "UPDATE login_failures SET failures = max(failures - 1, 0), until = 0"
                " WHERE scope = ? AND name = ?",
                by_ip,
            )
            if rehashed:
                connection.execute(
                    "UPDATE passwords SET hash = ? WHERE user_id = ? AND hash = ?",
                    (rehashed, attempt.user.id, attempt.hash),
                )

    def set_password(self, user_id: str, hashed: str) -> None:
        """Ends all logins of the user, and the invites that are still open."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO passwords (user_id, hash, changed_at) VALUES (?, ?, ?) ON CONFLICT (user_id)"
                " DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
                (user_id, hashed, self._database.now_text()),
            )
            connection.execute("DELETE FROM sessions WHERE user_id = ?", (user_id,))
            connection.execute("DELETE FROM invites WHERE user_id = ?", (user_id,))
            connection.execute("DELETE FROM login_failures WHERE scope = 'user' AND name = ?", (user_id,))

    def has_password(self, user_id: str) -> bool:
        return bool(self._hash(user_id))

    def without_users(self) -> bool:
        """Whether nobody exists yet, so that the first admin can be made."""
        return self._database.row("SELECT 1 FROM users LIMIT 1") is None

    def create_first(self, name: str, email: str, hashed: str) -> User:
        """The first admin; Conflict if somebody was faster."""
        with self._database.write():
            if not self.without_users():
                raise Conflict("there are users already; ask an admin for an invite")
            user = self._users.create(name, email=email or None, role="admin")
            self.set_password(user.id, hashed)
        return user

    def identified(self, issuer: str, subject: str) -> User | None:
        """The user who has logged in as this subject before."""
        row = self._database.row(
            "SELECT user_id FROM identities WHERE issuer = ? AND subject = ?", (issuer, subject)
        )
        return self._users.find(row["user_id"]) if row else None

    def identify(self, issuer: str, subject: str, user_id: str) -> None:
        """Remembers who this subject is."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO identities (issuer, subject, user_id, created_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (issuer, subject, user_id, self._database.now_text()),
            )

    def create_identified(self, issuer: str, subject: str, name: str, email: str | None, role: Role) -> User:
        """A new user for somebody who was let in by an OpenID provider."""
        with self._database.write():
            user = self._users.create(name, email=email, role=role)
            self.identify(issuer, subject, user.id)
        return user

    def _hash(self, user_id: str) -> str:
        row = self._database.row("SELECT hash FROM passwords WHERE user_id = ?", (user_id,))
        return row["hash"] if row else ""

    def _check(self, counters: tuple[_Counter, ...], now: int) -> None:
        waits = [
            row["until"] - now
            for counter in counters
            for row in self._database.rows(
                "SELECT until FROM login_failures WHERE scope = ? AND name = ? AND until > ?", (*counter, now)
            )
        ]
        if waits:
            raise TooManyAttempts(max(waits))

    def _count(self, counter: _Counter, now: int) -> None:
        scope, name = counter
        old = now - FORGOTTEN_S
        with self._database.write() as connection:
            connection.execute("DELETE FROM login_failures WHERE last_at < ?", (old,))
            row = self._database.row(
                "SELECT failures FROM login_failures WHERE scope = ? AND name = ?", counter
            )
            failures = (row["failures"] if row else 0) + 1
            connection.execute(
                "INSERT OR REPLACE INTO login_failures (scope, name, failures, until, last_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (scope, name, failures, now + pause(scope, failures), now),
            )
