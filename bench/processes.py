"""Processes of a run: started, measured from outside, and ended however the run ends."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_CPU_CLOCK = 2  # the kernel's CPUCLOCK_SCHED: nanoseconds, user and system, all threads
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """A child with its output in a file; its own children count as part of it."""

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self.pid = self._child.pid

    def wait_for(self, port: int, seconds: float = 60.0) -> None:
        """Until something accepts connections at `port`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._child.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        words = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self._child.args[0]} does not serve on port {port}:\n{words}")

    def _family(self) -> list[int]:
        """This process and all below it."""
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, task.read_text().split())
        return found

    def cpu(self) -> float:
        """Seconds of CPU time used so far."""
        return sum(time.clock_gettime((~pid << 3) | _CPU_CLOCK) for pid in self._family())

    def memory(self) -> float:
        """Resident memory in MB."""
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._family()]
        return sum(pages) * _PAGE / 1e6

    def stop(self) -> None:
        """SIGTERM, then SIGKILL, to the whole session that it leads."""
        for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            try:
                os.killpg(self.pid, number)
                self._child.wait(patience)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
            return


class Processes:
    """All processes of a run; leaving the context ends them, the last one first."""

    def __init__(self) -> None:
        self._running: list[Process] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        while self._running:
            self._running.pop().stop()

    def start(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> Process:
        process = Process(argv, log, env)
        self._running.append(process)
        return process
