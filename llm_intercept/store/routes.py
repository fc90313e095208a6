"""Routes in `control.db`: where calls may go. The first by position that is for a call decides."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from llm_intercept.errors import ConfigError, NotFound
from llm_intercept.policy.routing import Route, read_route
from llm_intercept.store.database import Database, Row, checked_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredRoute:
    """`route` is None where `problem` says why the document cannot be read."""

    id: str
    name: str
    position: int  # from 1
    enabled: bool
    route: Route | None
    created_at: str
    changed_at: str
    problem: str = ""


class Routes:
    """Set, list, show, move, switch and remove routes. Which providers exist is not known here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reported: set[tuple[str, str]] = set()

    def set(self, route: Route, position: int | None = None) -> StoredRoute:
        """A new one goes last, one that exists keeps its place; `position` (from 1) says otherwise."""
        checked_name("route", route.name)
        document = route.model_dump_json(exclude_defaults=True)
        now = self._database.now_text()
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO routes (id, name, position, document, created_at, changed_at)"
                " VALUES (?, ?, (SELECT count(*) + 1 FROM routes), ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET"
                " name = excluded.name, document = excluded.document, changed_at = excluded.changed_at",
                (self._database.new_id("rte"), route.name, document, now, now),
            )
            if position is not None:
                self._place(route.name, position)
        return self.get(route.name)

    def list(self) -> list[StoredRoute]:
        """All routes, in the order in which they are asked."""
        return [_stored(row) for row in self._database.rows("SELECT * FROM routes ORDER BY position, rowid")]

    def get(self, name: str) -> StoredRoute:
        """By its name or id."""
        row = self._database.row(
            "SELECT * FROM routes WHERE name = ? OR id = ? ORDER BY name = ? DESC", (name,) * 3
        )
        if row is None:
            raise NotFound(f"there is no route {name!r}{self._nearest(name)}")
        return _stored(row)

    def remove(self, name: str) -> StoredRoute:
        """Deletes it for good; returns what it was."""
        stored = self.get(name)
        with self._database.write() as connection:
            connection.execute("DELETE FROM routes WHERE id = ?", (stored.id,))
            self._number([route.id for route in self.list()])
        return stored

    def enable(self, name: str) -> StoredRoute:
        return self._enable(name, 1)

    def disable(self, name: str) -> StoredRoute:
        return self._enable(name, 0)

    def move(self, name: str, position: int) -> StoredRoute:
        """To a position from 1; beyond the last: to the end."""
        self.get(name)
        with self._database.write():
            self._place(name, position)
        return self.get(name)

    def active(self) -> tuple[Route, ...]:
        """The enabled ones in order. One that a newer version wrote is left out, and reported once."""
        found = [stored for stored in self.list() if stored.enabled]
        for stored in found:
            mark = (stored.id, stored.changed_at)
            if stored.problem and mark not in self._reported:
                self._reported.add(mark)
                logger.warning("the route %s is left out: %s", stored.name, stored.problem)
        return tuple(stored.route for stored in found if stored.route is not None)

    def _enable(self, name: str, enabled: Literal[0, 1]) -> StoredRoute:
        stored = self.get(name)
        with self._database.write() as connection:
            connection.execute(
                "UPDATE routes SET enabled = ?, changed_at = ? WHERE id = ?",
                (enabled, self._database.now_text(), stored.id),
            )
        return self.get(name)

    def _place(self, name: str, position: int) -> None:
        """Inside a transaction."""
        if position < 1:
            raise ConfigError("positions begin with 1")
        moved = self.get(name)
        others = [route.id for route in self.list() if route.id != moved.id]
        self._number([*others[: position - 1], moved.id, *others[position - 1 :]])

    def _number(self, ids: Sequence[str]) -> None:
        """Inside a transaction."""
        self._database.connection.executemany(
            "UPDATE routes SET position = ? WHERE id = ?", list(enumerate(ids, 1))
        )

    def _nearest(self, name: str) -> str:
        near = get_close_matches(name, [route.name for route in self.list()], 1)
        return f"; did you mean {near[0]!r}?" if near else "; `llm-intercept route list` shows all"


def _stored(row: Row) -> StoredRoute:
    route, problem = _read(row["document"])
    return StoredRoute(
        row["id"],
        row["name"],
        row["position"],
        bool(row["enabled"]),
        route,
        row["created_at"],
        row["changed_at"],
        problem,
    )


def _read(document: str) -> tuple[Route | None, str]:
    try:
        return read_route(json.loads(document)), ""
    except (ValueError, ConfigError) as error:
        return None, f"it cannot be read here ({error}); set it anew, or update llm-intercept"
