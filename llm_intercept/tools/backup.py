"""A whole home in one archive, taken while everything runs.

What is in it: every row that was committed when its database was looked at. The databases are looked at one
right after the other, in an order that loses nothing between them: limits, bodies, journal, usage, control.
A call that limits have counted is in the journal or in the books, a body has its row, and what rows are named
after exists. Copying takes its time; what is copied is that one moment.
"""

import shutil
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from llm_intercept import __version__
from llm_intercept.errors import StoreError
from llm_intercept.home import Home
from llm_intercept.store import copies
from llm_intercept.store.copies import Contents, Held
from llm_intercept.tools import archive, lockbox

FORMAT = 1
KIND = "llm-intercept backup"
SECRETS = "secrets.locked"
_LEFT_OUT = frozenset({"logs", "journal", "leases", "backups", "certs", "proxy.json", "dashboard.json"})
_ENDINGS = (".db", ".db-wal", ".db-shm")
_PRIVATE = b"PRIVATE KEY-----"

type Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """With `secrets` and no passphrase they lie in the archive as they are."""

    secrets: bool = False
    passphrase: SecretStr | None = None

    @property
    def kind(self) -> str:
        if not self.secrets:
            return "none"
        return "locked" if self.passphrase else "plain"


@dataclass(frozen=True, slots=True)
class Backup:
    """What was made."""

    path: Path
    bytes: int
    databases: dict[str, Contents]
    secrets: str  # none | plain | locked
    checks: dict[str, int]
    left_out: list[str] = field(default_factory=list)


def make(home: Home, target: Path, wanted: Wanted, now: float, progress: Progress) -> Backup:
    """Leaves an archive at `target` that was opened and checked, or nothing."""
    archive.check_free(target)
    folder = target.absolute().with_name(f".{target.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        _copy_databases(home, folder, progress)
        left_out = _copy_files(home, folder, wanted)
        progress("checking")
        databases = {path.name: copies.examine(folder / path.name) for path in _databases(home)}
        checks = crosscheck(Home(folder))
        archive.describe(folder, _facts(databases, checks, wanted, left_out, now))
        progress("packing")
        archive.pack(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Backup(target, _size(target), databases, wanted.kind, checks, left_out)


def crosscheck(home: Home) -> dict[str, int]:
    """What the databases of a copy have to say about each other."""
    return copies.crosscheck(home.usage_db, home.bodies_db, home.control_db)


def _copy_databases(home: Home, folder: Path, progress: Progress) -> None:
    """All are held before the first is copied, so that they are of one moment."""
    with ExitStack() as stack:

        def hold(path: Path) -> Held:
            held = Held(path)
            stack.callback(held.close)
            return held

        held = [hold(home.limits_db), hold(home.bodies_db)]
        _copy_journal(home.journal, folder / "journal")
        held += [hold(home.usage_db), hold(home.control_db)]
        for each in held:
            each.copy(folder / each.path.name, _telling(each.path.name, progress))


def _telling(name: str, progress: Progress) -> copies.Progress:
    said = -1

    def tell(done: int, total: int) -> None:
        nonlocal said
        tenth = done * 10 // total if total else 10
        if tenth > said:
            said = tenth
            progress(f"{name} {tenth * 10} %")

    return tell


def _copy_journal(journal: Path, folder: Path) -> None:
    """A segment that is deleted meanwhile is in the books by then."""
    folder.mkdir(mode=0o700)
    for path in journal.glob("*.jsonl"):
        try:
            archive.write_private(folder / path.name, path.read_bytes())
        except FileNotFoundError:
            continue


def _copy_files(home: Home, folder: Path, wanted: Wanted) -> list[str]:
    """Settings, certificates and what people have put into the home; returns what was left out as secret."""
    secret: dict[str, bytes] = {}
    for name, path in _files(home).items():
        content = path.read_bytes()
        if wanted.kind != "plain" and is_secret(name, content):
            secret[name] = content
        else:
            (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            archive.write_private(folder / name, content)
    if wanted.passphrase is not None and wanted.secrets:
        archive.write_private(folder / SECRETS, lockbox.lock(secret, wanted.passphrase))
        return []
    return sorted(secret)


def _files(home: Home) -> dict[str, Path]:
    found = {f"certs/{p.relative_to(home.certs).as_posix()}": p for p in _below(home.certs)}
    for path in _below(home.path):
        name = path.relative_to(home.path).as_posix()
        if name.partition("/")[0] not in _LEFT_OUT and not name.endswith(_ENDINGS):
            found[name] = path
    return found


def _below(folder: Path) -> list[Path]:
    """Files, without hidden ones: those are drafts, or not ours."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def is_secret(name: str, content: bytes) -> bool:
    """Keys, and settings with the secret of a webhook in them."""
    if name == "secret.key" or name.endswith(".p12") or _PRIVATE in content:
        return True
    return name == "config.toml" and _has_secrets(content)


def _has_secrets(content: bytes) -> bool:
    try:
        webhooks = tomllib.loads(content.decode()).get("webhooks", [])
        return any("secret" in webhook for webhook in webhooks)
    except (ValueError, TypeError, AttributeError):
        return True  # it cannot be known


def _facts(
    databases: dict[str, Contents],
    checks: dict[str, int],
    wanted: Wanted,
    left_out: list[str],
    now: float,
) -> dict[str, object]:
    return {
        "kind": KIND,
        "format": FORMAT,
        "made": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "program": __version__,
        "databases": databases,
        "checks": checks,
        "secrets": wanted.kind,
        "left_out": left_out,
    }


def _databases(home: Home) -> list[Path]:
    return [path for path, _ in home.databases()]


def _size(target: Path) -> int:
    try:
        return sum(p.stat().st_size for p in (target.rglob("*") if target.is_dir() else [target]))
    except OSError as error:
        raise StoreError(f"{target} cannot be read: {error.strerror}") from error
