"""The proxy's memory over many calls of every kind, those that end badly included."""

import time
from collections.abc import Iterator

from bench import traffic
from bench.report import Row, progress
from bench.stage import Job, Stage
from bench.targets import Target

CONNECTIONS = 16
LIMIT_MB = 150.0
FLAT_PERCENT = 5.0  # what the second half may add
_SETTLE_S = 1.0


def jobs(target: Target, count: int) -> Iterator[Job]:
    """Calls, streams with and without usage, clients that hang up, wrong tokens, unknown paths."""
    call = Job(target.call())
    metered = Job(target.stream(ask_usage=True), events=20, opening=1)
    unmetered = Job(target.stream(ask_usage=False), events=20, opening=1)
    left = Job(target.stream(), events=20, opening=1, leave_after=5)
    stranger = Job(traffic.request(target.host, "lli_wrong", traffic.request_body()))
    elsewhere = Job(target.call().replace(traffic.PATH.encode(), b"/v1/none/such", 1))
    mix = [call, call, metered, call, unmetered, call, call, left, call, call]
    mix += [call, metered, call, call, stranger, unmetered, call, elsewhere, call, call]
    for number in range(count):
        yield mix[number % len(mix)]


def measure(target: Target, stage: Stage, count: int) -> list[Row]:
    """Memory after `count` calls, and what the second half of them added."""
    sampled = []
    for half in (1, 2):
        progress(f"memory: {half * count // 2:,} of {count:,} calls")
        stage.run(target, jobs(target, count // 2), CONNECTIONS)
        time.sleep(_SETTLE_S)
        sampled.append(target.process.memory())
    before, after = sampled
    growth = (after - before) / before * 100
    name = f"memory after {count:,} mixed calls"
    return [
        Row(name, "MB", {"ours": after}, after, "MB", LIMIT_MB, {"sampled_mb": sampled}),
        Row("its growth in the second half", "%", {"ours": growth}, growth, "%", FLAT_PERCENT),
    ]
