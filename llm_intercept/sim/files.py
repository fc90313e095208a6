"""Uploaded files: counted and hashed, small ones kept; `sim-NNmb` names yield NN megabytes on download."""

import re
from collections import OrderedDict
from dataclasses import dataclass

_KEEP = 1_000_000  # larger contents are remembered by size and hash only
_BIG = re.compile(r"sim-(\d{1,4})mb", re.IGNORECASE)
MEGABYTE = 1_000_000
LINE = b"The quick brown fox jumps over the lazy dog, again and again.\n"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as `/v1/files` describes it."""

    id: str
    filename: str
    purpose: str
    size: int
    sha256: str
    created: int
    content: bytes | None  # None: too large to keep
    content_type: str = "application/octet-stream"


class FileStore:
    """The last hundred uploads."""

    def __init__(self, size: int = 100) -> None:
        self._size = size
        self._files: OrderedDict[str, StoredFile] = OrderedDict()

    def add(self, file: StoredFile) -> None:
        self._files[file.id] = file
        if len(self._files) > self._size:
            self._files.popitem(last=False)

    def get(self, file_id: str) -> StoredFile | None:
        return self._files.get(file_id) or _virtual(file_id)

    def remove(self, file_id: str) -> bool:
        return self._files.pop(file_id, None) is not None

    @property
    def all(self) -> list[StoredFile]:
        """Newest first, as the APIs list them."""
        return list(reversed(self._files.values()))


def keepable(size: int) -> bool:
    return size <= _KEEP


def _virtual(file_id: str) -> StoredFile | None:
    found = _BIG.search(file_id)
    if found is None:
        return None
    return StoredFile(file_id, file_id, "user_data", int(found[1]) * MEGABYTE, "", 0, None)
