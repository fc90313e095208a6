"""Users, members and policies in `control.db`; part of `schema.py`."""

PRINCIPALS = """
CREATE TABLE users (
    id TEXT PRIMARY KEY,                 -- 'usr_...'
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    email TEXT UNIQUE COLLATE NOCASE,
    role TEXT NOT NULL,                  -- admin | member | viewer
    active INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL
);
CREATE TABLE members (
    project_id TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, user_id)
) WITHOUT ROWID;
ALTER TABLE projects ADD COLUMN owner_id TEXT REFERENCES users(id);
ALTER TABLE projects ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';  -- JSON of policy/allow.py
ALTER TABLE projects ADD COLUMN hangup TEXT NOT NULL DEFAULT 'cut';  -- cut | drain
ALTER TABLE tokens ADD COLUMN user_id TEXT REFERENCES users(id);
ALTER TABLE tokens ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';    -- JSON of policy/allow.py
ALTER TABLE tokens ADD COLUMN max_requests INTEGER;
ALTER TABLE tokens ADD COLUMN suspended_at TEXT;
ALTER TABLE tokens ADD COLUMN refreshed_at TEXT;                     -- when its secret was made
-- What a token was before it was refreshed, for as long as that still works.
CREATE TABLE former_secrets (
    digest BLOB PRIMARY KEY,
    token_id TEXT NOT NULL REFERENCES tokens(id) ON DELETE CASCADE,
    secret BLOB,                         -- aws only, encrypted
    hint TEXT NOT NULL,
    expires_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX former_secrets_token ON former_secrets(token_id);
CREATE INDEX tokens_user ON tokens(user_id) WHERE user_id IS NOT NULL;
"""
