"""The home folder: where everything lies, and how it comes to exist.

Names and creation only; what is inside the files belongs to `store/`, `vault.py` and the settings.
"""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_intercept.errors import ConfigError, Damaged, StoreError
from llm_intercept.resources import checkout
from llm_intercept.store import copies
from llm_intercept.store.migrate import Migrations, Standing, migrate, standing
from llm_intercept.store.schema import BODIES, CONTROL, LIMITS, USAGE
from llm_intercept.vault import create_key_file

HOME_VARIABLE = "LLM_INTERCEPT_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one home. `certs_override`: the checkout's `certs/` when it uses the default home."""

    path: Path
    certs_override: Path | None = None

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> "Home":
        """`LLM_INTERCEPT_HOME`, else `~/.llm-intercept`; nothing is created."""
        configured = environ.get(HOME_VARIABLE, "")
        if configured:
            return cls(Path(configured).expanduser().absolute())
        root = checkout()
        return cls(Path.home() / ".llm-intercept", root / "certs" if root else None)

    @property
    def usage_db(self) -> Path:
        return self.path / "usage.db"

    @property
    def control_db(self) -> Path:
        return self.path / "control.db"

    @property
    def bodies_db(self) -> Path:
        return self.path / "bodies.db"

    @property
    def cache_db(self) -> Path:
        return self.path / "cache.db"

    @property
    def limits_db(self) -> Path:
        return self.path / "limits.db"

    @property
    def leases(self) -> Path:
        return self.path / "leases"

    @property
    def certs(self) -> Path:
        return self.certs_override or self.path / "certs"

    @property
    def config_toml(self) -> Path:
        return self.path / "config.toml"

    @property
    def secret_key(self) -> Path:
        return self.path / "secret.key"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def backups(self) -> Path:
        return self.path / "backups"

    def databases(self) -> tuple[tuple[Path, Migrations], ...]:
        """Each database with its schema."""
        return (
            (self.usage_db, USAGE),
            (self.control_db, CONTROL),
            (self.bodies_db, BODIES),
            (self.limits_db, LIMITS),
        )

    def standings(self) -> tuple[Standing, ...]:
        """What each database has and lacks; nothing is created or changed."""
        try:
            return tuple(standing(path, migrations) for path, migrations in self.databases())
        except Damaged as error:
            advice = "`llm-intercept restore BACKUP --force` puts a backup in the place of this home"
            raise Damaged(f"{error}; {advice}") from error

    def ensure(self, *, keep: bool = True) -> dict[str, tuple[str, ...]]:
        """Creates what is missing and migrates the databases; safe to call from several processes at once.

        With `keep`, a database is copied to `backups/` before it is changed. Where one is newer than this
        program, nothing at all is done. Returns what was applied to each database that existed.
        """
        found = self.standings()
        for each in found:
            if each.unknown:
                raise each.newer()
        self._folders()
        applied = {}
        for each, (path, migrations) in zip(found, self.databases(), strict=True):
            if each.state != "current":
                done = migrate(path, migrations, self._keep if keep else None)
                if each.state == "behind":
                    applied[path.name] = done
        return applied

    def _folders(self) -> None:
        try:
            for folder in (self.path, self.logs, self.journal, self.leases):
                _private_folder(folder)
            create_key_file(self.secret_key)
        except OSError as error:
            raise ConfigError(
                f"cannot create the home folder {self.path}: {error.strerror}; "
                f"make it writable or set {HOME_VARIABLE} to another folder"
            ) from error

    def _keep(self, found: Standing) -> None:
        """A copy of a database as it was, before the first of its pending migrations."""
        size = found.path.stat().st_size
        if shutil.disk_usage(self.path).free < 2 * size:
            raise StoreError(
                f"{found.path} has to be migrated, and there is no room to copy it first ({size:,} bytes); "
                "make room, or run `llm-intercept migrate up --no-backup`"
            )
        _private_folder(self.backups)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        draft = self.backups / f".{found.path.stem}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        copies.copy(found.path, draft)
        draft.replace(self.backups / f"{found.path.stem}-before-{found.pending[0]}-{stamp}.db")


def _private_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
