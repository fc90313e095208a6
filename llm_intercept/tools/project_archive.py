"""Everything of one project in one archive: what it is, who may use it, its calls and what was captured."""

import os
import shutil
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from llm_intercept import __version__
from llm_intercept.home import Home
from llm_intercept.manage.removal import Removal
from llm_intercept.store import project_rows
from llm_intercept.store.control import Control
from llm_intercept.store.migrate import connect
from llm_intercept.store.projects import Project
from llm_intercept.tools import archive

KIND = "llm-intercept project"
_TABLES: tuple[project_rows.Table, ...] = ("requests", "attempts", "violations", "usage_hour", "usage_day")


@dataclass(frozen=True, slots=True)
class Exported:
    """How many of each kind are in the archive."""

    path: Path
    counts: dict[str, int]


def export(
    control: Control, removal: Removal, home: Home, project: Project, target: Path, now: float
) -> Exported:
    archive.check_free(target)
    folder = target.absolute().with_name(f".{target.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        counts = _write_documents(control, removal, project, folder)
        counts |= _write_calls(home, project.name, folder)
        facts = {
            "kind": KIND,
            "format": 1,
            "project": project.name,
            "made": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "program": __version__,
            "counts": counts,
        }
        archive.describe(folder, facts)
        archive.pack(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Exported(target, counts)


def _write_documents(control: Control, removal: Removal, project: Project, folder: Path) -> dict[str, int]:
    """Tokens as they may be shown: neither their texts nor their digests."""
    failures = control.failures.find("project", project.name)
    documents: dict[str, list[Any]] = {
        "tokens": [asdict(token) for token in control.tokens.list(project.name)],
        "limits": [asdict(record) for record in removal.limits(project)],
        "routes": [asdict(stored) for stored in removal.routes(project)],
        "failures": [asdict(failures)] if failures else [],
    }
    _write(folder / "project.json", asdict(project))
    for name, values in documents.items():
        _write(folder / f"{name}.json", values)
    return {name: len(values) for name, values in documents.items()}


def _write_calls(home: Home, name: str, folder: Path) -> dict[str, int]:
    with closing(connect(home.usage_db)) as usage, closing(connect(home.bodies_db)) as bodies:
        usage.execute("BEGIN")  # all tables as they are at one moment
        counts: dict[str, int] = {
            table: _write_lines(folder / f"{table}.ndjson", project_rows.rows(usage, table, name))
            for table in _TABLES
        }
        captured = project_rows.bodies(usage, bodies, name)
        return {**counts, "bodies": _write_lines(folder / "bodies.ndjson", captured)}


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    written = 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for row in rows:
            file.write(orjson.dumps(row) + b"\n")
            written += 1
    return written


def _write(path: Path, value: object) -> None:
    archive.write_private(path, orjson.dumps(value, option=orjson.OPT_INDENT_2, default=_plain))


def _plain(value: Any) -> Any:
    """Policies, limits and routes are pydantic models."""
    return (
        value.model_dump(mode="json", exclude_defaults=True) if hasattr(value, "model_dump") else str(value)
    )
