"""Settings of failure simulation in `control.db`: one document for a listener or a project."""

from dataclasses import dataclass
from typing import Literal

from llm_intercept.errors import NotFound
from llm_intercept.policy.failures import Failures
from llm_intercept.store.database import Database, Row

type Scope = Literal["listener", "project"]
type Key = tuple[str, str]
"""(scope, name) as it was created."""

# In the order in which they are asked: whoever has settings first decides.
SCOPES: tuple[Scope, ...] = ("listener", "project")
_NAME_OF: dict[Scope, str] = {
    "listener": "SELECT name FROM listeners WHERE name = ?",
    "project": "SELECT name FROM projects WHERE name = ?",
}


@dataclass(frozen=True, slots=True)
class FailureEntry:
    """What is simulated for one listener or project, and since when."""

    scope: Scope
    name: str
    failures: Failures
    changed_at: str


class FailureSettings:
    """Get, set, reset and list. What is not set simulates nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._parsed: dict[tuple[str, str, str], tuple[str, Failures]] = {}

    def set(self, scope: Scope, name: str, failures: Failures) -> FailureEntry:
        """From the next call on; the calls of a seeded run are counted from 1 again."""
        known = self._known(scope, name)
        document = failures.model_dump_json(exclude_defaults=True)
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO failures (scope, name, document, changed_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (scope, name) DO UPDATE SET document = excluded.document, "
                "changed_at = excluded.changed_at",
                (scope, known, document, self._database.now_text()),
            )
        return self.get(scope, known)

    def get(self, scope: Scope, name: str) -> FailureEntry:
        found = self.find(scope, name)
        if found is None:
            raise NotFound(
                f"no failures are set for the {scope} {name!r}; `llm-intercept failure set --{scope} {name}` "
                "with an option sets some"
            )
        return found

    def find(self, scope: Scope, name: str) -> FailureEntry | None:
        known = self._known(scope, name)
        row = self._database.row("SELECT * FROM failures WHERE scope = ? AND name = ?", (scope, known))
        return self._entry(row) if row else None

    def reset(self, scope: Scope, name: str) -> bool:
        """Removes the settings; False if there were none."""
        known = self._known(scope, name)
        with self._database.write() as connection:
            done = connection.execute("DELETE FROM failures WHERE scope = ? AND name = ?", (scope, known))
        return done.rowcount > 0

    def list(self) -> list[FailureEntry]:
        """All settings, listeners first, by name."""
        rows = self._database.rows("SELECT * FROM failures ORDER BY scope, name")
        return [self._entry(row) for row in rows]

    def active(self) -> dict[Key, Failures]:
        """What calls are judged by. An entry that nobody has set anew stays the same object."""
        return {(entry.scope, entry.name): entry.failures for entry in self.list()}

    def _known(self, scope: Scope, name: str) -> str:
        row = self._database.row(_NAME_OF[scope], (name,))
        if row is None:
            raise NotFound(f"there is no {scope} named {name!r}; `llm-intercept {scope} list` shows all")
        return str(row["name"])

    def _entry(self, row: Row) -> FailureEntry:
        key = (row["scope"], row["name"], row["changed_at"])
        document, failures = self._parsed.get(key, ("", None))
        if failures is None or document != row["document"]:
            failures = Failures.model_validate_json(row["document"])
            self._parsed = {k: v for k, v in self._parsed.items() if k[:2] != key[:2]}
            self._parsed[key] = (row["document"], failures)
        return FailureEntry(row["scope"], row["name"], failures, row["changed_at"])
