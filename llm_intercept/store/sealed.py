"""What lies encrypted in `control.db`: found by its looks, so that no table is forgotten."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llm_intercept.errors import ConfigError
from llm_intercept.store.database import Database

# Every Fernet token begins with the version 0x80 and the high bytes of its time.
_BEGIN = "gAAAA"
_COLUMNS = (
    "SELECT tables.name AS name, columns.name AS column_name FROM sqlite_master AS tables,"
    " pragma_table_info(tables.name) AS columns"
    " WHERE tables.type = 'table' AND columns.type = 'BLOB' ORDER BY tables.name, columns.cid"
)


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One encrypted value and where it lies."""

    table: str
    column: str
    blob: bytes


class Sealed:
    """Counts and renews what is encrypted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def values(self) -> Iterator[SealedValue]:
        for found in self._database.rows(_COLUMNS):
            table, column = found["name"], found["column_name"]
            rows = self._database.rows(
                f'SELECT "{column}" AS blob FROM "{table}" WHERE substr("{column}", 1, 5) = CAST(? AS BLOB)',  # noqa: S608 - names of our own schema
                (_BEGIN,),
            )
            yield from (SealedValue(table, column, row["blob"]) for row in rows)

    def usage(self) -> Counter[str]:
        """How many values each key has encrypted, by the key's id; "" for those that no key opens."""
        vault = self._database.vault
        return Counter(vault.opener(value.blob) or "" for value in self.values())

    def renew(self) -> int:
        """Encrypts all of it with the key in front, or nothing; returns how many values changed."""
        vault = self._database.vault
        changed = 0
        with self._database.write() as connection:
            front = vault.ring.keys[0].id
            for value in list(self.values()):
                key = vault.opener(value.blob)
                if key is None:
                    raise ConfigError(
                        f"a value in {value.table}.{value.column} cannot be decrypted with any key; "
                        "nothing was changed. Restore the key it was written with, or remove "
                        "what it belongs to"
                    )
                if key != front:
                    connection.execute(
                        f'UPDATE "{value.table}" SET "{value.column}" = ? WHERE "{value.column}" = ?',  # noqa: S608
                        (vault.renewed(value.blob), value.blob),
                    )
                    changed += 1
        return changed

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While nobody else can write."""
        with self._database.write():
            yield
