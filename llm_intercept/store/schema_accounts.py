"""The tables of logins in `control.db` (migration m009): passwords, invites, API tokens, failed attempts."""

ACCOUNTS = """
CREATE TABLE passwords (
    user_id TEXT PRIMARY KEY REFERENCES users(id) ON DELETE CASCADE,
    hash TEXT NOT NULL,                  -- argon2id
    changed_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE invites (
    digest BLOB PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,                 -- 'apt_...'
    user_id TEXT REFERENCES users(id) ON DELETE CASCADE,  -- NULL: the local administrator
    name TEXT NOT NULL COLLATE NOCASE,
    digest BLOB NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    scope TEXT NOT NULL,                 -- usage | read | write; each includes those before it
    created_at TEXT NOT NULL, expires_at TEXT, revoked_at TEXT, last_used_at TEXT
);
CREATE UNIQUE INDEX api_tokens_name ON api_tokens(coalesce(user_id, ''), name) WHERE revoked_at IS NULL;
-- Who somebody is at an OpenID provider.
CREATE TABLE identities (
    issuer TEXT NOT NULL, subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;
CREATE TABLE login_failures (
    scope TEXT NOT NULL,                 -- user | ip
    name TEXT NOT NULL,                  -- id of a user, digest of what else was typed, or address
    failures INTEGER NOT NULL,           -- attempts under way count until they turn out well
    until INTEGER NOT NULL,              -- before that, none is looked at
    last_at INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) WITHOUT ROWID;
ALTER TABLE sessions ADD COLUMN user_id TEXT REFERENCES users(id) ON DELETE CASCADE;
ALTER TABLE sessions ADD COLUMN method TEXT NOT NULL DEFAULT 'link';     -- how the login was done
ALTER TABLE login_links ADD COLUMN purpose TEXT NOT NULL DEFAULT 'login';  -- login | setup
CREATE INDEX sessions_user ON sessions(user_id) WHERE user_id IS NOT NULL;
CREATE TRIGGER logins_end_with_the_user AFTER UPDATE OF active ON users WHEN new.active = 0 BEGIN
    DELETE FROM sessions WHERE user_id = new.id;
    DELETE FROM invites WHERE user_id = new.id;
END;
"""
