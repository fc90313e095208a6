"""Cleaning up databases, log files and journals: when a person asks, and once a day by a proxy."""

import fcntl
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from llm_intercept.errors import StoreError
from llm_intercept.home import Home
from llm_intercept.policy.actor import PROXY, Actor
from llm_intercept.settings.retention import RetentionSettings
from llm_intercept.store import cleanup
from llm_intercept.store.audit import Audit
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.cache import opened
from llm_intercept.store.cleanup import Cutoffs, Place, Task
from llm_intercept.store.database import Database, as_text
from llm_intercept.store.journal import read_lines
from llm_intercept.store.migrate import connect
from llm_intercept.vault import Vault

log = logging.getLogger(__name__)

DAY_S = 86_400
_STALE_S = DAY_S
_DRAFTS = (".secret.key.*", ".proxy.json.*", ".dashboard.json.*", "backups/.*")


@dataclass(slots=True)
class Report:
    """`removed`: rows or files by what they were. `freed`: bytes that can be filled again, by database."""

    removed: dict[str, int] = field(default_factory=dict)
    freed: dict[str, int] = field(default_factory=dict)
    returned: dict[str, int] = field(default_factory=dict)  # bytes by which files have become smaller

    def add(self, what: str, number: int) -> None:
        self.removed[what] = self.removed.get(what, 0) + number


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is kept for how long; `bodies_days` is that of captured bodies."""

    retention: RetentionSettings
    bodies_days: int
    vacuum: bool = False


class Housekeeper:
    """Cleans one home. `now` is Unix seconds."""

    def __init__(
        self, home: Home, vault: Vault, wishes: Wishes, now: Callable[[], float] = time.time
    ) -> None:
        self._home = home
        self._vault = vault
        self._wishes = wishes
        self._now = now
        self.report = Report()

    def preview(self) -> Report:
        """What would be removed."""
        found = Report()
        with ExitStack() as stack:
            open_ = self._opener(stack)
            for task in self._tasks(self._places()):
                found.add(task.what, cleanup.count(open_(task.place), task))
            found.add("audit rows", cleanup.count(open_("control"), cleanup.old_audit(self._audit_before())))
        for what, path in self._files():
            found.add(what, path.exists())
        return found

    def steps(self, actor: Actor = PROXY) -> Iterator[None]:
        """Does it, a little between one `yield` and the next; `report` grows meanwhile."""
        with ExitStack() as stack:
            open_ = self._opener(stack)
            places = self._places()
            sizes = {place: self._sizes(open_(place)) for place in places}
            for task in self._tasks(places):
                yield from self._delete(open_(task.place), task)
            yield from self._prune(open_, actor)
            yield from self._sweep()
            for place, (free, size) in sizes.items():
                self.report.freed[place] = max(0, self._sizes(open_(place))[0] - free)
                if self._wishes.vacuum:
                    yield from cleanup.vacuum(open_(place))
                self.report.returned[place] = max(0, size - self._sizes(open_(place))[1])
            self._tell(open_, actor)

    def run(self, actor: Actor) -> Report:
        for _ in self.steps(actor):
            pass
        return self.report

    def _places(self) -> tuple[Place, ...]:
        """A cache that is not there, or damaged, keeps nothing else from being cleaned."""
        known: tuple[Place, ...] = ("control", "bodies", "usage")
        if not self._home.cache_db.exists():
            return known
        try:
            with opened(self._home.cache_db) as store:
                store.totals(0)
        except StoreError as error:
            log.warning("stored answers were not cleaned up: %s", error)
            return known
        return (*known, "cache")

    def _tasks(self, places: tuple[Place, ...]) -> list[Task]:
        return [task for task in cleanup.tasks(self._cutoffs()) if task.place in places]

    def _cutoffs(self) -> Cutoffs:
        kept, now = self._wishes.retention, self._now()
        requests = int((now - kept.requests_days * DAY_S) * 1e6) if kept.requests_days else None
        bodies = int((now - self._wishes.bodies_days * DAY_S) * 1e6)
        return Cutoffs(
            now=int(now),
            now_text=as_text(now),
            ended=as_text(now - kept.tokens_days * DAY_S) if kept.tokens_days else None,
            requests_us=requests,
            bodies_us=max(bodies, requests or 0),
            now_us=int(now * 1e6),
        )

    def _delete(self, connection: sqlite3.Connection, task: Task) -> Iterator[None]:
        self.report.add(task.what, 0)
        for number in cleanup.delete(connection, task):
            self.report.add(task.what, number)
            yield

    def _audit_before(self) -> int:
        days = self._wishes.retention.audit_days
        return int((self._now() - days * DAY_S) * 1e6) if days else 0

    def _prune(self, open_: "Opener", actor: Actor) -> Iterator[None]:
        self.report.add("audit rows", 0)
        before = self._audit_before()
        if before:
            self.report.add("audit rows", Audit(self._database(open_)).prune(before, actor))
        yield

    def _tell(self, open_: "Opener", actor: Actor) -> None:
        """A row in the audit log, unless there was nothing to do."""
        removed = {what: number for what, number in self.report.removed.items() if number}
        if removed:
            Audit(self._database(open_)).record(actor, "cleanup.run", Thing("home"), after=removed)

    def _sweep(self) -> Iterator[None]:
        for what, path in self._files():
            if path.exists():
                _remove(path)
                self.report.add(what, 1)
            yield

    def _files(self) -> Iterator[tuple[str, Path]]:
        """What lies around: rotated logs, journals of the dead without a call in them, drafts."""
        now, days = self._now(), self._wishes.retention.logs_days
        for path in sorted(self._home.logs.glob("*.jsonl.*")) if days else ():
            if path.stat().st_mtime < now - days * DAY_S:
                yield "log files", path
        for path in sorted(self._home.journal.glob("*.jsonl")):
            if _is_empty_and_free(path):
                yield "empty journals", path
        for pattern in _DRAFTS:
            for path in sorted(self._home.path.glob(pattern)):
                if path.stat().st_mtime < now - _STALE_S:
                    yield "drafts", path

    def _opener(self, stack: ExitStack) -> "Opener":
        paths = {
            "usage": self._home.usage_db,
            "bodies": self._home.bodies_db,
            "control": self._home.control_db,
            "cache": self._home.cache_db,
        }
        known: dict[str, sqlite3.Connection] = {}

        def open_(place: str) -> sqlite3.Connection:
            if place not in known:
                known[place] = stack.enter_context(closing(connect(paths[place])))
            return known[place]

        return open_

    def _database(self, open_: "Opener") -> Database:
        return Database(open_("control"), self._vault, self._now)

    @staticmethod
    def _sizes(connection: sqlite3.Connection) -> tuple[int, int]:
        return cleanup.free_bytes(connection), cleanup.file_bytes(connection)


type Opener = Callable[[str], sqlite3.Connection]


def _remove(path: Path) -> None:
    """A killed backup leaves a folder."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_empty_and_free(path: Path) -> bool:
    """Only one that nobody holds any more, and from which there is no call to be read back."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return not read_lines(file.read())


class Daily:
    """Once a day for a home, however many proxies share it: who has the lock does it."""

    def __init__(self, home: Home, keeper: Callable[[], Housekeeper], now: Callable[[], float] = time.time):
        self._path = home.leases / "cleanup"
        self._keeper = keeper
        self._now = now

    def begin(self) -> Iterator[None] | None:
        """The work, to be done in steps; None if it is somebody else's, or was done today."""
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._now() - _last(descriptor) >= DAY_S:
                return self._steps(descriptor)
        except BlockingIOError:
            pass
        os.close(descriptor)
        return None

    def _steps(self, descriptor: int) -> Iterator[None]:
        try:
            yield
            yield from self._keeper().steps()
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(self._now()).encode(), 0)
        finally:
            os.close(descriptor)


def _last(descriptor: int) -> float:
    try:
        return float(os.pread(descriptor, 64, 0) or b"0")
    except ValueError:
        return 0.0
