"""Reading multipart/form-data out of a file without holding it in memory."""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

type Buffer = bytes | mmap.mmap

_NAME = re.compile(rb'[; ]name="([^"]*)"')
_FILENAME = re.compile(rb'filename="([^"]*)"')
_TYPE = re.compile(rb"(?im)^content-type:\s*([^\r\n;]+)")


@dataclass(frozen=True, slots=True)
class Part:
    """One field: where its content lies in the buffer."""

    name: str
    filename: str | None
    content_type: str
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def buffer(file: IO[bytes]) -> Buffer:
    """The file's bytes: mapped if it lies on disk."""
    file.seek(0, 2)
    if getattr(file, "_rolled", False) and file.tell():
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    file.seek(0)
    return file.read()


def parts(data: Buffer, content_type: str) -> Iterator[Part]:
    """The fields in their order; none if the content type names no boundary."""
    found = re.search(r'boundary="?([^";,]+)', content_type)
    if found is None:
        return
    marker = b"--" + found[1].encode()
    at = data.find(marker)
    while at >= 0:
        head = at + len(marker)
        end = data.find(b"\r\n" + marker, head)
        blank = data.find(b"\r\n\r\n", head)
        if end < 0 or blank < 0 or data[head : head + 2] == b"--":
            return
        yield _part(data[head:blank], blank + 4, end)
        at = end + 2


def _part(head: bytes, start: int, end: int) -> Part:
    name, filename, kind = _NAME.search(head), _FILENAME.search(head), _TYPE.search(head)
    return Part(
        name=name[1].decode("utf-8", "replace") if name else "",
        filename=filename[1].decode("utf-8", "replace") if filename else None,
        content_type=kind[1].decode("latin-1").strip() if kind else "",
        start=start,
        end=max(start, end),
    )


def fields(data: Buffer, found: list[Part]) -> dict[str, str]:
    """The text fields."""
    return {p.name: data[p.start : p.end].decode("utf-8", "replace") for p in found if p.filename is None}
