"""Known secrets, how they may be written, where they were seen, and where they are meant to be.

A place is something that somebody can read: a file, an answer, a page, what a command prints. Every secret is
looked for in every place; `MEANT` has the few that are right, each with its reason.
"""

import base64
import contextlib
import gzip
import json
import secrets
import sqlite3
import string
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote

WINDOW = 14  # characters in a row that nobody has by chance
_LETTERS = string.ascii_letters + string.digits
_PACKED = (b"\x1f\x8b\x08", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_MOST = 20_000_000


def shapeless(length: int = 44, odd: str = "") -> str:
    """Random text that no pattern could know, with these characters in it."""
    text = [secrets.choice(_LETTERS) for _ in range(length)]
    text[-3:] = "aB3"  # a row of letters alone would be a word, now and then
    for number, character in enumerate(odd):
        text[(number + 1) * length // (len(odd) + 1)] = character
    return "".join(text)


@dataclass(frozen=True, slots=True)
class Meant:
    """Patterns of names of secrets and of places that belong together."""

    secret: str
    place: str
    why: str


@dataclass(frozen=True, slots=True)
class Seen:
    secret: str
    place: str
    form: str
    around: str


@dataclass(slots=True)
class Aviary:
    """All canaries and all places."""

    canaries: dict[str, str] = field(default_factory=dict)
    places: dict[str, bytes] = field(default_factory=dict)
    open_files: list[str] = field(default_factory=list)  # those that others can read

    def keep(self, name: str, text: str) -> str:
        """A secret that somebody else has made."""
        assert len(text) >= WINDOW, f"{name} is too short to look for"
        assert self.canaries.setdefault(name, text) == text, f"{name} is known"
        return text

    def new(self, name: str, prefix: str = "", odd: str = "") -> str:
        return self.keep(name, prefix + shapeless(odd=odd))

    def look_at(self, place: str, what: bytes | str) -> None:
        data = what.encode("utf-8", "surrogateescape") if isinstance(what, str) else what
        place = " ".join(place.split())
        number, name = 1, place
        while name in self.places:
            number, name = number + 1, f"{place} #{number + 1}"
        self.places[name] = data

    def seen(self) -> Iterator[Seen]:
        """Every sighting, the right ones too."""
        looked_for = [(n, forms(text)) for n, text in self.canaries.items()]
        known: dict[bytes, list[tuple[str, str, str]]] = {}
        for place, data in self.places.items():
            if data not in known:
                known[data] = [found for n, needles in looked_for for found in _found(n, needles, data)]
            yield from (Seen(name, place, form, around) for name, form, around in known[data])


def _found(name: str, needles: dict[str, bytes], data: bytes) -> Iterator[tuple[str, str, str]]:
    for form, needle in needles.items():
        at = data.find(needle)
        if at >= 0:
            yield name, form, data[max(at - 60, 0) : at + 60].decode("utf-8", "replace")


def forms(text: str) -> dict[str, bytes]:
    """The ways in which a secret may be written, each cut to a window: half of it is a leak as well."""
    middle = (len(text) - WINDOW) // 2
    windows = {"start": text[-len(text) + len(text) // 8 :][:WINDOW], "middle": text[middle:][:WINDOW]}
    windows["end"] = text[: len(text) - len(text) // 8][-WINDOW:]
    found = {name: window.encode() for name, window in windows.items()}
    core = windows["middle"].encode()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + core)
        whole = encoded[4 if shift else 0 : (shift + len(core)) // 3 * 4]
        found[f"base64 {shift}"] = whole
        found[f"base64url {shift}"] = whole.translate(bytes.maketrans(b"+/", b"-_"))
    found["hex"], found["HEX"] = core.hex().encode(), core.hex().upper().encode()
    found["url"], found["json"] = quote(core, safe="").encode(), json.dumps(core.decode())[1:-1].encode()
    found["json, slashes"] = found["json"].replace(b"/", b"\\/")
    found["backwards"] = core[::-1]
    unique = {needle: form for form, needle in reversed(found.items())}
    return {form: needle for needle, form in unique.items()}


def leaks(aviary: Aviary, meant: tuple[Meant, ...]) -> tuple[list[Seen], set[Meant]]:
    """What was seen where it must not be, and which of the exceptions there was a need for."""
    wrong, used = [], set()
    for seen in aviary.seen():
        right = {m for m in meant if fnmatchcase(seen.secret, m.secret) and fnmatchcase(seen.place, m.place)}
        used |= right
        if not right:
            wrong.append(seen)
    return wrong, used


# --- what lies in a folder


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file as it is, databases row by row as well, and whatever is packed in any of them."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, data = str(path.relative_to(folder)), path.read_bytes()
        yield name, data
        yield from ((f"{name} unpacked", inner) for inner in unpacked(data))
        if data.startswith(b"SQLite format 3"):
            yield from ((f"{name} {table}", rows) for table, rows in _tables(path))
        if name.endswith((".tar", ".tar.gz", ".tgz", ".backup")) or tarfile.is_tarfile(path):
            yield from ((f"{name} {member}", inner) for member, inner in members(path))


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            if file is None:
                continue
            data = file.read()
            yield member.name, data
            yield from ((f"{member.name} unpacked", inner) for inner in unpacked(data))


def _tables(path: Path) -> Iterator[tuple[str, bytes]]:
    """Rows lie across pages in the file; here every value is whole, and unpacked."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            values = [value for row in db.execute(f'SELECT * FROM "{name}"') for value in row]
            yield name, b"\n".join(_plain(value) for value in values)


def _plain(value: object) -> bytes:
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    return b"\n".join([data, *unpacked(data)])


def unpacked(data: bytes) -> Iterator[bytes]:
    """What begins like gzip or zlib anywhere inside, and is."""
    for magic in _PACKED:
        at = data.find(magic)
        while at >= 0:
            with contextlib.suppress(zlib.error, EOFError, gzip.BadGzipFile):
                inner = zlib.decompressobj(47).decompress(data[at:], _MOST)
                if len(inner) > WINDOW:
                    yield inner
            at = data.find(magic, at + 1)
