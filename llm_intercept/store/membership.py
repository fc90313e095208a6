"""Whose projects are whose, in `control.db`: asked before every change by somebody who is no admin."""

from llm_intercept.store.database import Database


def projects_of(database: Database, user_id: str) -> frozenset[str]:
    """The ids of the projects that a user owns or is a member of."""
    if not user_id:
        return frozenset()
    found = database.rows(
        "SELECT id FROM projects WHERE owner_id = ?"
        " UNION SELECT project_id AS id FROM members WHERE user_id = ?",
        (user_id, user_id),
    )
    return frozenset(row["id"] for row in found)
