"""Tokens as the proxy judges them: every secret that works, with the policies that hold for it."""

from llm_intercept.exchange import Principal
from llm_intercept.policy.allow import allowance
from llm_intercept.policy.tokens import IssuedToken
from llm_intercept.store.database import Database, Row, as_seconds

# Wants the present time first, for `overlap_until`.
SELECT = (
    "SELECT tokens.*, projects.name AS project, projects.active, projects.capture, projects.hangup,"
    " projects.policy AS project_policy, coalesce(users.active, 1) AS user_active,"
    " (SELECT max(expires_at) FROM former_secrets WHERE token_id = tokens.id AND expires_at > ?)"
    " AS overlap_until"
    " FROM tokens JOIN projects ON projects.id = tokens.project_id"
    " LEFT JOIN users ON users.id = tokens.user_id"
)
_FORMER = "SELECT * FROM former_secrets WHERE expires_at > ?"


def issued(database: Database, kind: str) -> dict[bytes, IssuedToken]:
    """Everything needed to judge tokens of one kind, by digest: of the present secrets and of former ones."""
    now = database.now_text()
    by_id = {row["id"]: row for row in database.rows(f"{SELECT} WHERE tokens.kind = ?", (now, kind))}
    found = {row["digest"]: _issued(row, row["secret"], row["expires_at"]) for row in by_id.values()}
    for former in database.rows(_FORMER, (now,)):
        if (row := by_id.get(former["token_id"])) is not None:
            until = min(filter(None, (former["expires_at"], row["expires_at"])))
            found[former["digest"]] = _issued(row, former["secret"], until)
    return found


def _issued(row: Row, secret: bytes | None, expires_at: str | None) -> IssuedToken:
    return IssuedToken(
        _principal(row),
        bool(row["active"]),
        row["revoked_at"] is not None,
        as_seconds(expires_at) if expires_at else None,
        secret,
        row["suspended_at"] is not None,
        bool(row["user_active"]),
    )


def _principal(row: Row) -> Principal:
    project, token = row["project"], row["name"]
    return Principal(
        project=project,
        token=token,
        user=row["user"],
        token_id=row["id"],
        capture=row["capture"],
        allow=allowance(
            (f"token {project}/{token}", row["policy"]), (f"project {project}", row["project_policy"])
        ),
        max_requests=row["max_requests"],
        hangup=row["hangup"],
    )
