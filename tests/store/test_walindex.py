"""A look at the WAL's index tells of every commit, whoever made it."""

import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from llm_intercept.store.walindex import WalIndex

seen = pytest.mark.skipif(sys.version_info < (3, 13), reason="mappings of older Pythons hold a descriptor")

# Asks whether anybody has the lock on byte 128 that says that the index is in use.
LOCKED = """
import fcntl, struct, sys
with open(sys.argv[1], "r+b") as file:
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 128, 1, 0)
    print(struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK)
"""


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, autocommit=True)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS t (n)")
    return connection


@seen
@pytest.mark.parametrize(
    ("statement", "changes"),
    [
        ("INSERT INTO t VALUES (1)", True),
        ("CREATE TABLE u (n)", True),
        ("SELECT * FROM t", False),
        ("BEGIN IMMEDIATE; INSERT INTO t VALUES (1); ROLLBACK", False),
    ],
)
def test_commits_of_others_are_seen(tmp_path: Path, statement: str, changes: bool) -> None:
    ours, theirs = _open(tmp_path / "a.db"), _open(tmp_path / "a.db")
    index = WalIndex(tmp_path / "a.db")
    before = index.header()
    theirs.executescript(statement)
    assert before
    assert (index.header() != before) is changes
    index.close()
    theirs.close()
    ours.close()


@seen
def test_each_of_another_process_s_commits(tmp_path: Path) -> None:
    """Checkpoints that begin the WAL anew included."""
    ours = _open(tmp_path / "a.db")
    index = WalIndex(tmp_path / "a.db")
    program = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], autocommit=True)
for n in range(200):
    connection.execute("INSERT INTO t VALUES (?)", (n,))
    if n % 20 == 7:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    print(n, flush=True)
    sys.stdin.readline()
"""
    seen = [index.header()]
    argv = [sys.executable, "-c", program, str(tmp_path / "a.db")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in child.stdout:
            seen.append(index.header())
            child.stdin.write("\n")
            child.stdin.flush()
    assert len(seen) == 201
    assert all(one != other for one, other in pairwise(seen))
    assert ours.execute("SELECT count(*) FROM t").fetchone() == (200,)
    index.close()
    ours.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the layout of a lock")
def test_the_locks_of_our_connections_stay(tmp_path: Path) -> None:
    """Without them the next process would empty what is mapped here."""
    ours = _open(tmp_path / "a.db")
    for _ in range(2):
        index = WalIndex(tmp_path / "a.db")
        index.header()
        index.close()
        argv = [sys.executable, "-c", LOCKED, str(tmp_path / "a.db-shm")]
        assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "True\n"
    ours.close()


def test_a_database_without_a_wal_cannot_be_known(tmp_path: Path) -> None:
    index = WalIndex(tmp_path / "none.db")
    assert index.header() == b""
    index.close()
