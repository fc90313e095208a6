"""Keeping house: backups, databases, and what a cleanup would remove. Nothing is changed from here."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from datasette import Response

from llm_dashboard import clock
from llm_dashboard.admin.visit import Visit
from llm_intercept.home import Home
from llm_intercept.tools.housekeeping import Housekeeper, Wishes

_STALE_DAYS = 7
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class File:
    """`at`: epoch microseconds of its last change."""

    name: str
    bytes: int
    at: int


async def page(visit: Visit) -> Response:
    backups, databases = await asyncio.to_thread(_files, visit.home)
    newest = backups[0].at if backups else 0
    asked = visit.arg("cleanup") == "preview"
    return await visit.page(
        "maintenance",
        backups=backups[:_SHOWN],
        more=max(0, len(backups) - _SHOWN),
        stale=clock.now() - newest > _STALE_DAYS * 86_400_000_000,
        databases=databases,
        report=await _preview(visit) if asked else None,
        kept=(visit.stage.settings.retention, visit.stage.settings.capture.retention_days),
        home=visit.home.path,
        now=clock.now(),
    )


async def _preview(visit: Visit) -> dict[str, int]:
    """What would be removed, as `llm-intercept cleanup --dry-run` says it."""
    settings = visit.stage.settings
    wishes = Wishes(settings.retention, settings.capture.retention_days)
    vault = await visit.ask(lambda m: m.control.database.vault)
    report = await asyncio.to_thread(Housekeeper(visit.home, vault, wishes).preview)
    return {what: number for what, number in report.removed.items() if number}


def _files(home: Home) -> tuple[list[File], list[File]]:
    """(backups, the newest first; databases)"""
    kept = [path for path in (home.path / "backups").glob("*") if not path.name.startswith(".")]
    backups = sorted((_file(path) for path in kept), key=lambda file: -file.at)
    paths = (home.usage_db, home.control_db, home.bodies_db, home.limits_db, home.cache_db)
    return backups, [_file(path) for path in paths if path.exists()]


def _file(path: Path) -> File:
    """A database with what waits beside it to be written into it; a folder with all that is in it."""
    stat = path.stat()
    return File(
        path.name, sum(_sizes(path)), int(datetime.fromtimestamp(stat.st_mtime, UTC).timestamp() * 1e6)
    )


def _sizes(path: Path) -> Iterator[int]:
    if path.is_dir():
        yield from (inner.stat().st_size for inner in path.rglob("*") if inner.is_file())
        return
    for found in (path, path.with_name(f"{path.name}-wal")):
        if found.exists():
            yield found.stat().st_size
