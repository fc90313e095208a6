"""Keeping house: backups, what a cleanup would remove, doing either, and how large the databases are."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from datasette import Response
from pydantic import SecretStr

from llm_dashboard import clock
from llm_dashboard.admin import jobs
from llm_dashboard.admin.forms import Field, Form, Section
from llm_dashboard.admin.visit import Visit
from llm_intercept.errors import StoreError
from llm_intercept.home import Home
from llm_intercept.manage import Management
from llm_intercept.manage.house import House, next_backup
from llm_intercept.tools import backup, backups
from llm_intercept.tools.archive import BadArchive
from llm_intercept.tools.housekeeping import Housekeeper, Report

PATH = "/-/llm/manage/maintenance"
_STALE_DAYS = 7
_SHOWN = 10
_SECRETS = (
    ("", "Left out: whoever restores needs secret.key as well"),
    ("locked", "In it, locked with a passphrase"),
)
_BACKUP = (
    Section(
        "The encryption key",
        (
            Field(
                "secrets",
                "The key, and that of the root certificate",
                "select",
                "Without it nobody can decrypt the providers' keys in the backup, and no token works.",
                _SECRETS,
                wide=True,
            ),
            Field("passphrase", "Passphrase", "secret", "Nobody can read the keys without it, you neither."),
            Field("again", "The same again", "secret"),
        ),
    ),
)
_VACUUM = Field("vacuum", "Give the room back to the file system; takes a while", "check")


@dataclass(frozen=True, slots=True)
class File:
    """`at`: epoch microseconds of its last change."""

    name: str
    bytes: int
    at: int


async def page(visit: Visit) -> Response:
    found, databases = await asyncio.to_thread(lambda: (backups.stored(visit.home), _databases(visit.home)))
    settings = visit.stage.settings
    return await visit.page(
        "maintenance",
        backups=found[:_SHOWN],
        more=max(0, len(found) - _SHOWN),
        stale=is_stale(await asyncio.to_thread(newest, visit.home)),
        databases=databases,
        job=jobs.of(visit.datasette).last,
        kept=(settings.retention, settings.capture.retention_days),
        home=visit.home.path,
    )


async def make_backup(visit: Visit) -> Response:
    form = Form(_BACKUP)
    if visit.posting:
        form.take(await visit.posted())
        wanted = _wanted(form)
        if wanted is not None:
            target = next_backup(visit.home, clock.now() / 1e6)
            await visit.ask(lambda m: _house(m).may_back_up(visit.actor, target))
            home = backups.whole(visit.home, os.environ)

            def work(job: jobs.Job) -> backup.Backup:
                return backup.make(home, target, wanted, clock.now() / 1e6, job.tell)

            async def after(made: backup.Backup) -> None:
                await visit.ask(lambda m: _house(m).backed_up(visit.actor, made))

            return await _begun(visit, jobs.Job("a backup", visit.actor.label, clock.now()), work, after)
    return await visit.form(
        form,
        title="Make a backup",
        about="The whole home in one file, while everything runs: every row of one moment. It is opened and "
        "checked before it is called a backup. It stays on this disk: take a copy elsewhere.",
        submit="Make the backup",
        back=PATH,
        place="Maintenance",
    )


def _wanted(form: Form) -> backup.Wanted | None:
    """None if something is wrong, which the form then says. Passphrases are not sent back."""
    locked = form.text("secrets") == "locked"
    passphrase, again = (form.values.pop(name, "") for name in ("passphrase", "again"))
    if not locked:
        return backup.Wanted()
    if len(passphrase) < 12:
        form.errors["passphrase"] = "At least 12 characters; several words are a good one."
    elif passphrase != again:
        form.errors["again"] = "These are not the same. Type both again."
    return None if form.failed else backup.Wanted(secrets=True, passphrase=SecretStr(passphrase))


async def verify(visit: Visit) -> Response:
    """Unpacks a backup beside the others, opens its databases and counts their rows."""
    if not visit.posting:
        return visit.to(PATH)
    name = visit.var("name")
    await visit.ask(lambda m: _house(m).may_verify(visit.actor, name))
    path = await asyncio.to_thread(backups.find, visit.home, name)
    job = jobs.Job("a verification", visit.actor.label, clock.now(), about=name)
    return await _begun(visit, job, lambda job: _verified(path, visit.home, job))


def _verified(path: Path, home: Home, job: jobs.Job) -> backups.Verified:
    try:
        return backups.verify(path, home, job.tell)
    except BadArchive as error:
        raise StoreError(str(error).replace(str(path), path.name)) from error


async def clean_up(visit: Visit) -> Response:
    """Shows what would go; done after it was asked for."""
    form = Form((Section("", (_VACUUM,)),))
    if visit.posting:
        form.take(await visit.posted())
        vacuum = form.ticked("vacuum")
        keeper = await visit.ask(lambda m: _house(m).keeper(visit.actor, vacuum=vacuum))
        job = jobs.Job("a cleanup", visit.actor.label, clock.now())
        return await _begun(visit, job, lambda job: _cleaned(keeper, visit, job))
    keeper = await visit.ask(lambda m: _house(m).keeper(visit.actor))
    report = await asyncio.to_thread(keeper.preview)
    return await visit.page("cleanup", form=form, report=_told(report), back=PATH)


def _cleaned(keeper: Housekeeper, visit: Visit, job: jobs.Job) -> Report:
    for _ in keeper.steps(visit.actor):
        job.tell(f"{sum(keeper.report.removed.values()):,} removed so far")
    return keeper.report


async def _begun(visit: Visit, job: jobs.Job, work: jobs.Work, after: jobs.After | None = None) -> Response:
    await jobs.of(visit.datasette).begin(job, visit.stage.busy, work, after)
    return visit.to(f"{PATH}#job")


def _house(m: Management) -> House:
    return House(m.desk, m.settings)


def _told(report: Report) -> dict[str, int]:
    return {what: number for what, number in report.removed.items() if number}


def newest(home: Home) -> int:
    """When the last backup was made; 0 for none."""
    return max((int(path.stat().st_mtime * 1e6) for path in _backups(home)), default=0)


def is_stale(at: int) -> bool:
    return clock.now() - at > _STALE_DAYS * 86_400_000_000


def _backups(home: Home) -> Iterator[Path]:
    return (path for path in home.backups.glob("*") if not path.name.startswith("."))


def _databases(home: Home) -> list[File]:
    paths = (home.usage_db, home.control_db, home.bodies_db, home.limits_db, home.cache_db)
    return [_file(path) for path in paths if path.exists()]


def _file(path: Path) -> File:
    """With what waits beside it to be written into it."""
    stat = path.stat()
    return File(
        path.name, sum(_sizes(path)), int(datetime.fromtimestamp(stat.st_mtime, UTC).timestamp() * 1e6)
    )


def _sizes(path: Path) -> Iterator[int]:
    for found in (path, path.with_name(f"{path.name}-wal")):
        if found.exists():
            yield found.stat().st_size
