"""Keys of providers in `control.db`: encrypted, written only, shown as a hint."""

import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.policy.targets import checked_pool
from llm_intercept.policy.tokens import key_hint, key_problem
from llm_intercept.providers import hosts
from llm_intercept.store.database import Database, checked_name

HEAVIEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Credential:
    """What may be shown of a stored key."""

    id: str
    provider: str
    name: str
    hint: str
    base_url: str | None
    created_at: str
    enabled: bool
    weight: int = 1  # its share among the keys of its pool
    pool: str = ""  # "": in every pool


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """A key ready for use."""

    provider: str
    name: str
    secret: SecretStr
    base_url: str | None
    weight: int = 1
    pool: str = ""


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """A key as it lies in the database."""

    provider: str
    name: str
    blob: bytes
    base_url: str | None
    weight: int = 1
    pool: str = ""


class Credentials:
    """Add, list, replace, remove, disable and enable keys. Which providers exist is not known here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        provider: str,
        secret: SecretStr,
        *,
        name: str = "default",
        base_url: str | None = None,
        weight: int = 1,
        pool: str = "",
    ) -> Credential:
        checked_name("key", name)
        key = _checked_key(secret, base_url)
        values = {
            "id": self._database.new_id("cred"),
            "provider": provider,
            "name": name,
            "secret": self._database.vault.encrypt(SecretStr(key)),
            "hint": key_hint(key),
            "base_url": _checked_url(base_url, provider),
            "created_at": self._database.now_text(),
            "weight": _checked_weight(weight),
            "pool": _checked_pool(pool),
        }
        self._insert(values)
        return self.get(provider, name)

    def list(self, provider: str | None = None) -> list[Credential]:
        """All keys, or those of one provider, in the order in which they are used."""
        rows = self._database.rows("SELECT * FROM credentials ORDER BY provider, created_at, rowid")
        return [_credential(row) for row in rows if provider in (None, row["provider"])]

    def get(self, provider: str, name: str) -> Credential:
        row = self._database.row(
            "SELECT * FROM credentials WHERE provider = ? AND name = ?", (provider, name)
        )
        if row is None:
            raise NotFound(f"there is no key {name!r} for {provider}; `llm-intercept key list` shows all")
        return _credential(row)

    def opened(self, provider: str, name: str) -> StoredCredential:
        """The key itself, whether it is enabled or not: to try it."""
        sql = "SELECT secret FROM credentials WHERE provider = ? AND name = ?"
        found, row = self.get(provider, name), self._database.row(sql, (provider, name))
        secret = self._database.vault.decrypt(row["secret"]) if row else SecretStr("")
        return StoredCredential(provider, name, secret, found.base_url, found.weight, found.pool)

    def remove(self, provider: str, name: str) -> Credential:
        """Deletes it for good; returns what it was."""
        credential = self.get(provider, name)
        with self._database.write() as connection:
            connection.execute("DELETE FROM credentials WHERE id = ?", (credential.id,))
        return credential

    def disable(self, provider: str, name: str) -> Credential:
        return self._enable(provider, name, 0)

    def enable(self, provider: str, name: str) -> Credential:
        return self._enable(provider, name, 1)

    def set_weight(self, provider: str, name: str, weight: int) -> Credential:
        """How often it is used beside the others of its pool."""
        return self._change(
            "UPDATE credentials SET weight = ? WHERE id = ?", _checked_weight(weight), provider, name
        )

    def set_pool(self, provider: str, name: str, pool: str) -> Credential:
        """ "": it is in every pool."""
        return self._change(
            "UPDATE credentials SET pool = ? WHERE id = ?", _checked_pool(pool), provider, name
        )

    def replace(self, provider: str, name: str, secret: SecretStr, base_url: str | None = None) -> Credential:
        """Another key in the place of this one; "" takes its base URL back, None leaves it."""
        credential = self.get(provider, name)
        url = credential.base_url if base_url is None else base_url or None
        key = _checked_key(secret, url)
        sealed = self._database.vault.encrypt(SecretStr(key))
        values = (sealed, key_hint(key), _checked_url(url, provider), credential.id)
        with self._database.write() as connection:
            connection.execute(
                "UPDATE credentials SET secret = ?, hint = ?, base_url = ? WHERE id = ?", values
            )
        return self.get(provider, name)

    def sealed(self) -> dict[str, tuple[SealedCredential, ...]]:
        """The enabled keys of each provider that has one, in the order in which they are used."""
        rows = self._database.rows(
            "SELECT provider, name, secret, base_url, weight, pool FROM credentials WHERE enabled = 1"
            " ORDER BY created_at, rowid"
        )
        found: dict[str, tuple[SealedCredential, ...]] = {}
        for row in rows:
            key = SealedCredential(*row.values())
            found[key.provider] = (*found.get(key.provider, ()), key)
        return found

    def _enable(self, provider: str, name: str, enabled: Literal[0, 1]) -> Credential:
        return self._change("UPDATE credentials SET enabled = ? WHERE id = ?", enabled, provider, name)

    def _change(self, statement: str, value: int | str, provider: str, name: str) -> Credential:
        credential = self.get(provider, name)
        with self._database.write() as connection:
            connection.execute(statement, (value, credential.id))
        return self.get(provider, name)

    def _insert(self, values: dict[str, Any]) -> None:
        try:
            with self._database.write() as connection:
                connection.execute(
                    "INSERT INTO credentials"
                    " (id, provider, name, secret, hint, base_url, created_at, weight, pool) VALUES"
                    " (:id, :provider, :name, :secret, :hint, :base_url, :created_at, :weight, :pool)",
                    values,
                )
        except sqlite3.IntegrityError:
            provider, name = values["provider"], values["name"]
            raise Conflict(
                f"{provider} has a key named {name!r} already; choose another --name, "
                f"or run `llm-intercept key remove {provider} --name {name}` first"
            ) from None


def _credential(row: dict[str, Any]) -> Credential:
    return Credential(
        id=row["id"],
        provider=row["provider"],
        name=row["name"],
        hint=row["hint"],
        base_url=row["base_url"],
        created_at=row["created_at"],
        enabled=bool(row["enabled"]),
        weight=row["weight"],
        pool=row["pool"],
    )


def _checked_key(secret: SecretStr, base_url: str | None) -> str:
    key = secret.get_secret_value().strip()
    if not key and base_url is None:
        raise ConfigError("the key is empty; pass it with --key-env NAME or --key-stdin")
    if problem := key_problem(key):
        raise ConfigError(problem)
    return key


def _checked_weight(weight: int) -> int:
    if not 1 <= weight <= HEAVIEST:
        raise ConfigError(
            f"a key's weight is a number from 1 to {HEAVIEST:,}; `key disable` takes it out of use"
        )
    return weight


def _checked_pool(pool: str) -> str:
    try:
        return checked_pool(pool) if pool else ""
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _checked_url(url: str | None, provider: str) -> str | None:
    """A query or a password in it would be shown wherever the URL is; ConfigError says so."""
    if url is None:
        return None
    url = url.strip()
    hosts.split(url, provider)
    return url.rstrip("/")
