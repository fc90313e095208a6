"""Kills a command with -9 at every step it takes: each file it touches and each SQL statement it runs.

    python tests/mortal.py TEMPLATE FOLDER WORD ...

For N = 1, 2, ... the home TEMPLATE is copied to FOLDER/N/home, and a child runs the command there until its
Nth step. It ends when a child has come to its end; the number of children is printed.
"""

import os
import shutil
import signal
import sqlite3
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

_FILES = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate", "os.symlink"}
_WRITES = os.O_WRONLY | os.O_RDWR


class Steps:
    """Counts down to the last one."""

    def __init__(self, limit: int, folder: Path) -> None:
        self.left = limit
        self.folder = str(folder)

    def hook(self, event: str, arguments: Any) -> None:
        if event in _FILES or (event == "open" and self._writes(arguments)):
            self.step()

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(self, connect: Any) -> Any:
        """`sqlite3.connect`, with each statement of its connection as a step."""

        def opened(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **options)
            connection.set_trace_callback(lambda _: self.step())
            return connection

        return opened

    def _writes(self, arguments: Any) -> bool:
        path, _, flags = arguments
        return isinstance(flags, int) and bool(flags & _WRITES) and self.folder in str(path)


def digests(folder: Path) -> dict[str, str]:
    """What lies in a folder, to tell whether anything has changed."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def run(words: list[str], folder: Path) -> None:
    from llm_intercept.cli import main

    os.environ["LLM_INTERCEPT_HOME"] = str(folder / "home")
    os.chdir(folder)
    main(words, standalone_mode=True)


def one(number: int, template: Path, folder: Path, words: list[str]) -> bool:
    """Whether the child was killed before its end."""
    shutil.copytree(template, folder / "home")
    child = os.fork()
    if child == 0:
        steps = Steps(number, folder)
        sys.addaudithook(steps.hook)
        sqlite3.connect = steps.traced(sqlite3.connect)  # type: ignore[assignment]
        run(words, folder)
        os._exit(9)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        sys.exit(f"the child of step {number} ended with {status}")
    return status != 0


def main() -> None:
    template, folder = Path(sys.argv[1]), Path(sys.argv[2])
    number = 1
    while one(number, template, folder / str(number), sys.argv[3:]):
        number += 1
    print(number)


if __name__ == "__main__":
    # Imported before the first fork, so that the children take no time.
    import llm_intercept.cli.output
    import llm_intercept.cli.session  # noqa: F401

    main()
