"""What limits cost a call: five of them that apply, from the facts to the settled reservation.

    python -m bench.admitting CALLS      (prints JSON)

All CPU of the process counts, with the thread that settles. Time is made up and passes a hundredth of a
second a call, so that windows of a minute hold as many slices as they ever do.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from bench.report import Row, progress
from llm_intercept.engine.admission import Actual, Admission, Reservation
from llm_intercept.engine.thresholds import Thresholds
from llm_intercept.home import Home
from llm_intercept.policy.limits import Limit, LimitBook, Parties, StoredLimit
from llm_intercept.policy.pricing import Pricing
from llm_intercept.policy.worst_case import Worst, assess

_ROUNDS = 5
_START = 1_795_000_000.0
_TICK_S = 0.01
_PATIENCE_S = 10.0  # for the thread that settles, on a busy machine: the proxy tries again, out of its loop
_MUCH = 10**15
_LIMITS = (
    {"scope": "token", "measure": "requests", "amount": _MUCH, "per": "minute"},
    {"scope": "token", "measure": "tokens", "amount": _MUCH, "per": "minute"},
    {"scope": "project", "name": "demo", "measure": "cost", "amount": _MUCH, "per": "day",
     "timezone": "Europe/Berlin"},
    {"scope": "global", "measure": "cost", "amount": _MUCH, "per": "month"},
    {"scope": "project", "name": "demo", "measure": "concurrency", "amount": 100},
)  # fmt: skip
_CALL = Parties(project="demo", token="demo/laptop", model="gpt-4o", provider="openai")
_BODY = orjson.dumps(
    {"model": "gpt-4o", "max_tokens": 1000, "messages": [{"role": "user", "content": "some words " * 200}]}
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Microseconds of CPU for one call: the best round, and all of them."""

    us: float
    rounds: list[float]


def measure(calls: int) -> Row:
    progress(f"admission: {calls} calls with five limits")
    command = [sys.executable, "-m", "bench.admitting", str(calls)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"bench.admitting failed: {done.stderr[-2000:]}")
    outcome = Outcome(**json.loads(done.stdout))
    return Row(
        "admission, five limits", "us CPU", {"ours": outcome.us}, outcome.us, "us", 150, asdict(outcome)
    )


def run(calls: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.ensure()
        clock = _Clock()
        admission = Admission(
            home.limits_db, home.leases, Thresholds(lambda event: None), now=lambda: clock.now
        )
        admission.book = LimitBook(
            [StoredLimit(f"lim_{n}", Limit.model_validate(given)) for n, given in enumerate(_LIMITS)]
        )
        admission.keep_house(lambda: None)
        pricing = Pricing(())
        _round(admission, pricing, clock, int(62 / _TICK_S))
        rounds = [_round(admission, pricing, clock, calls) for _ in range(_ROUNDS)]
        admission.close()
    return Outcome(min(rounds), rounds)


class _Clock:
    now = _START


def _round(admission: Admission, pricing: Pricing, clock: _Clock, calls: int) -> float:
    before = time.process_time()
    for number in range(calls):
        clock.now += _TICK_S
        _one(admission, pricing, clock.now, number)
    return (time.process_time() - before) / calls * 1e6


def _one(admission: Admission, pricing: Pricing, now: float, number: int) -> None:
    applied = admission.book.applicable(_CALL)
    worst, terms = assess("openai_chat", "chat", _BODY, 16_384)
    when = datetime.fromtimestamp(now, UTC)
    nanos = pricing.at_most("openai", "gpt-4o", worst, terms, when)
    reserved = Worst(worst.input, worst.output, nanos)
    found = admission.reserve(f"call-{number}", applied, reserved, patience=_PATIENCE_S)
    assert isinstance(found, Reservation)
    admission.settle(found, Actual(1, 700, 5_000_000))


if __name__ == "__main__":
    print(json.dumps(asdict(run(int(sys.argv[1])))))
