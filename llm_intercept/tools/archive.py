"""Files with a manifest that tells each one's size and SHA-256: as a folder, or as one .tar or .tar.gz file.

What the files are belongs to whoever makes them (`backup.py`, `project_archive.py`).
"""

import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

import orjson

from llm_intercept.errors import Conflict, InterceptError, NotFound

MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_LONGEST_MANIFEST = 64_000_000
_MODES: dict[str, Literal["w", "w:gz"]] = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz"}
_BROKEN = (OSError, tarfile.TarError, EOFError, zlib.error)


class BadArchive(InterceptError):
    """It cannot be read, or is not what its manifest says."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`facts` is what its maker has to say."""

    facts: Mapping[str, Any]
    files: Mapping[str, tuple[int, str]]


def packing(target: Path) -> str:
    """The ending that says how it is packed; "" for a folder."""
    return next((ending for ending in _MODES if target.name.endswith(ending)), "")


def check_free(target: Path) -> None:
    """Conflict if something is in the way."""
    if target.is_dir() and not any(target.iterdir()) and not packing(target):
        return
    if target.exists():
        raise Conflict(f"{target} exists already; choose another name")
    if not target.absolute().parent.is_dir():
        raise NotFound(f"there is no folder {target.absolute().parent} to write {target.name} into")


def describe(folder: Path, facts: Mapping[str, object]) -> None:
    """Writes the manifest of everything that lies in the folder."""
    files = {name: _fingerprint(folder / name) for name in _names(folder)}
    listed = [{"name": name, "bytes": size, "sha256": digest} for name, (size, digest) in files.items()]
    content = orjson.dumps({**facts, "files": listed}, option=orjson.OPT_INDENT_2)
    write_private(folder / MANIFEST, content)


def pack(folder: Path, target: Path) -> None:
    """Puts a described folder in its place, whole or not at all; the folder is gone afterwards."""
    mode = _MODES.get(packing(target))
    if mode is None:
        if target.is_dir():
            target.rmdir()
        folder.rename(target)
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            _write_tar(folder, file, mode)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    shutil.rmtree(folder)


def unpack(source: Path, folder: Path) -> Manifest:
    """Copies an archive's files into an empty folder, and makes sure that they are what was packed."""
    try:
        manifest = _from_folder(source, folder) if source.is_dir() else _from_tar(source, folder)
    except FileNotFoundError:
        raise NotFound(f"there is no archive {source}") from None
    except _BROKEN as error:
        raise BadArchive(_why(source, error)) from error
    for name, known in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise BadArchive(f"{source} is not complete: {name} is missing")
        if _fingerprint(path) != known:
            raise BadArchive(f"{source} is damaged: {name} is not what its manifest says")
    return manifest


def peek(source: Path) -> Manifest:
    """What its manifest says; whether that is true is not looked at."""
    try:
        if source.is_dir():
            return _read((source / MANIFEST).read_bytes(), source)
        with tarfile.open(source) as tar:
            return _first(tar, source)
    except FileNotFoundError:
        raise NotFound(f"there is no archive {source}") from None
    except _BROKEN as error:
        raise BadArchive(_why(source, error)) from error


def write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _write_tar(folder: Path, file: io.BufferedWriter, mode: Literal["w", "w:gz"]) -> None:
    with tarfile.open(fileobj=file, mode=mode) as tar:
        for name in (MANIFEST, *_names(folder)):
            tar.add(folder / name, name, filter=_private)


def _private(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _from_folder(source: Path, folder: Path) -> Manifest:
    manifest = _read((source / MANIFEST).read_bytes(), source)
    for name in manifest.files:
        if not (source / name).is_file():
            raise BadArchive(f"{source} is not complete: {name} is missing")
        (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)
        (folder / name).chmod(0o600)
    return manifest


def _from_tar(source: Path, folder: Path) -> Manifest:
    """The manifest comes first; what it does not name is not written anywhere."""
    with tarfile.open(source) as tar:
        manifest = _first(tar, source)
        while (member := tar.next()) is not None:
            if not member.isreg() or member.name not in manifest.files:
                raise BadArchive(f"{source} holds {member.name}, which its manifest does not name")
            _extract(_member(tar, member), folder / member.name)
    return manifest


def _first(tar: tarfile.TarFile, source: Path) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isreg():
        raise BadArchive(f"{source} is no archive of llm-intercept: it has no manifest")
    return _read(_member(tar, first).read(_LONGEST_MANIFEST), source)


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> io.BufferedReader:
    return cast(io.BufferedReader, tar.extractfile(member))


def _extract(content: io.BufferedReader, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(content, file, _CHUNK)


def _why(source: Path, error: BaseException) -> str:
    first, *rest = str(error).splitlines() or [""]
    # Several lines: each kind of archive that it is not.
    return f"{source} is no archive of llm-intercept" if rest else f"{source} cannot be read: {first}"


def _read(content: bytes, source: Path) -> Manifest:
    try:
        values = orjson.loads(content)
        listed = values.pop("files")
        files = {file["name"]: (int(file["bytes"]), str(file["sha256"])) for file in listed}
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise BadArchive(f"the manifest of {source} cannot be read") from error
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or name in ("", MANIFEST) or "\\" in name:
            raise BadArchive(f"{source} names a file that cannot be in it: {name}")
    return Manifest(values, files)


def _names(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name != MANIFEST)


def _fingerprint(path: Path) -> tuple[int, str]:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return path.stat().st_size, digest.hexdigest()
