"""Whether a database in WAL mode has been written since the last look, without a system call.

Every commit, of whichever process, writes the header of the WAL's index anew before it returns; that index
is memory which all connections share (`NAME-shm`, https://www.sqlite.org/walformat.html section 2.1). A look
at it costs a fraction of a microsecond, `PRAGMA data_version` a dozen.

The file must not be opened here, nor a duplicate of SQLite's own descriptor closed: with the first descriptor
of a file that a process closes it loses all its locks on that file, SQLite's included. The next process then
takes itself for the first one, and empties the file that is mapped here (SIGBUS).
"""

import contextlib
import mmap
import os
import sys
from pathlib import Path

_HEADER_BYTES = 96  # twice 48: a writer that is at it shows in one of the two
_DESCRIPTORS = ("/proc/self/fd", "/dev/fd")


class WalIndex:
    """Keep a connection to the database open meanwhile: the file goes with the last one."""

    def __init__(self, database: Path) -> None:
        # None: no WAL on this file system, or nothing read yet: the database has to be asked each time.
        self._memory = _mapped(database.with_name(f"{database.name}-shm"))

    def header(self) -> bytes:
        """Changes with every commit; b"" if it cannot be known."""
        return self._memory[:_HEADER_BYTES] if self._memory is not None else b""

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()
            self._memory = None


def _mapped(path: Path) -> mmap.mmap | None:
    """By the descriptor that SQLite has; before Python 3.13 a mapping has a duplicate of its own."""
    if sys.version_info >= (3, 13):
        descriptor = _descriptor(path)
        if descriptor is not None:
            with contextlib.suppress(OSError, ValueError):
                return mmap.mmap(descriptor, _HEADER_BYTES, access=mmap.ACCESS_READ, trackfd=False)
    return None


def _descriptor(path: Path) -> int | None:
    """A descriptor that this process has of a file."""
    folder = next((folder for folder in _DESCRIPTORS if os.path.isdir(folder)), None)
    try:
        wanted = path.stat()
    except OSError:
        return None
    for name in os.listdir(folder) if folder is not None else ():
        with contextlib.suppress(OSError, ValueError):
            if os.path.samestat(os.fstat(int(name)), wanted):
                return int(name)
    return None
