"""Projects in `control.db`: what calls and tokens belong to."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import orjson

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.policy.allow import Policy, stored
from llm_intercept.policy.cachecontrol import MODES, CacheMode
from llm_intercept.store.database import Database, Row, Rows, checked_name
from llm_intercept.store.users import Users

DEFAULT_PROJECT = "default"

type CaptureMode = Literal["none", "errors", "all"]
type Hangup = Literal["cut", "drain"]
_CAPTURE_MODES = ("none", "errors", "all")
_HANGUPS = ("cut", "drain")
_SELECT = (
    "SELECT projects.*, (SELECT count(*) FROM tokens WHERE project_id = projects.id"
    " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)) AS tokens,"
    " (SELECT name FROM users WHERE id = owner_id) AS owner,"
    " (SELECT json_group_array(name) FROM (SELECT users.name FROM members JOIN users"
    " ON users.id = members.user_id WHERE project_id = projects.id ORDER BY users.name)) AS members"
    " FROM projects "
)


@dataclass(frozen=True, slots=True)
class Project:
    """`tokens` counts those that still work; `capture` and `cache` None mean: as in settings.

    `owner` and `members` are names of users; `hangup` says what happens when a client goes away: `cut` ends
    the call at the provider, `drain` reads it to its end.
    """

    id: str
    name: str
    capture: str | None
    created_at: str
    active: bool
    tokens: int
    owner: str = ""
    members: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    hangup: str = "cut"
    cache: str | None = None


class Projects:
    """Create, list, show and change projects. `default` exists as soon as a database is opened."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = Users(database)
        if self._find(DEFAULT_PROJECT) is None:
            with database.write() as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO projects (id, name, created_at) VALUES (?, ?, ?)",
                    (database.new_id("prj"), DEFAULT_PROJECT, database.now_text()),
                )

    def create(
        self,
        name: str,
        *,
        capture: CaptureMode | None = None,
        owner: str = "",
        members: Sequence[str] = (),
        policy: Policy | None = None,
        hangup: Hangup = "cut",
        cache: CacheMode | None = None,
    ) -> Project:
        """`owner` and `members` are users by name, address or id."""
        checked_name("project", name)
        _check_capture(capture)
        _check_hangup(hangup)
        check_cache(cache)
        id_, owner_id = self._database.new_id("prj"), self._users.get(owner).id if owner else None
        values = (
            id_,
            name,
            capture,
            self._database.now_text(),
            owner_id,
            (policy or Policy()).text(),
            hangup,
            cache,
        )
        of_members = [(id_, self._users.get(member).id) for member in members]
        try:
            with self._database.write() as connection:
                connection.execute(
                    "INSERT INTO projects (id, name, capture, created_at, owner_id, policy, hangup, cache)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    values,
                )
                connection.executemany("INSERT OR IGNORE INTO members VALUES (?, ?)", of_members)
        except sqlite3.IntegrityError:
            raise Conflict(
                f"a project named {name!r} exists already; `llm-intercept project list` shows all"
            ) from None
        return self.get(name)

    def of_user(self, user_id: str) -> list[Project]:
        """Those that a user owns or is a member of."""
        rows = self._database.rows(
            "SELECT name FROM projects WHERE owner_id = ? UNION SELECT name FROM members"
            " JOIN projects ON projects.id = project_id WHERE user_id = ?",
            (user_id, user_id),
        )
        names = {row["name"] for row in rows}
        return [project for project in self.list() if project.name in names]

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

    def change(
        self,
        name: str,
        *,
        capture: CaptureMode | Literal["default"] | None = None,
        active: bool | None = None,
        owner: str | None = None,
        policy: Policy | None = None,
        hangup: Hangup | None = None,
        cache: CacheMode | Literal["default"] | None = None,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> Project:
        """Changes what is given; an empty owner is none. `add` and `remove` are members."""
        project = self.get(name)
        _check_capture(None if capture == "default" else capture)
        _check_hangup(hangup or "cut")
        check_cache(None if cache == "default" else cache)
        given = {
            "capture": capture and (None if capture == "default" else capture,),
            "active": active is not None and (int(bool(active)),),
            "owner_id": owner is not None and (self._users.get(owner).id if owner else None,),
            "policy": policy is not None and (policy.text(),),
            "hangup": hangup and (hangup,),
            "cache": cache and (None if cache == "default" else cache,),
        }
        changes = {column: value[0] for column, value in given.items() if value}
        added, removed = (
            [(project.id, self._users.get(member).id) for member in members] for members in (add, remove)
        )
        with self._database.write() as connection:
            for column, value in changes.items():  # the names are those above
                connection.execute(f"UPDATE projects SET {column} = ? WHERE id = ?", (value, project.id))  # noqa: S608
            connection.executemany("INSERT OR IGNORE INTO members VALUES (?, ?)", added)
            connection.executemany("DELETE FROM members WHERE project_id = ? AND user_id = ?", removed)
        return self.get(name)

    def set_capture(self, name: str, capture: CaptureMode | None) -> Project:
        """Which bodies are kept for its calls; None: as in settings."""
        return self.change(name, capture=capture or "default")

    def set_active(self, name: str, active: bool) -> Project:
        """Switches all its tokens off and on again without revoking them."""
        return self.change(name, active=active)

    def _find(self, name: str) -> Project | None:
        rows = self._select("WHERE name = ?", name)
        return _project(rows[0]) if rows else None

    def _select(self, tail: Literal["WHERE name = ?", "ORDER BY name"], *parameters: str) -> Rows:
        now = self._database.now_text()
        return self._database.rows(_SELECT + tail, (now, *parameters))


def _check_capture(capture: str | None) -> None:
    if capture is not None and capture not in _CAPTURE_MODES:
        raise ConfigError(f"{capture!r} is not a capture mode; use none, errors or all")


def check_cache(cache: str | None) -> None:
    if cache is not None and cache not in MODES:
        raise ConfigError(f"{cache!r} is not a way to cache answers; use off, opt-in or on")


def _check_hangup(hangup: str) -> None:
    if hangup not in _HANGUPS:
        raise ConfigError(f"{hangup!r} is nothing that can be done; use cut or drain")


def _project(row: Row) -> Project:
    return Project(
        id=row["id"],
        name=row["name"],
        capture=row["capture"],
        created_at=row["created_at"],
        active=bool(row["active"]),
        tokens=row["tokens"],
        owner=row["owner"] or "",
        members=tuple(orjson.loads(row["members"])),
        policy=stored(row["policy"]),
        hangup=row["hangup"],
        cache=row["cache"],
    )
