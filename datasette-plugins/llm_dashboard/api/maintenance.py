"""Keeping house: what is past its time, and what the databases are."""

import asyncio
from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_intercept.manage import Management
from llm_intercept.manage.house import House
from llm_intercept.store.migrate import Standing

table = Table("maintenance", "Keeping house: what is past its time, backups, databases, keys, logs.")


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


class DatabaseView(View):
    """A database and the version of its schema."""

    name: str
    bytes: int
    state: str = Field(description="up to date, or what it lacks or has too much")
    version: str | None = Field(description="the last migration that it has")
    pending: list[str] = Field(description="migrations that it lacks; the next start makes them")


class Databases(View):
    """The home's databases."""

    items: list[DatabaseView]


@table.post(
    "/maintenance/cleanup", "Clean up", CleanupReport, body=CleanupRun, where="here", command="cleanup"
)
async def cleanup(call: Call[Nothing, CleanupRun]) -> object:
    """A dry run unless asked otherwise. Sums by hour and day stay when calls are removed. Admins only."""
    vacuum = call.body.vacuum
    keeper = await call.stage.manage(lambda management: house(management).keeper(call.actor, vacuum=vacuum))
    if call.body.dry_run:
        report = await asyncio.to_thread(keeper.preview)
    else:
        report = await asyncio.to_thread(keeper.run, call.actor)
    return {"dry_run": call.body.dry_run, **asdict(report)}


@table.get("/maintenance/databases", "Show databases", Databases, where="here", command="migrate status")
async def databases(call: Call[Nothing, Nothing]) -> object:
    """How large they are and which version they have. Admins only."""
    await call.stage.manage(lambda management: house(management).may_look(call.actor))
    standings = await asyncio.to_thread(call.stage.home.standings)
    return {"items": [_database(found) for found in standings]}


def house(management: Management) -> House:
    return House(management.desk, management.settings)


def _database(found: Standing) -> dict[str, object]:
    return {
        "name": found.path.name,
        "bytes": sum(path.stat().st_size for path in _parts(found.path) if path.exists()),
        "state": found.state,
        "version": found.applied[-1] if found.applied else None,
        "pending": list(found.pending) if found.exists else [],
    }


def _parts(path: Path) -> tuple[Path, Path]:
    """With what waits beside it to be written into it."""
    return path, path.with_name(f"{path.name}-wal")
