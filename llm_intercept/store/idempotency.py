"""Answers of the management API that are given again when the same request comes again, in `control.db`.

The body of an answer may hold the text of a new token: it is encrypted, and forgotten after a day.
"""

from dataclasses import dataclass, field

from pydantic import SecretStr

from llm_intercept.store.database import Database

KEPT_S = 86_400


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer. `request` is a digest of the body that it was given for."""

    request: bytes
    status: int
    body: str = field(repr=False)


class Idempotency:
    """Find and keep. `place` tells requests apart: who, which key, which method and path."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, place: str) -> Kept | None:
        row = self._database.row(
            "SELECT request_digest, status, body FROM idempotency WHERE digest = ? AND created_at > ?",
            (self._database.vault.digest(place), int(self._database.clock()) - KEPT_S),
        )
        if row is None:
            return None
        text = self._database.vault.decrypt(row["body"]).get_secret_value()
        return Kept(row["request_digest"], row["status"], text)

    def keep(self, place: str, request: bytes, status: int, body: str) -> None:
        """Inside the transaction of what was done, so that both are there or neither."""
        now, vault = int(self._database.clock()), self._database.vault
        with self._database.write() as connection:
            connection.execute("DELETE FROM idempotency WHERE created_at <= ?", (now - KEPT_S,))
            connection.execute(
                "INSERT OR REPLACE INTO idempotency (digest, request_digest, status, body, created_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (vault.digest(place), request, status, vault.encrypt(SecretStr(body)), now),
            )
