"""A backup becomes a home: checked, migrated and whole before it takes the old one's place, which is kept.

Until the very last step nothing in the home is touched, and that step is one exchange of two folders.
"""

import ctypes
import errno
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from llm_intercept import presence
from llm_intercept.errors import ConfigError, Conflict, InterceptError
from llm_intercept.home import Home
from llm_intercept.store import copies
from llm_intercept.store.control import Control
from llm_intercept.store.reservations import is_dead
from llm_intercept.tools import archive, lockbox
from llm_intercept.tools.archive import BadArchive, Manifest
from llm_intercept.tools.backup import FORMAT, KIND, SECRETS, Progress
from llm_intercept.vault import KEY_VARIABLE, Vault

_UNFINISHED = ".unfinished"
_AT_FDCWD = -2 if sys.platform == "darwin" else -100
_EXCHANGE = 2  # RENAME_EXCHANGE and RENAME_SWAP


@dataclass(frozen=True, slots=True)
class Restored:
    """`aside`: where the old home is now.

    `key` says where the key is from: backup, old home, environment, or nowhere.
    """

    home: Path
    made: str
    aside: Path | None
    key: str
    rows: dict[str, dict[str, int]]
    migrated: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Source:
    """Which backup, and what opens its secrets."""

    path: Path
    passphrase: SecretStr | None = None


def restore(
    source: Source, home: Home, environ: Mapping[str, str], progress: Progress, *, force: bool = False
) -> Restored:
    check_unused(home, force)
    folder = _staging(home.path)
    try:
        progress("unpacking")
        manifest = archive.unpack(source.path, folder)
        check_kind(source.path, manifest)
        progress("checking")
        check_databases(folder, manifest)
        key = _secrets(folder, manifest, home, source.passphrase) or _configured(folder, environ)
        progress("migrating")
        migrated = Home(folder).ensure(keep=False)
        _check_key(Home(folder), key, environ)
        check_unused(home, force)
        (folder / _UNFINISHED).unlink()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    aside = _swap(folder, home.path)
    rows = {name: database["rows"] for name, database in manifest.facts["databases"].items()}
    return Restored(home.path, str(manifest.facts["made"]), aside, key, rows, migrated)


def check_unused(home: Home, force: bool) -> None:
    """Refuses while somebody works there, and to replace a home without being told to."""
    if not home.path.is_dir() or not any(home.path.iterdir()):
        return
    alive = [lease for lease in home.leases.glob("*.lock") if not is_dead(home.leases, lease.stem)]
    if alive or presence.find(home.path):
        raise Conflict(f"a proxy is running on {home.path}; stop it first (`llm-intercept up`, or `proxy`)")
    if not force:
        raise Conflict(f"{home.path} is a home already; --force replaces it and keeps the old one beside it")
    for path, _ in home.databases():
        if path.exists() and copies.in_use(path):
            raise Conflict(
                f"{path} is open in another program; stop the dashboard and everything that uses it"
            )


def _staging(home: Path) -> Path:
    """A new folder beside the home; those that a killed restore has left unfinished are removed."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        for left in home.parent.glob(f".{home.name}.restoring.*"):
            if (left / _UNFINISHED).exists():
                shutil.rmtree(left, ignore_errors=True)
        folder = home.with_name(f".{home.name}.restoring.{os.getpid()}.{time.time_ns()}")
        folder.mkdir(mode=0o700)
        (folder / _UNFINISHED).touch()
    except OSError as error:
        raise ConfigError(f"nothing can be written beside {home}: {error.strerror}") from error
    return folder


def check_kind(path: Path, manifest: Manifest) -> None:
    if manifest.facts.get("kind") != KIND:
        raise BadArchive(f"{path} is no backup of a home")
    if manifest.facts.get("format") != FORMAT:
        raise BadArchive(f"{path} was made by a newer llm-intercept; upgrade this one")


def check_databases(folder: Path, manifest: Manifest) -> None:
    for found in Home(folder).standings():
        if found.unknown:
            raise found.newer()
    for name, known in manifest.facts["databases"].items():
        found_now = asdict(copies.examine(folder / name))
        if found_now != known:
            raise BadArchive(f"{name} does not hold what the manifest of the backup says")


def _secrets(folder: Path, manifest: Manifest, home: Home, passphrase: SecretStr | None) -> str:
    """Puts secret.key and what else was locked in their places; returns where the key came from."""
    locked = folder / SECRETS
    if locked.exists():
        if passphrase is None:
            raise ConfigError("the secrets of this backup are locked; say --passphrase-env NAME")
        for name, content in lockbox.unlock(locked.read_bytes(), passphrase).items():
            (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            archive.write_private(folder / name, content)
        locked.unlink()
    if (folder / "secret.key").exists():
        return "backup"
    return "old home" if _borrow(folder, manifest, home) else ""


def _configured(folder: Path, environ: Mapping[str, str]) -> str:
    if not environ.get(KEY_VARIABLE, "").strip():
        return "nowhere"
    return "environment" if _fits(folder, Home(folder).secret_key, environ) else "nowhere"


def _borrow(folder: Path, manifest: Manifest, home: Home) -> bool:
    """What the backup left out is taken from the old home, if its key is the one that fits."""
    if not home.secret_key.exists() or not _fits(folder, home.secret_key, {}):
        return False
    for name in manifest.facts.get("left_out", []):
        known = home.certs / name.removeprefix("certs/") if name.startswith("certs/") else home.path / name
        if known.is_file() and not (folder / name).exists():
            (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            archive.write_private(folder / name, known.read_bytes())
    return True


def _fits(folder: Path, key: Path, environ: Mapping[str, str]) -> bool:
    """Asked of a copy of control.db with its schema as it is."""
    try:
        return copies.has_digest(folder / "control.db", Vault.load(key, environ).key_check())
    except InterceptError:
        return False


def _check_key(home: Home, key: str, environ: Mapping[str, str]) -> None:
    """Without the right key there is none, rather than a new one that fits nothing."""
    if key == "nowhere":
        home.secret_key.unlink()
        return
    environ = environ if key == "environment" else {}
    Control(home.control_db, Vault.load(home.secret_key, environ)).close()


def _swap(folder: Path, home: Path) -> Path | None:
    """One exchange where the system has it; elsewhere two renames, between which there is no home."""
    try:
        if not home.exists() or not any(home.iterdir()):
            folder.replace(home)
            return None
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        aside = home.with_name(f"{home.name}.before-restore-{stamp}-{os.getpid()}")
        if _exchange(folder, home):
            folder.rename(aside)
        else:
            home.rename(aside)
            folder.rename(home)
        return aside
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.EXDEV):
            raise ConfigError(
                f"{home} cannot be replaced, it seems to be a mount point; restore into another folder with "
                f"--home and move its files. The restored home is {folder}"
            ) from error
        raise ConfigError(
            f"{home} cannot be replaced: {error.strerror}; the restored home is {folder}"
        ) from error


def _exchange(one: Path, other: Path) -> bool:
    libc: Any = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    if hasattr(libc, "renameat2"):
        done = libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _EXCHANGE)
    elif hasattr(libc, "renamex_np"):
        done = libc.renamex_np(first, second, _EXCHANGE)
    else:
        return False
    if done == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number))
