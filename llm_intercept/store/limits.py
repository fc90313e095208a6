"""Limits in `control.db`: who may take how much. What they have counted lies in `limits.db`."""

from dataclasses import dataclass

import orjson
from pydantic import ValidationError

from llm_intercept.errors import ConfigError, NotFound
from llm_intercept.policy.limit_texts import sentence
from llm_intercept.policy.limits import Limit, StoredLimit
from llm_intercept.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class LimitRecord:
    """A limit as it may be shown."""

    id: str
    limit: Limit
    enabled: bool
    created_at: str
    changed_at: str

    @property
    def text(self) -> str:
        return sentence(self.limit)


class Limits:
    """Set, list, remove, disable and enable. A limit is known by its id, or by what makes it this one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, limit: Limit) -> LimitRecord:
        """Changes the limit of the same scope, name, measure and period, or makes it; it keeps its count."""
        now = self._database.now_text()
        document = orjson.dumps(limit.model_dump()).decode()
        with self._database.write() as connection:
            same = [record.id for record in self.list() if record.limit.identity == limit.identity]
            id_ = same[0] if same else self._database.new_id("lim")
            connection.execute(
                "INSERT INTO limits (id, document, created_at, changed_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET document = excluded.document,"
                " changed_at = excluded.changed_at, enabled = 1",
                (id_, document, now, now),
            )
        return self.get(id_)

    def list(self) -> list[LimitRecord]:
        """All of them, oldest first."""
        rows = self._database.rows("SELECT * FROM limits ORDER BY created_at, rowid")
        return [_record(row) for row in rows]

    def get(self, id_: str) -> LimitRecord:
        row = self._database.row("SELECT * FROM limits WHERE id = ?", (id_,))
        if row is None:
            raise NotFound(f"there is no limit {id_!r}; `llm-intercept limit list` shows all")
        return _record(row)

    def remove(self, id_: str) -> LimitRecord:
        """Deletes it for good, with what it has counted; returns what it was."""
        record = self.get(id_)
        with self._database.write() as connection:
            connection.execute("DELETE FROM limits WHERE id = ?", (id_,))
        return record

    def enable(self, id_: str, enabled: bool = True) -> LimitRecord:
        """A limit that is off counts nothing either."""
        record = self.get(id_)
        with self._database.write() as connection:
            connection.execute(
                "UPDATE limits SET enabled = ?, changed_at = ? WHERE id = ?",
                (int(enabled), self._database.now_text(), record.id),
            )
        return self.get(id_)

    def active(self) -> tuple[StoredLimit, ...]:
        """Those in force."""
        return tuple(StoredLimit(record.id, record.limit) for record in self.list() if record.enabled)


def checked(values: dict[str, object]) -> Limit:
    """A limit from somebody's words, or a sentence about what is wrong with them."""
    try:
        return Limit.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: {what}" if where else what) from None


def _record(row: Row) -> LimitRecord:
    return LimitRecord(
        id=row["id"],
        limit=Limit.model_validate_json(row["document"]),
        enabled=bool(row["enabled"]),
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )
