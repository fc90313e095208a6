"""The tables of the audit log in `control.db` (migrations m008, m012): rows, and where they begin and end."""

AUDIT = """
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,              -- epoch microseconds, bumped on collision
    actor_kind TEXT NOT NULL,            -- cli | session | api_token | system | proxy
    actor_id TEXT NOT NULL,              -- 'usr_...', '' where it is no user
    actor TEXT NOT NULL, source TEXT NOT NULL,
    action TEXT NOT NULL,                -- 'token.create'
    object_kind TEXT NOT NULL, object_id TEXT NOT NULL, object_name TEXT NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL,   -- JSON without secrets, '' for nothing
    outcome TEXT NOT NULL,               -- ok | denied | failed
    detail TEXT NOT NULL,
    seal BLOB NOT NULL,                  -- keyed digest of the columns above
    chain BLOB NOT NULL                  -- keyed digest of the seal and of the chain before
);
CREATE INDEX audit_actor ON audit(actor);
CREATE INDEX audit_action ON audit(action);
CREATE INDEX audit_object ON audit(object_kind, object_name);
-- Where the chain ends: rows taken off its end are missed.
CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,             -- rows written since the beginning
    last_id INTEGER NOT NULL,
    chain BLOB NOT NULL,                 -- of the last row
    seal BLOB NOT NULL
);
-- Where it begins, once old rows have been removed.
CREATE TABLE audit_checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,             -- rows removed since the beginning
    last_id INTEGER NOT NULL,            -- the last one that was removed
    chain BLOB NOT NULL,                 -- of that row
    seal BLOB NOT NULL
);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
WHEN old.id > coalesce((SELECT last_id FROM audit_checkpoint), -1) BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
"""

AUDIT_REQUESTS = """
-- Of the management API (its x-request-id) or of a call (requests.request_id); sealed where there is one.
ALTER TABLE audit ADD COLUMN request_id TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_request ON audit(request_id) WHERE request_id <> '';
"""
