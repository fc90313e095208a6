"""What another try costs: a call whose first provider answers 503 at once; and one that needs no other.

The failed try itself (a connection that is kept, and nginx' answer) and the call to the second provider are
measured apart and taken off.
"""

from dataclasses import replace
from pathlib import Path
from statistics import median

from bench import load, traffic
from bench.plan import Size
from bench.proxying import calls_of
from bench.report import Row, progress
from bench.targets import Target
from bench.upstream import ANSWER_PATH, FAILING_PREFIX, FAILURE


def measure(routing: Target, plain: Target, direct: Target, size: Size, folder: Path) -> list[Row]:
    return [_added(routing, direct, size), _happy(routing, plain, size, folder)]


def _added(routing: Target, direct: Target, size: Size) -> Row:
    """Milliseconds."""
    asked = {
        "spared": (routing, _request(routing, traffic.SPARED_MODEL), b'"system_fingerprint"'),
        "second": (routing, _request(routing, traffic.UNROUTED_MODEL), b'"system_fingerprint"'),
        "failed": (direct, _request(direct, traffic.MODEL, FAILING_PREFIX), FAILURE.encode()),
    }
    rounds: dict[str, list[float]] = {name: [] for name in asked}
    opened = {name: load.connect(target) for name, (target, _, _) in asked.items()}
    for number in range(size.rounds):
        progress(f"failover: round {number + 1} of {size.rounds}")
        for name, (target, request, ending) in asked.items():
            times = load.call_times(target, opened[name], size.single_calls, request, ending)
            rounds[name].append(median(times) * 1e3)
    for connection in opened.values():
        connection.close()
    added = median(a - b - c for a, b, c in zip(*rounds.values(), strict=True))
    values = {"direct": median(rounds["failed"]), "ours": median(rounds["spared"])}
    return Row("a call that fails over", "ms", values, added, "ms added", 2.0, {"rounds": rounds})


def _happy(routing: Target, plain: Target, size: Size, folder: Path) -> Row:
    """The same call by a proxy with a route for it, and by one without routes."""
    targets = {"routed": replace(routing, name="routed"), "plain": replace(plain, name="plain")}
    rounds = calls_of("CPU per call with a route", targets, size, folder)
    ratio = median(a / b for a, b in zip(rounds["routed"], rounds["plain"], strict=True))
    values = {"ours": median(rounds["routed"])}
    return Row("CPU per call, with a route", "us", values, ratio, "x without", None, {"rounds": rounds})


def _request(target: Target, model: str, prefix: str = "") -> bytes:
    path = prefix + ANSWER_PATH
    return traffic.request(target.host, target.key, traffic.request_body(model), path=path)
