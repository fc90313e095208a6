"""The backups that lie in a home: which there are, what they say of themselves, and whether that is true."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_intercept.errors import NotFound
from llm_intercept.home import HOME_VARIABLE, Home
from llm_intercept.store.database import as_text
from llm_intercept.tools import archive, restore
from llm_intercept.tools.archive import BadArchive
from llm_intercept.tools.backup import KIND, Progress


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """`secrets`: none, plain or locked; "" for what is no archive (copies that a migration has made)."""

    name: str
    bytes: int
    made_at: str
    secrets: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A backup that was unpacked, opened and counted. `rows` are those of each table, by database."""

    name: str
    made: str
    program: str
    secrets: str
    rows: dict[str, dict[str, int]]


def whole(home: Home, environ: Mapping[str, str]) -> Home:
    """With the certificates of a source checkout, where the default home has them there."""
    default = Home.find({name: value for name, value in environ.items() if name != HOME_VARIABLE})
    return default if default.path == home.path else home


def stored(home: Home) -> list[StoredBackup]:
    """The newest first."""
    found = [_stored(path) for path in _paths(home)]
    return sorted(found, key=lambda backup: (backup.made_at, backup.name), reverse=True)


def find(home: Home, name: str) -> Path:
    """By its name in the folder of backups, so that nothing else can be meant."""
    for path in _paths(home):
        if path.name == name:
            return path
    raise NotFound(f"there is no backup {name!r}; `llm-intercept backup --list` shows all")


def secrets_of(path: Path) -> str:
    """What it says of the keys in it; "" for what is no backup of ours."""
    try:
        facts = archive.peek(path).facts
    except (BadArchive, NotFound):
        return ""
    return str(facts.get("secrets", "")) if facts.get("kind") == KIND else ""


def verify(path: Path, home: Home, progress: Progress) -> Verified:
    """Unpacks it beside the others and looks at everything; BadArchive says what is wrong with it."""
    home.backups.mkdir(mode=0o700, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".verify.", dir=home.backups))
    try:
        progress("unpacking")
        manifest = archive.unpack(path, folder)
        restore.check_kind(path, manifest)
        progress("checking")
        restore.check_databases(folder, manifest)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    facts: Any = manifest.facts
    rows = {name: database["rows"] for name, database in facts["databases"].items()}
    return Verified(path.name, facts["made"], facts["program"], facts["secrets"], rows)


def _paths(home: Home) -> Iterator[Path]:
    """Hidden ones are being made."""
    return (path for path in home.backups.glob("*") if not path.name.startswith("."))


def _stored(path: Path) -> StoredBackup:
    inside = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    size = sum(p.stat().st_size for p in inside)
    return StoredBackup(path.name, size, as_text(path.stat().st_mtime), secrets_of(path))
