"""Where this dashboard finds its home, from the plugin's configuration. Nothing is read at import."""

from dataclasses import dataclass
from pathlib import Path

from datasette.app import Datasette
from datasette.database import Database

PLUGIN = "llm_dashboard"
DATABASE = "usage"
# The stored queries of datasette.yaml, in the order of their tabs.
REPORTS = (
    ("by-day", "By day"),
    ("by-project", "By project"),
    ("by-model", "By model"),
    ("by-provider", "By provider"),
    ("by-token", "By token"),
    ("by-cache", "Cache"),
    ("errors", "Errors"),
    ("slowest", "Slowest"),
    ("most-expensive", "Most expensive"),
    ("stream-violations", "Violations"),
)


@dataclass(frozen=True, slots=True)
class Config:
    home: Path
    proxy: str = "http://127.0.0.1:8080"
    session_hours: int = 24 * 14

    @property
    def control_db(self) -> Path:
        return self.home / "control.db"

    @property
    def bodies_db(self) -> Path:
        return self.home / "bodies.db"


def read(datasette: Datasette) -> Config | None:
    """None when this Datasette is not one of ours: then the plugin stays out of the way."""
    found = datasette.plugin_config(PLUGIN) or {}
    if "home" not in found:
        return None
    given = {key: found[key] for key in ("proxy", "session_hours") if key in found}
    return Config(Path(found["home"]), **given)


def usage(datasette: Datasette) -> Database:
    return datasette.get_database(DATABASE)
