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
"""
