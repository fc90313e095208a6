"""What a call out of the cache costs, compared with the same call by a proxy that asks the provider."""

from pathlib import Path
from statistics import median

from bench import load
from bench.plan import Size
from bench.proxying import calls_of
from bench.report import Row, progress
from bench.targets import Target


def measure(remembering: Target, plain: Target, size: Size, folder: Path) -> list[Row]:
    targets = {"hit": remembering, "asked": plain}
    return [_cpu(targets, size, folder), _latency(targets, size)]


def _cpu(targets: dict[str, Target], size: Size, folder: Path) -> Row:
    rounds = calls_of("CPU per hit", targets, size, folder)
    ratio = median(a / b for a, b in zip(rounds["hit"], rounds["asked"], strict=True))
    values = {"ours": median(rounds["hit"])}
    return Row("CPU per call out of the cache", "us", values, ratio, "x asked", None, {"rounds": rounds})


def _latency(targets: dict[str, Target], size: Size) -> Row:
    """Milliseconds, of one connection."""
    rounds: dict[str, list[float]] = {name: [] for name in targets}
    opened = {name: load.connect(target) for name, target in targets.items()}
    for number in range(size.rounds):
        progress(f"latency of a hit: round {number + 1} of {size.rounds}")
        for name, target in targets.items():
            rounds[name].append(median(load.call_times(target, opened[name], size.single_calls)) * 1e3)
    for connection in opened.values():
        connection.close()
    saved = median(a - b for a, b in zip(rounds["hit"], rounds["asked"], strict=True))
    values = {"ours": median(rounds["hit"])}
    return Row("..., median latency", "ms", values, saved, "ms added", None, {"rounds": rounds})
