"""The home folder: where everything lies, and how it comes to exist.

Names and creation only; what is inside the files belongs to `store/`, `vault.py` and the settings.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_intercept.errors import ConfigError
from llm_intercept.resources import checkout
from llm_intercept.store.migrate import migrate
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

    def ensure(self) -> None:
        """Creates what is missing and migrates the databases; safe to call from several processes at once."""
        try:
            for folder in (self.path, self.logs, self.journal, self.leases):
                _private_folder(folder)
            create_key_file(self.secret_key)
        except OSError as error:
            raise ConfigError(
                f"cannot create the home folder {self.path}: {error.strerror}; "
                f"make it writable or set {HOME_VARIABLE} to another folder"
            ) from error
        migrate(self.usage_db, USAGE)
        migrate(self.control_db, CONTROL)
        migrate(self.bodies_db, BODIES)
        migrate(self.limits_db, LIMITS)


def _private_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
