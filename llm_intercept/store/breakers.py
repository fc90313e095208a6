"""Resets of breakers and cooling keys in `control.db`: asked for by a person, carried out by the proxy."""

from collections.abc import Mapping

from llm_intercept.store.database import Database

type ResetKey = tuple[str, str, str]
"""(provider, credential, model); "" stands for all."""


class BreakerResets:
    """What was asked for, and when. The proxy remembers which ones it has carried out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, provider: str = "", credential: str = "", model: str = "") -> None:
        """Asking again counts anew."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO breaker_resets (provider, credential, model, asked_us) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (provider, credential, model) DO UPDATE SET"
                " asked_us = max(asked_us + 1, excluded.asked_us)",
                (provider, credential, model, round(self._database.clock() * 1e6)),
            )

    def asked(self) -> Mapping[ResetKey, int]:
        """When each was asked for last, in epoch microseconds."""
        rows = self._database.rows("SELECT provider, credential, model, asked_us FROM breaker_resets")
        return {(row["provider"], row["credential"], row["model"]): row["asked_us"] for row in rows}
