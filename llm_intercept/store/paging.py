"""Lists of `control.db` in pages: SQL with a LIMIT that begins behind the last row of the page before.

What somebody may see is part of the query, so that a page is full whoever asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_intercept.policy.tokens import Wellformed, parse
from llm_intercept.store.database import Database
from llm_intercept.store.issued import SELECT
from llm_intercept.store.projects import Project, Projects
from llm_intercept.store.tokens import Token, token_of
from llm_intercept.store.users import User, Users

_HINTED = 8  # characters of a token that its hint begins with
_STATE = (
    "CASE WHEN tokens.revoked_at IS NOT NULL THEN 'revoked'"
    " WHEN tokens.expires_at <= ? THEN 'expired'"
    " WHEN tokens.suspended_at IS NOT NULL THEN 'suspended'"
    " WHEN projects.active AND coalesce(users.active, 1) THEN 'active' ELSE 'inactive' END"
)
_IDS = (
    "SELECT tokens.id FROM tokens JOIN projects ON projects.id = tokens.project_id"
    " LEFT JOIN users ON users.id = tokens.user_id WHERE "
)


@dataclass(frozen=True, slots=True)
class Seen:
    """All of it, or what belongs to a user and what belongs to some projects (ids)."""

    everything: bool
    user_id: str = ""
    projects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TokenQuery:
    """ "" is any. `prefix` is how a token or its name begins; a whole token finds itself alone."""

    project: str = ""
    user: str = ""
    state: str = ""
    prefix: str = ""


class _Clauses:
    """Conditions, and their parameters in the same order."""

    def __init__(self) -> None:
        self._texts: list[str] = ["1"]
        self.values: list[object] = []

    def add(self, text: str, *values: object) -> None:
        self._texts.append(text)
        self.values += values

    def among(self, column: str, values: Sequence[str]) -> str:
        """A condition of its own; the values are to be added with it."""
        return f"{column} IN ({', '.join('?' * len(values))})"

    @property
    def text(self) -> str:
        return " AND ".join(self._texts)


class Pages:
    """`after` is where the page before ended; a page has `limit` rows at most."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = Users(database)
        self._projects = Projects(database)

    def tokens(self, seen: Seen, asked: TokenQuery, after: tuple[str, str] | None, limit: int) -> list[Token]:
        """Oldest first; a place is (created_at, id)."""
        clauses, now = _Clauses(), self._database.now_text()
        _seen_tokens(clauses, seen)
        if asked.project:
            clauses.add("projects.name = ?", asked.project)
        if asked.user:
            clauses.add("(tokens.user = ? OR tokens.user_id = ?)", asked.user, asked.user)
        if asked.state:
            clauses.add(f"{_STATE} = ?", now, asked.state)
        self._begins(clauses, asked.prefix)
        if after is not None:
            clauses.add("(tokens.created_at, tokens.id) > (?, ?)", *after)
        order = " ORDER BY tokens.created_at, tokens.id"
        rows = self._database.rows(
            f"{SELECT} WHERE tokens.id IN ({_IDS}{clauses.text}{order} LIMIT ?){order}",
            (now, *clauses.values, limit),
        )
        return [token_of(row, now) for row in rows]

    def users(self, seen: Seen, search: str, role: str, after: str | None, limit: int) -> list[User]:
        """By name. `search` is a part of a name or of an address."""
        clauses = _Clauses()
        if not seen.everything:
            clauses.add("id = ?", seen.user_id)
        if search:
            clauses.add("(instr(lower(name), lower(?)) OR instr(lower(email), lower(?)))", search, search)
        if role:
            clauses.add("role = ?", role)
        if after is not None:
            clauses.add("name > ?", after)
        sql = f"SELECT id FROM users WHERE {clauses.text} ORDER BY name LIMIT ?"  # noqa: S608
        return [self._users.get(row["id"]) for row in self._database.rows(sql, (*clauses.values, limit))]

    def projects(
        self, seen: Seen, search: str, active: bool | None, after: str | None, limit: int
    ) -> list[Project]:
        """By name. `search` is a part of it."""
        clauses = _Clauses()
        if not seen.everything:
            mine = sorted(seen.projects)
            clauses.add(clauses.among("id", mine), *mine)
        if search:
            clauses.add("instr(lower(name), lower(?))", search)
        if active is not None:
            clauses.add("active = ?", int(active))
        if after is not None:
            clauses.add("name > ?", after)
        sql = f"SELECT name FROM projects WHERE {clauses.text} ORDER BY name LIMIT ?"  # noqa: S608
        found = self._database.rows(sql, (*clauses.values, limit))
        return [self._projects.get(row["name"]) for row in found]

    def _begins(self, clauses: _Clauses, prefix: str) -> None:
        if not prefix:
            return
        if isinstance(parse(prefix), Wellformed):
            clauses.add("tokens.digest = ?", self._database.vault.digest(prefix))
            return
        hinted = prefix[:_HINTED]
        clauses.add(
            "(substr(tokens.name, 1, ?) = ? OR substr(tokens.hint, 1, ?) = ?)",
            len(prefix),
            prefix,
            len(hinted),
            hinted,
        )


def _seen_tokens(clauses: _Clauses, seen: Seen) -> None:
    if seen.everything:
        return
    mine = sorted(seen.projects)
    condition = clauses.among("tokens.project_id", mine)
    clauses.add(f"(tokens.user_id = ? OR {condition})", seen.user_id or "-", *mine)
