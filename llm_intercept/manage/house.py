"""Keeping house, by somebody: backups and cleanups, for commands, the management API and pages.

Both take their time. The right to them is checked, and the row about a backup is written, where `control.db`
is open; the work between runs on connections of its own, in whichever thread there is.
"""

import time
from pathlib import Path

from llm_intercept.home import Home
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.settings import Settings
from llm_intercept.store.audit_rows import Thing
from llm_intercept.tools.backup import Backup
from llm_intercept.tools.housekeeping import Housekeeper, Wishes

_BACKUP = "backup.create"
_TAKEN = "backup.download"


class House:
    """Of the home that the desk's `control.db` belongs to."""

    def __init__(self, desk: Desk, settings: Settings) -> None:
        self._desk = desk
        self._settings = settings

    def keeper(self, actor: Actor, *, vacuum: bool = False) -> Housekeeper:
        """Previews a cleanup or does it. Who may not remove may not look: it would tell how much there is."""
        self._desk.check(actor, "cleanup.run", "audit", Thing("home"))
        wishes = Wishes(self._settings.retention, self._settings.capture.retention_days, vacuum)
        control = self._desk.control
        return Housekeeper(Home(control.path.parent), control.database.vault, wishes)

    def may_back_up(self, actor: Actor, target: Path) -> None:
        """Forbidden, with a row, for whoever must not: a backup holds everything of everybody."""
        self._desk.check(actor, _BACKUP, "audit", Thing("backup", target.name))

    def backed_up(self, actor: Actor, made: Backup) -> None:
        """The row about a backup that is there."""
        thing = Thing("backup", made.path.name)
        self._desk.audit.record(actor, _BACKUP, thing, after={"secrets": made.secrets})

    def may_look(self, actor: Actor) -> None:
        """Forbidden for whoever must not even see which backups there are."""
        self._desk.see(actor, "audit", "backups, databases, logs and settings")

    def may_verify(self, actor: Actor, name: str) -> None:
        self._desk.check(actor, "backup.verify", "audit", Thing("backup", name))

    def may_take(self, actor: Actor, name: str) -> None:
        """Forbidden, with a row, for whoever must not have a backup."""
        self._desk.check(actor, _TAKEN, "audit", Thing("backup", name))

    def taken(self, actor: Actor, name: str, secrets: str) -> None:
        """The row about a backup that somebody gets."""
        self._desk.audit.record(actor, _TAKEN, Thing("backup", name), after={"secrets": secrets})


def next_backup(home: Home, now: float) -> Path:
    """Where a backup goes that nobody has named: into the home, called after the moment."""
    home.backups.mkdir(mode=0o700, exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    names = (f"llm-intercept-{stamp}{more}.tar" for more in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(home.backups / name for name in names if not (home.backups / name).exists())
