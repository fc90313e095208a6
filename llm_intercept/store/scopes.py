"""Whose calls somebody may see in reports, from `control.db`: the one place where people become a `Scope`.

Admins see everything; members what their projects (owned or joined) and their own tokens did; viewers
only what their own tokens did.
"""

from llm_intercept.store.database import Database
from llm_intercept.store.report_terms import EVERYTHING, Scope

_TOKENS = (
    "SELECT projects.name AS project, tokens.name AS token FROM tokens"
    " JOIN projects ON projects.id = tokens.project_id WHERE tokens.user_id = ?"
)
_PROJECTS = (
    "SELECT name FROM projects WHERE owner_id = ? UNION SELECT name FROM members"
    " JOIN projects ON projects.id = members.project_id WHERE members.user_id = ?"
)


def scope_of(database: Database, role: str, user_id: str) -> Scope:
    """As it is at this moment."""
    if role == "admin":
        return EVERYTHING
    if not user_id:
        return Scope()
    tokens = tokens_of(database, user_id)
    if role != "member":
        return Scope(tokens=tokens)
    found = database.rows(_PROJECTS, (user_id, user_id))
    return Scope(projects=frozenset(row["name"] for row in found), tokens=tokens)


def tokens_of(database: Database, user_id: str) -> frozenset[tuple[str, str]]:
    """(project, name) of the tokens that are a user's own."""
    return frozenset((row["project"], row["token"]) for row in database.rows(_TOKENS, (user_id,)))
