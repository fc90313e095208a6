"""Tokens as the proxy judges them: one secret at a time, with the policies that hold for it."""

from llm_intercept.exchange import Principal
from llm_intercept.policy.allow import allowance
from llm_intercept.policy.tokens import IssuedToken
from llm_intercept.store.database import Database, Row, as_seconds

# Wants the present time first, for `overlap_until`.
SELECT = (
    "SELECT tokens.*, projects.name AS project, projects.active, projects.capture, projects.hangup,"
    " projects.cache,"
    " projects.policy AS project_policy, coalesce(users.active, 1) AS user_active,"
    " (SELECT max(expires_at) FROM former_secrets WHERE token_id = tokens.id AND expires_at > ?)"
    " AS overlap_until"
    " FROM tokens JOIN projects ON projects.id = tokens.project_id"
    " LEFT JOIN users ON users.id = tokens.user_id"
)
_FORMER = "SELECT * FROM former_secrets WHERE digest = ?"


def issued(database: Database, kind: str, digest: bytes) -> IssuedToken | None:
    """Everything needed to judge a secret of this digest, present or former; None for nobody's."""
    now = database.now_text()
    row = database.row(f"{SELECT} WHERE digest = ? AND tokens.kind = ?", (now, digest, kind))
    if row is not None:
        return _issued(row, row["secret"], row["expires_at"])
    former = database.row(_FORMER, (digest,))
    if former is None:
        return None
    row = database.row(f"{SELECT} WHERE tokens.id = ? AND tokens.kind = ?", (now, former["token_id"], kind))
    if row is None:
        return None
    until = min(filter(None, (former["expires_at"], row["expires_at"])))
    return _issued(row, former["secret"], until)


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
        cache=row["cache"],
    )
