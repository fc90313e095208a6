"""What a call and a stream cost: CPU time of the proxy's process, and time that the client waits longer.

Each round measures every target once, so that what else the machine does hits all alike; ratios are taken
within a round, and their median is reported.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from bench import load
from bench.plan import Size
from bench.report import Row, progress
from bench.stage import Job, Stage
from bench.targets import Target

CONNECTIONS = 16
STREAMS = 8
DRAIN_S = 0.4  # what a proxy does after its last answer counts as well

type Rounds = dict[str, list[float]]


def cpu_per_call(targets: list[Target], size: Size, folder: Path) -> Row:
    warm: set[str] = set()

    def measure(target: Target) -> float:
        if target.name not in warm:
            load.calls(target, folder, 1, CONNECTIONS)
            warm.add(target.name)
        return cpu(target, lambda: load.calls(target, folder, size.call_seconds, CONNECTIONS))

    found = _rounds("CPU per call", size, targets, measure)
    return Row("CPU per call", "us", _medians(found), _ratio(found), "x lean", 1.35, {"rounds": found})


def cpu_per_event(targets: list[Target], size: Size, stage: Stage) -> Row:
    """The client asks for usage itself."""
    proxies = [target for target in targets if target.name != "direct"]
    return _events("CPU per streamed event", proxies, size, stage, ask_usage=True)


def cpu_per_hidden(targets: list[Target], size: Size, stage: Stage) -> Row:
    """The client does not ask for usage: ours asks for it, and takes it out of every event again."""
    proxies = [target for target in targets if target.name not in ("direct", "litellm")]
    return _events("CPU per event, usage hidden", proxies, size, stage, ask_usage=False)


def _events(name: str, targets: list[Target], size: Size, stage: Stage, *, ask_usage: bool) -> Row:
    def measure(target: Target) -> float:
        events = size.events // (5 if target.name == "litellm" else 1)  # its rounds would take minutes
        jobs = [Job(target.stream(ask_usage=ask_usage), events)] * STREAMS
        return cpu(target, lambda: stage.run(target, jobs, STREAMS).events)

    # More of them, because the difference that counts is small.
    found = _rounds(name, replace(size, rounds=size.rounds + 3), targets, measure)
    return Row(name, "us", _medians(found), _ratio(found), "x lean", 1.15, {"rounds": found})


def latency(targets: list[Target], size: Size) -> Row:
    opened = {target.name: load.connect(target) for target in targets}

    def measure(target: Target) -> float:
        return median(load.call_times(target, opened[target.name], size.single_calls)) * 1e3

    found = _rounds("latency at 1 connection", size, targets, measure)
    for connection in opened.values():
        connection.close()
    name = "median latency, 1 connection"
    return Row(name, "ms", _medians(found), _added(found), "ms added", 0.5, {"rounds": found})


def first_token(targets: list[Target], size: Size, stage: Stage) -> Row:
    def measure(target: Target) -> float:
        jobs = [Job(target.stream(), events=2, opening=1)] * size.single_streams
        return median(stage.run(target, jobs, 1).first_token) * 1e3

    # Stock mitmdump without a script holds a stream's beginning back.
    streaming = [target for target in targets if target.name != "stock"]
    found = _rounds("time to first token", size, streaming, measure)
    return Row(
        "time to first token", "ms", _medians(found), _added(found), "ms added", 1.0, {"rounds": found}
    )


def _rounds(name: str, size: Size, targets: list[Target], measure: Callable[[Target], float]) -> Rounds:
    """A busy machine gets fewer rounds rather than more minutes."""
    found: Rounds = {target.name: [] for target in targets}
    until = time.monotonic() + size.patience
    for number in range(size.rounds):
        progress(f"{name}: round {number + 1} of {size.rounds}")
        for target in targets:
            _measure_one(found, target, measure)
        if number >= 2 and time.monotonic() > until:
            break
    return found


def calls_of(title: str, targets: Mapping[str, Target], size: Size, folder: Path) -> Rounds:
    """CPU time of the same call by several proxies, one after the other in each round."""
    found: Rounds = {name: [] for name in targets}
    for target in targets.values():
        load.calls(target, folder, 1, CONNECTIONS)  # warms it
    until = time.monotonic() + size.patience
    for number in range(size.rounds):
        progress(f"{title}: round {number + 1} of {size.rounds}")
        for name, target in targets.items():
            work = partial(load.calls, target, folder, size.call_seconds, CONNECTIONS)
            found[name].append(cpu(target, work))
        if number >= 2 and time.monotonic() > until:
            break
    return found


def _measure_one(found: Rounds, target: Target, measure: Callable[[Target], float]) -> None:
    """What is only compared may fail: then the row goes without it."""
    if target.name not in found:
        return
    try:
        found[target.name].append(measure(target))
    except RuntimeError as error:
        if target.name in ("ours", "lean"):
            raise
        del found[target.name]
        progress(f"{target.name} is left out: {str(error)[:200]}")


def cpu(target: Target, work: Callable[[], int]) -> float:
    """Microseconds of CPU time for each unit of work."""
    before = target.process.cpu()
    units = work()
    time.sleep(DRAIN_S)
    return (target.process.cpu() - before) / units * 1e6


def _medians(rounds: Rounds) -> dict[str, float]:
    return {name: median(values) for name, values in rounds.items()}


def _ratio(rounds: Rounds) -> float:
    return median(ours / lean for ours, lean in zip(rounds["ours"], rounds["lean"], strict=True))


def _added(rounds: Rounds) -> float:
    return median(ours - lean for ours, lean in zip(rounds["ours"], rounds["lean"], strict=True))
