"""Aliases in `control.db`: names of models that lead to others; they go before those of `config.toml`."""

from collections.abc import Mapping
from dataclasses import dataclass

from llm_intercept.errors import ConfigError, NotFound
from llm_intercept.store.database import Database, Row
from llm_intercept.store.projects import Projects

LONGEST = 200


@dataclass(frozen=True, slots=True)
class Alias:
    """`name` may be a glob. `project` is "" for an alias that all projects have."""

    name: str
    target: str
    project: str
    created_at: str
    changed_at: str


class Aliases:
    """Set, list, get and remove. Whether they make a loop is not known here."""

    def __init__(self, database: Database, projects: Projects) -> None:
        self._database = database
        self._projects = projects

    def set(self, name: str, target: str, project: str = "") -> Alias:
        """From the next call on; setting it again changes where it leads."""
        _check(name)
        _check(target)
        owner, now = self._owner(project), self._database.now_text()
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO aliases (project_id, name, target, created_at, changed_at)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (project_id, name) DO UPDATE SET"
                " target = excluded.target, changed_at = excluded.changed_at",
                (owner, name, target, now, now),
            )
        return self.get(name, project)

    def list(self) -> list[Alias]:
        """All of them: the general ones, then by project, by name."""
        return [_alias(row) for row in self._database.rows(f"{_SELECT} ORDER BY project, aliases.name")]

    def get(self, name: str, project: str = "") -> Alias:
        owner = self._owner(project)
        row = self._database.row(
            f"{_SELECT} WHERE aliases.project_id = ? AND aliases.name = ?", (owner, name)
        )
        if row is None:
            whose = f" of the project {project}" if project else ""
            raise NotFound(f"there is no alias {name!r}{whose}; `llm-intercept alias list` shows all")
        return _alias(row)

    def remove(self, name: str, project: str = "") -> Alias:
        """Returns what it was."""
        found, owner = self.get(name, project), self._owner(project)
        with self._database.write() as connection:
            connection.execute("DELETE FROM aliases WHERE project_id = ? AND name = ?", (owner, name))
        return found

    def active(self) -> Mapping[str, Mapping[str, str]]:
        """name -> target, by project; "" has those of all."""
        found: dict[str, dict[str, str]] = {}
        for alias in self.list():
            found.setdefault(alias.project, {})[alias.name] = alias.target
        return found

    def _owner(self, project: str) -> str:
        return self._projects.get(project).id if project else ""


_SELECT = (
    "SELECT aliases.name, target, coalesce(projects.name, '') AS project, aliases.created_at, changed_at"
    " FROM aliases LEFT JOIN projects ON projects.id = aliases.project_id"
)


def _check(text: str) -> None:
    if not text or len(text) > LONGEST or any(c.isspace() or ord(c) < 32 for c in text):
        raise ConfigError(
            f"{text[:60]!r} cannot be a model's name; write 1 to {LONGEST} characters without blanks"
        )


def _alias(row: Row) -> Alias:
    return Alias(row["name"], row["target"], row["project"], row["created_at"], row["changed_at"])
