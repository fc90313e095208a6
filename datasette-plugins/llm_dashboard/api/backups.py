"""Backups in the home's own folder: made, listed, verified, fetched. Putting one back needs the machine."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasette.utils.asgi import Request
from pydantic import Field, SecretStr

from llm_dashboard.api.exporting import Send, send_file
from llm_dashboard.api.maintenance import house, table
from llm_dashboard.api.operation import Call, Model, Nothing, View
from llm_intercept.errors import Conflict
from llm_intercept.manage.house import next_backup
from llm_intercept.store.report_terms import Scope
from llm_intercept.tools import backup, backups
from llm_intercept.tools.archive import BadArchive, packing

_ONE = "/maintenance/backups/{backup}"
_TYPES = {"application/x-tar": {"type": "string"}, "application/gzip": {"type": "string"}}


class BackupFile(View):
    """A backup in the home's folder of them."""

    name: str
    bytes: int
    made_at: str
    secrets: str = Field(
        description="the encryption key in it: none, locked with a passphrase, or plain; empty for copies of "
        "single databases that a migration has made"
    )


class Backups(View):
    """Backups, the newest first."""

    items: list[BackupFile]


class BackupWish(Model):
    """What is to be in it beside the databases."""

    passphrase: SecretStr | None = Field(
        None,
        min_length=12,
        max_length=1000,
        description="puts the encryption key and the root certificate's key into it, locked with this; left "
        "out: they are not in it",
    )


class BackupMade(View):
    """What was made, opened and checked."""

    name: str
    bytes: int
    secrets: str = Field(description="none, or locked")
    rows: dict[str, dict[str, int]] = Field(description="of each table, by database")
    left_out: list[str] = Field(description="files with secrets that are not in it")


class BackupVerdict(View):
    """Whether a backup can be restored."""

    name: str
    ok: bool
    problem: str = Field(description="what is wrong with it; empty: nothing")
    made: str
    program: str = Field(description="the version that made it")
    secrets: str
    rows: dict[str, dict[str, int]] = Field(description="of each table, by database, as counted now")


class BackupArchive(View):
    """A file; see the content type."""


@table.get("/maintenance/backups", "List backups", Backups, where="here", command="backup --list")
async def backups_(call: Call[Nothing, Nothing]) -> object:
    """Those in the home's own folder, the newest first. Admins only."""
    await call.stage.manage(lambda management: house(management).may_look(call.actor))
    return {"items": await asyncio.to_thread(backups.stored, call.stage.home)}


@table.post(
    "/maintenance/backups",
    "Make a backup",
    BackupMade,
    body=BackupWish,
    status=201,
    where="here",
    command="backup",
    gives={"backup": "/name"},
)
async def make(call: Call[Nothing, BackupWish]) -> object:
    """The whole home as it is at one moment, while everything runs, in the home's own folder; answers when it
    has been opened and checked, which takes its time. Admins only."""
    locked = call.body.passphrase is not None
    wanted = backup.Wanted(secrets=locked, passphrase=call.body.passphrase)
    home = backups.whole(call.stage.home, os.environ)

    async def work() -> backup.Backup:
        target = next_backup(home, call.now_us / 1e6)
        await call.stage.manage(lambda management: house(management).may_back_up(call.actor, target))
        made = await asyncio.to_thread(backup.make, home, target, wanted, call.now_us / 1e6, _silent)
        await call.stage.manage(lambda management: house(management).backed_up(call.actor, made))
        return made

    made = await _alone(call, work)
    rows = {name: found.rows for name, found in made.databases.items()}
    return {**asdict(made), "name": made.path.name, "rows": rows}


@table.post(f"{_ONE}/verify", "Verify a backup", BackupVerdict, where="here", command="backup --verify")
async def verify(call: Call[Nothing, Nothing]) -> object:
    """Unpacks it, opens its databases and counts their rows. Nothing is changed. Admins only."""
    name = call.path["backup"]
    await call.stage.manage(lambda management: house(management).may_verify(call.actor, name))
    path = await _found(call)

    async def work() -> dict[str, Any]:
        try:
            found = await asyncio.to_thread(backups.verify, path, call.stage.home, _silent)
        except BadArchive as error:
            problem = str(error).replace(str(path), name)
            nothing = {"made": "", "program": "", "secrets": "", "rows": {}}
            return {"name": name, "ok": False, "problem": problem, **nothing}
        return {**asdict(found), "ok": True, "problem": ""}

    return await _alone(call, work)


@table.get(
    f"{_ONE}/file",
    "Fetch a backup",
    BackupArchive,
    where="stream",
    scope="write",
    command="backup",
    files=_TYPES,
)
async def file(call: Call[Nothing, Nothing], scope: Scope, request: Request, send: Send, id_: str) -> None:
    """It holds the calls of everybody, and digests of passwords and tokens. One in which the encryption key
    lies unlocked is not given out. Leaves a row in the audit log. Admins only."""
    name = call.path["backup"]
    await call.stage.manage(lambda management: house(management).may_take(call.actor, name))
    path = await _found(call)
    secrets = await asyncio.to_thread(backups.secrets_of, path)
    if secrets not in ("none", "locked") or not packing(path):
        raise Conflict(
            f"{name} holds the encryption key as it is; copy it on the machine itself, or make another one"
            if secrets == "plain"
            else f"{name} is no archive of a home; copy it on the machine itself"
        )
    await call.stage.manage(lambda management: house(management).taken(call.actor, name, secrets))
    media = "application/x-tar" if name.endswith(".tar") else "application/gzip"
    await send_file(request, send, path, name, media, id_)


async def _found(call: Call[Any, Any]) -> Path:
    return await asyncio.to_thread(backups.find, call.stage.home, call.path["backup"])


async def _alone[T](call: Call[Any, Any], work: Callable[[], Awaitable[T]]) -> T:
    """One after the other would have clients wait for others; at once they would only be slower."""
    if call.stage.busy.locked():
        raise Conflict("a backup is being made or verified; try again when that is done")
    async with call.stage.busy:
        return await work()


def _silent(_: str) -> None:
    """Nobody is told how far it is."""
