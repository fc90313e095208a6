"""The writer's thread at 1,000 rows a second, in a process of its own: what it costs, and that it keeps up.

    python -m bench.writing SECONDS      (prints JSON)

It does all that it does in the proxy: databases, rollups, journal, metrics and logs. Rows are made
beforehand; the feeding thread notes them in the journal, as the event loop does.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.report import Row, progress
from bench.seed import rows as plausible_rows
from llm_intercept.home import Home
from llm_intercept.logs import Logs
from llm_intercept.metrics import Metrics
from llm_intercept.settings import LogSettings
from llm_intercept.store.journal import Journal
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.writer import Writer

RATE = 1000
_TICK_S = 0.01


@dataclass(frozen=True, slots=True)
class Outcome:
    """`behind` is how many rows waited when the last one had come; `cpu` the share of one core."""

    rows: int
    seconds: float
    cpu: float
    behind: int
    written: int


def measure(seconds: float) -> Row:
    progress(f"writer: {RATE} rows a second for {seconds:.0f} s")
    command = [sys.executable, "-m", "bench.writing", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"bench.writing failed: {done.stderr[-2000:]}")
    outcome = Outcome(**json.loads(done.stdout))
    if outcome.written != outcome.rows or outcome.behind > RATE:
        raise RuntimeError(f"the writer does not keep up: {outcome}")
    share = outcome.cpu * 100
    return Row("writer at 1,000 rows/s", "% CPU", {"ours": share}, share, "%", 5.0, asdict(outcome))


def run(seconds: float) -> Outcome:
    made = list(plausible_rows(int(seconds * RATE), 0.02, time.time_ns() // 1000))
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.ensure()
        journal, logs = Journal(home.journal), Logs(home.logs, LogSettings.model_validate({}))
        metrics = Metrics(lambda: 0, lambda: 0, lambda: 0.0)

        def committed(rows: Sequence[RequestRow]) -> None:
            metrics.observe(rows)
            logs.write(rows)

        writer = Writer(home, journal, on_commit=committed)
        writer.start()
        outcome = _feed(writer, journal, made)
        journal.close()
        logs.close()
        return outcome


def _feed(writer: Writer, journal: Journal, made: list[RequestRow]) -> Outcome:
    thread = next(t for t in vars(writer).values() if hasattr(t, "ident"))
    clock = time.pthread_getcpuclockid(thread.ident)
    before, started, fed = time.clock_gettime(clock), time.perf_counter(), 0
    while fed < len(made):
        due = min(len(made), int((time.perf_counter() - started) * RATE))
        for row in made[fed:due]:
            journal.done(row)
            writer.put(row)
        fed = due
        time.sleep(_TICK_S)
    seconds = time.perf_counter() - started
    used, behind = time.clock_gettime(clock) - before, writer.depth
    writer.stop(timeout=10.0)
    return Outcome(len(made), seconds, used / seconds, behind, writer.rows_written)


if __name__ == "__main__":
    print(json.dumps(asdict(run(float(sys.argv[1])))))
