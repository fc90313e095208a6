"""Keeping house: cleaning up, and which backups there are."""

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import Field

from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_intercept.manage import Management
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.database import as_text
from llm_intercept.tools.housekeeping import Housekeeper, Report, Wishes

table = Table("maintenance", "Keeping house: what is past its time, and backups.")
_MOST_SHOWN = 200


class CleanupRun(Model):
    """How to clean up. How long what is kept is said in the settings."""

    dry_run: bool = Field(True, description="only say what would be removed")
    vacuum: bool = Field(False, description="give the room back to the file system; takes a while")


class CleanupReport(View):
    """What was removed, or would be."""

    dry_run: bool
    removed: dict[str, int] = Field(description="rows or files, by what they were")
    freed: dict[str, int] = Field(description="bytes that can be filled again, by database")
    returned: dict[str, int] = Field(description="bytes by which files have become smaller")


class BackupFile(View):
    """A backup in the home's folder of them."""

    name: str
    bytes: int
    made_at: str


class DatabaseFile(View):
    """A database."""

    name: str
    bytes: int


class Backups(View):
    """Backups, the newest first, and what they would hold."""

    backups: list[BackupFile]
    databases: list[DatabaseFile]


@table.post(
    "/maintenance/cleanup", "Clean up", CleanupReport, body=CleanupRun, where="here", command="cleanup"
)
async def cleanup(call: Call[Nothing, CleanupRun]) -> object:
    """A dry run unless asked otherwise. Sums by hour and day stay when calls are removed. Admins only."""
    keeper = await call.stage.manage(lambda management: _keeper(management, call))
    if call.body.dry_run:
        report = await asyncio.to_thread(keeper.preview)
    else:
        report = await asyncio.to_thread(keeper.run, call.actor)
    return _said(report, dry_run=call.body.dry_run)


@table.get("/maintenance/backups", "List backups", Backups, where="here", command="backup")
async def backups(call: Call[Nothing, Nothing]) -> object:
    """Those in the home's own folder; `llm-intercept backup` makes one. Admins only."""
    await call.stage.manage(lambda management: management.desk.see(call.actor, "audit"))
    home = call.stage.home
    return await asyncio.to_thread(_files, home.path)


def _keeper(management: Management, call: Call[Nothing, CleanupRun]) -> Housekeeper:
    """Who may not remove anything may not look either: it would tell how much there is."""
    management.desk.check(call.actor, "cleanup.run", "audit", Thing("home"))
    settings = management.settings
    wishes = Wishes(settings.retention, settings.capture.retention_days, call.body.vacuum)
    return Housekeeper(call.stage.home, management.control.database.vault, wishes)


def _said(report: Report, *, dry_run: bool) -> dict[str, object]:
    return {"dry_run": dry_run, **asdict(report)}


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    bytes: int
    made_at: str


def _files(home: Path) -> dict[str, list[_File]]:
    kept = [_file(path) for path in (home / "backups").glob("*") if not path.name.startswith(".")]
    newest = sorted(kept, key=lambda file: file.made_at, reverse=True)
    return {"backups": newest[:_MOST_SHOWN], "databases": [_file(path) for path in sorted(home.glob("*.db"))]}


def _file(path: Path) -> _File:
    found = path.stat()
    return _File(path.name, found.st_size, as_text(found.st_mtime))
