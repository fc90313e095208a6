"""Projects in `control.db`: what calls and tokens belong to."""

import sqlite3
from dataclasses import dataclass
from typing import Literal

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.store.database import Database, Row, Rows, checked_name

DEFAULT_PROJECT = "default"

type CaptureMode = Literal["none", "errors", "all"]
_CAPTURE_MODES = ("none", "errors", "all")
_SELECT = (
    "SELECT projects.*, (SELECT count(*) FROM tokens WHERE project_id = projects.id"
    " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)) AS tokens FROM projects "
)


@dataclass(frozen=True, slots=True)
class Project:
    """`tokens` counts those that still work; `capture` None means: as in settings."""

    id: str
    name: str
    capture: str | None
    created_at: str
    active: bool
    tokens: int


class Projects:
    """Create, list, show and change projects. `default` exists as soon as a database is opened."""

    def __init__(self, database: Database) -> None:
        self._database = database
        if self._find(DEFAULT_PROJECT) is None:
            with database.write() as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO projects (id, name, created_at) VALUES (?, ?, ?)",
                    (database.new_id("prj"), DEFAULT_PROJECT, database.now_text()),
                )

    def create(self, name: str, *, capture: CaptureMode | None = None) -> Project:
        checked_name("project", name)
        _check_capture(capture)
        try:
            with self._database.write() as connection:
                connection.execute(
                    "INSERT INTO projects (id, name, capture, created_at) VALUES (?, ?, ?, ?)",
                    (self._database.new_id("prj"), name, capture, self._database.now_text()),
                )
        except sqlite3.IntegrityError:
            raise Conflict(
                f"a project named {name!r} exists already; `llm-intercept project list` shows all"
            ) from None
        return self.get(name)

    def list(self) -> list[Project]:
        """All projects, by name."""
        return [_project(row) for row in self._select("ORDER BY name")]

    def get(self, name: str) -> Project:
        found = self._find(name)
        if found is None:
            raise NotFound(
                f"there is no project named {name!r}; `llm-intercept project create {name}` makes one"
            )
        return found

    def set_capture(self, name: str, capture: CaptureMode | None) -> Project:
        """Which bodies are kept for its calls; None: as in settings."""
        _check_capture(capture)
        project = self.get(name)
        with self._database.write() as connection:
            connection.execute("UPDATE projects SET capture = ? WHERE id = ?", (capture, project.id))
        return self.get(name)

    def set_active(self, name: str, active: bool) -> Project:
        """Switches all its tokens off and on again without revoking them."""
        project = self.get(name)
        with self._database.write() as connection:
            connection.execute("UPDATE projects SET active = ? WHERE id = ?", (int(active), project.id))
        return self.get(name)

    def _find(self, name: str) -> Project | None:
        rows = self._select("WHERE name = ?", name)
        return _project(rows[0]) if rows else None

    def _select(self, tail: Literal["WHERE name = ?", "ORDER BY name"], *parameters: str) -> Rows:
        now = self._database.now_text()
        return self._database.rows(_SELECT + tail, (now, *parameters))


def _check_capture(capture: str | None) -> None:
    if capture is not None and capture not in _CAPTURE_MODES:
        raise ConfigError(f"{capture!r} is not a capture mode; use none, errors or all")


def _project(row: Row) -> Project:
    return Project(
        row["id"], row["name"], row["capture"], row["created_at"], bool(row["active"]), row["tokens"]
    )
