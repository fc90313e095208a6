"""Invites in `control.db`: one-time links by which a user sets a first (or a new) password."""

from llm_intercept.errors import Conflict, NotFound
from llm_intercept.store.database import Database
from llm_intercept.store.users import User, Users

DEFAULT_SECONDS = 7 * 86_400


class Invites:
    """Only digests of the codes are kept. Times come from the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = Users(database)

    def create(self, reference: str, seconds: int = DEFAULT_SECONDS) -> str:
        """A code for a user; those made before stop working."""
        user = self._users.get(reference)
        if not user.active:
            raise Conflict(f"the user {user.name} is inactive; activate the user before inviting")
        code, now = self._database.entropy(24).hex(), int(self._database.clock())
        with self._database.write() as connection:
            connection.execute("DELETE FROM invites WHERE user_id = ? OR expires_at <= ?", (user.id, now))
            connection.execute(
                "INSERT INTO invites (digest, user_id, created_at, expires_at) VALUES (?, ?, ?, ?)",
                (self._database.vault.digest(code), user.id, now, now + seconds),
            )
        return code

    def find(self, code: str) -> User | None:
        """Whom the code is for, without using it up."""
        row = self._database.row(
            "SELECT user_id FROM invites WHERE digest = ? AND expires_at > ?",
            (self._database.vault.digest(code), int(self._database.clock())),
        )
        user = self._users.find(row["user_id"]) if row else None
        return user if user is not None and user.active else None

    def redeem(self, code: str) -> User | None:
        """Whom the code was for; it is good for nothing from now on."""
        with self._database.write() as connection:
            user = self.find(code)
            connection.execute("DELETE FROM invites WHERE digest = ?", (self._database.vault.digest(code),))
        return user

    def withdraw(self, reference: str) -> User:
        """The open invite of a user stops working; NotFound if there is none."""
        user = self._users.get(reference)
        if not self.open_for(user.id):
            raise NotFound(f"no invite waits for {user.name}; nothing was withdrawn")
        with self._database.write() as connection:
            connection.execute("DELETE FROM invites WHERE user_id = ?", (user.id,))
        return user

    def open_for(self, user_id: str) -> bool:
        """Whether an invite of the user waits to be used."""
        row = self._database.row(
            "SELECT 1 FROM invites WHERE user_id = ? AND expires_at > ?",
            (user_id, int(self._database.clock())),
        )
        return row is not None
