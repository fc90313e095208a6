"""Whether the databases can be used right now: what `/ready` and `doctor` ask."""

import sqlite3
from contextlib import closing
from pathlib import Path

_PATIENCE_S = 0.2


def problem(path: Path) -> str:
    """Why this database cannot be written, or "". Takes the write lock for a moment and writes nothing."""
    try:
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_PATIENCE_S)
        ) as connection:
            connection.isolation_level = None
            connection.execute("SELECT name FROM migrations LIMIT 1").fetchone()
            connection.execute("BEGIN IMMEDIATE")
            # A read-only file lets a transaction begin; setting the version to itself does not pass.
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(f"PRAGMA user_version = {int(version)}")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        # Somebody else is writing: it can be written.
        return "" if "locked" in str(error) else f"{path.name}: {error}"
    except sqlite3.Error as error:
        return f"{path.name}: {error}"
    return ""
