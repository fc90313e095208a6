"""The tables of the management API in `control.db` (migration m010), and what its lists are read by."""

API = """
CREATE TABLE idempotency (
    digest BLOB PRIMARY KEY,             -- of actor, key, method and path
    request_digest BLOB NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL,                  -- encrypted: it may hold the text of a token
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_created ON tokens(created_at, id);
CREATE TABLE aliases (
    project_id TEXT NOT NULL,            -- '': for all projects
    name TEXT NOT NULL,                  -- of a model, or a glob
    target TEXT NOT NULL,                -- as in the setting models.aliases
    created_at TEXT NOT NULL, changed_at TEXT NOT NULL,
    PRIMARY KEY (project_id, name)
) WITHOUT ROWID;
CREATE TRIGGER aliases_of_projects AFTER DELETE ON projects BEGIN
    DELETE FROM aliases WHERE project_id = old.id;
END;
"""
