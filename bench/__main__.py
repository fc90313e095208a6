"""`python -m bench`: measures, prints one table and writes `bench/results/<time>.json`."""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    administering,
    admitting,
    dialects,
    endurance,
    failover,
    managing,
    pages,
    proxying,
    recalling,
    report,
    translating,
    upstream,
    writing,
)
from bench.plan import FULL, QUICK, Size
from bench.processes import Processes
from bench.report import Row
from bench.stage import Stage
from bench.targets import Target, Targets

NAMES = (
    *("calls", "latency", "ttft", "events", "hidden", "dialects", "translation", "failover", "cache"),
    *("admission", "memory", "writer", "page", "api", "admin"),
)


class Run:
    """One run of the suite: what has been started, and what was found."""

    def __init__(self, processes: Processes, folder: Path, size: Size) -> None:
        self._processes = processes
        self._folder = folder
        self._size = size
        self._stage = Stage()
        self._targets: list[Target] = []
        self._makers: Targets | None = None
        self.rows: list[Row] = []
        self.failures: list[str] = []

    @property
    def columns(self) -> list[str]:
        named = [target.name for target in self._targets]
        return named or ["ours"]

    def measure(self, name: str) -> None:
        """Adds the rows of one measure; what cannot be measured is said, and the others go on."""
        measures: dict[str, Callable[[], Row | list[Row]]] = {
            "calls": lambda: proxying.cpu_per_call(self._compared(), self._size, self._folder),
            "latency": lambda: proxying.latency(self._compared(), self._size),
            "ttft": lambda: proxying.first_token(self._compared(), self._size, self._stage),
            "events": lambda: proxying.cpu_per_event(self._compared(), self._size, self._stage),
            "hidden": lambda: proxying.cpu_per_hidden(self._compared(), self._size, self._stage),
            "dialects": self._dialects,
            "translation": lambda: translating.measure(self._size.rounds * 3),
            "failover": self._failover,
            "cache": self._cache,
            "admission": lambda: admitting.measure(self._size.mixed_calls // 4),
            "memory": self._memory,
            "writer": lambda: writing.measure(self._size.writer_seconds),
            "page": lambda: pages.measure(
                self._processes, self._folder, self._size.page_rows, self._size.page_visits
            ),
            "api": lambda: managing.measure(self._processes, self._folder, self._size.page_visits),
            "admin": lambda: administering.measure(self._processes, self._folder, self._size.page_visits),
        }
        try:
            found = measures[name]()
        except (RuntimeError, OSError) as error:
            self.failures.append(f"{name}: {error}")
            return
        self.rows += found if isinstance(found, list) else [found]

    def _compared(self) -> list[Target]:
        if not self._targets:
            report.progress("starting what is compared")
            self._targets = self._started().all()
        return self._targets

    def _dialects(self) -> list[Row]:
        return dialects.measure(self._started().translating(), self._size, self._stage)

    def _failover(self) -> list[Row]:
        plain = next((target for target in self._targets if target.name == "ours"), None)
        started = self._started()
        return failover.measure(
            started.routing(), plain or started.ours("plain"), started.direct(), self._size, self._folder
        )

    def _cache(self) -> list[Row]:
        plain = next((target for target in self._targets if target.name == "ours"), None)
        started = self._started()
        return recalling.measure(
            started.remembering(), plain or started.ours("asked"), self._size, self._folder
        )

    def _memory(self) -> list[Row]:
        """A proxy of its own, which has served nothing else."""
        fresh = self._started().ours("fresh")
        return endurance.measure(fresh, self._stage, self._size.mixed_calls)

    def _started(self) -> Targets:
        if self._makers is None:
            upstream.ensure_tools()
            nginx, port = upstream.start(self._processes, self._folder, self._stage.port)
            self._makers = Targets(self._processes, self._folder, nginx, port)
        return self._makers


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures llm-intercept (7 minutes)."
    )
    parser.add_argument("--quick", action="store_true", help="about a minute; rougher")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--only", action="append", choices=NAMES, help="this measure; may be repeated")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not Path("/proc/self/statm").exists():
        sys.exit("the benchmark reads CPU time and memory from Linux's /proc; run it on Linux")
    size, started = QUICK if chosen.quick else FULL, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Processes() as processes:
        run = Run(processes, Path(folder), size)
        for name in chosen.only or NAMES:
            run.measure(name)
    content = report.document(run.rows, run.failures, time.monotonic() - started, chosen.quick)
    path = report.save(content)
    print(json.dumps(content, indent=2) if chosen.json else report.table(run.rows, run.columns))
    for failure in run.failures:
        print(f"not measured: {failure}", file=sys.stderr)
    report.progress(f"{time.monotonic() - started:.0f} s; written to {path}")
    return 1 if run.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
