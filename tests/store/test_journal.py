import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llm_intercept.errors import StoreError
from llm_intercept.store.journal import Journal, read_lines, under_way
from llm_intercept.store.rows import RequestRow, ViolationRow
from tests.store.example import START_US, row

type Child = subprocess.Popen[str]

# A process that begins ten calls, finishes the even ones and waits to be killed.
CHILD = """
import sys
from contextlib import closing
from pathlib import Path
from llm_intercept.store.journal import Journal
from tests.store.example import row

journal = Journal(Path(sys.argv[1]))
for n in range(10):
    intent = row(n, outcome="", status=None)
    journal.begin(intent.id, intent)
journal.done(*[row(n) for n in range(0, 10, 2)])
journal.cancel(row(9).id)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    journal = Journal(folder)
    yield journal
    journal.close()


@pytest.fixture
def child(folder: Path) -> Iterator[Child]:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_kill_minus_nine_loses_nothing(folder: Path, journal: Journal, child: Child) -> None:
    assert journal.recover() == []  # its owner is alive
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    rows = journal.recover()
    assert [r.outcome for r in rows] == ["ok", "interrupted"] * 4 + ["ok"]
    assert rows[0] == row(0)
    assert (rows[1].project, rows[1].duration_ms, rows[1].status) == ("project-1", None, None)
    assert rows[1].tries == row(1).tries


def test_what_is_under_way_can_be_seen_from_outside(folder: Path, journal: Journal, child: Child) -> None:
    """Of a process that runs, and of ourselves: `route explain` asks."""
    assert under_way(folder) == {("openai", "gpt-1"): 4}
    journal.begin(START_US, {"request_id": "r", "provider": "groq", "model": "llama"})
    assert under_way(folder) == {("openai", "gpt-1"): 4, ("groq", "llama"): 1}
    assert under_way(folder / "none") == {}


def test_violations_come_back_with_their_row(folder: Path) -> None:
    dead = Journal(folder)
    wrong = ViolationRow(0, "ours", "gemini", 0, "the stream ended without a candidate")
    dead.done(row(1, violations=[wrong]), row(2))
    dead.close()
    alive = Journal(folder)
    assert [found.violations for found in alive.recover()] == [[wrong], []]
    alive.close()


def test_recovered_segments_stay_until_their_rows_are_committed(
    folder: Path, journal: Journal, child: Child
) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    rows = journal.recover()
    journal.close()  # a crash before anything was committed
    again = Journal(folder)
    assert again.recover() == rows
    again.committed([r.id for r in rows])
    again.close()
    assert list(folder.iterdir()) == []


def test_two_processes_recover_a_segment_once(folder: Path, journal: Journal, child: Child) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    other = Journal(folder)
    assert len(journal.recover()) == 9
    assert other.recover() == []
    other.close()


def test_a_clean_end_leaves_no_file(folder: Path) -> None:
    journal = Journal(folder)
    journal.begin(1, {"request_id": "a"})
    journal.done(row(0, id=1))
    journal.committed([1])
    journal.close()
    assert list(folder.iterdir()) == []


def test_what_is_not_committed_survives_a_clean_end(folder: Path) -> None:
    journal = Journal(folder)
    journal.done(row(0), row(1))
    journal.committed([row(0).id])
    journal.close()
    with closing(Journal(folder)) as again:
        assert row(1) in again.recover()


def test_full_segments_are_deleted_once_committed(folder: Path) -> None:
    journal = Journal(folder, segment_bytes=2_000)
    for n in range(50):
        journal.begin(row(n).id, {"request_id": f"r{n}"})
    files = set(folder.iterdir())
    assert len(files) > 1
    journal.committed([row(n).id for n in range(49)])
    assert len(set(folder.iterdir())) < len(files)
    journal.committed([row(49).id])
    assert len(set(folder.iterdir())) == 1
    journal.close()


def test_it_does_not_grow(folder: Path) -> None:
    journal = Journal(folder, segment_bytes=20_000)
    for n in range(1000):
        journal.begin(row(n).id, {"request_id": f"r{n}"})
        journal.done(row(n))
        journal.committed([row(n).id])
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20_000
    journal.close()


def test_each_append_is_one_write(folder: Path, journal: Journal) -> None:
    """The file is whole after each call, without any flush."""
    [path] = folder.iterdir()
    for n in range(3):
        journal.begin(n, {"request_id": f"r{n}"})
        assert path.read_bytes().count(b"\n") == n + 2
        assert path.read_bytes().endswith(b"}\n")


def test_undecodable_text_is_journaled(folder: Path) -> None:
    journal = Journal(folder)
    journal.begin(1, {"request_id": "a", "client": "x\udcff"})
    journal.begin(2, row(0, id=2, client="x\udcff"))
    journal.done(row(1, client="y\udcff"))
    journal.close()
    with closing(Journal(folder)) as again:
        assert [r.client for r in again.recover()] == ["x?", "x?", "y?"]


def test_a_closed_journal_writes_nowhere(folder: Path, tmp_path: Path) -> None:
    journal = Journal(folder)
    journal.close()
    with (tmp_path / "innocent").open("wb") as file:  # is likely to get the descriptor
        with pytest.raises(OSError, match="Bad file descriptor"):
            journal.done(row(0))
        file.write(b"own")
    assert (tmp_path / "innocent").read_bytes() == b"own"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(StoreError, match=r"journal .* cannot be written"):
        Journal(blocker / "journal")


BEGUN = b'B {"id":%d,"request_id":"r"}\n' % START_US


@pytest.mark.parametrize(
    ("content", "outcomes"),
    [
        (b"", []),
        (BEGUN, ["interrupted"]),
        (BEGUN + b'D {"id":%d,"request_id":"r","outcome":"ok"}\n' % START_US, ["ok"]),
        (BEGUN + b'D {"id":%d,"request_id":"r","outcome":"o' % START_US, ["interrupted"]),
        (BEGUN[:-9], []),
        (BEGUN + b"X %d\n" % START_US, []),
        (BEGUN + b"X 1795", ["interrupted"]),
        (BEGUN.replace(b'"r"', b'"r","a_field_of_tomorrow":1'), ["interrupted"]),
        (
            b'H {"row":["tomorrow","request_id","id"],"attempt":[]}\nB [1,"r",%d,[]]\n' % START_US,
            ["interrupted"],
        ),
        (b'H {"row":["id","request_id","outcome"],"attempt":["x"]}\nD [1,"r","ok",[]]\nD [1,"s"]\n', ["ok"]),
        (b"H []\n" + BEGUN, ["interrupted"]),
        (b"\x00\xff garbage\n\nB []\nB {}\nD 5\n" + BEGUN, ["interrupted"]),
        (BEGUN + BEGUN, ["interrupted"]),
    ],
)
def test_reading_lines(content: bytes, outcomes: list[str]) -> None:
    rows: list[RequestRow] = read_lines(content)
    assert [r.outcome for r in rows] == outcomes
