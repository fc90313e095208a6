"""Many calls at once against few limits: never one too many, never one too few, and nothing left behind.

    python -m bench.races [--seeds 50] [--racers 1000]

Each seed makes up limits on tokens, projects and on everything, and runs three races over them: in one
process, in two that share a home, and in one that is killed (`kill -9`) somewhere in between. After each:

- no counter is above its amount, and each call that was refused had a limit against it that really was full;
- what is counted is what the admitted calls took, to the token; no reservation is open;
- what is left can be had: exactly as many calls fit as the counters say, and not one more.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.report import progress
from llm_intercept.engine.admission import Actual, Admission, Reservation
from llm_intercept.engine.thresholds import Thresholds
from llm_intercept.home import Home
from llm_intercept.policy.limit_texts import Standing
from llm_intercept.policy.limits import Limit, LimitBook, Parties, StoredLimit
from llm_intercept.policy.worst_case import Worst
from llm_intercept.store.reservations import Busy

THREADS = 16
PATIENCE_S = 120.0
_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Racer:
    """One call: whose it is, what it may take, and what it will have taken."""

    number: int
    parties: Parties
    worst: Worst
    actual: Actual

    @property
    def call(self) -> str:
        return f"call-{self.number}"


@dataclass(slots=True)
class Found:
    """What a race came to. `refused`: by the counter that stood against it."""

    admitted: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def limits_of(seed: int, racers: int) -> list[StoredLimit]:
    """Some of them will be full long before all racers are through, others not."""
    chance = random.Random(seed)

    def limit(scope: str, name: str, measure: str, share: float, each: int) -> Limit:
        amount = round(racers * each * share * chance.uniform(0.05, 0.9))
        return Limit.model_validate({"scope": scope, "name": name, "measure": measure, "amount": amount})

    made = [
        limit("global", "", "requests", 1.0, 1),
        limit("project", "alpha", "tokens", 0.5, 60),
        limit("token", "", "requests", 0.25, 1),
        limit("project", "", "cost", 0.5, 60_000),
        Limit(scope="global", measure="concurrency", amount=chance.randint(2, THREADS)),
    ]
    return [StoredLimit(f"lim_{number}", one) for number, one in enumerate(made)]


def racers_of(seed: int, racers: int) -> list[Racer]:
    """Half of them take what they may; the others less, some nothing at all."""
    chance = random.Random(seed + 1)
    made = []
    for number in range(racers):
        project = chance.choice(("alpha", "beta"))
        worst = Worst(chance.randint(1, 60), chance.randint(1, 60))
        worst = Worst(worst.input, worst.output, worst.tokens * 1000)
        share = chance.choice((1.0, 1.0, chance.random(), 0.0))
        took = int(worst.tokens * share)
        actual = Actual(1 if took else 0, took, took * 1000)
        parties = Parties(project=project, token=f"{project}/{chance.choice('ab')}")
        made.append(Racer(number, parties, worst, actual))
    return made


def opened(home: Path, limits: Sequence[StoredLimit]) -> Admission:
    place = Home(home)
    place.ensure()
    admission = Admission(place.limits_db, place.leases, Thresholds(lambda event: None))
    admission.book = LimitBook(limits)
    admission.keep_house(lambda: None)
    return admission


def run(admission: Admission, racers: Sequence[Racer], diary: int) -> Found:
    """Every racer once; one that only has to wait for a slot tries again. `diary`: where ends are noted."""
    found = Found()

    def race(racer: Racer) -> None:
        applied = admission.book.applicable(racer.parties)
        outcome = _reserve(admission, racer)
        if isinstance(outcome, Standing):
            found.refused.append(outcome.applied.key)
            if outcome.taken + outcome.need <= outcome.applied.limit.amount:
                found.wrong.append(f"{racer.call} was refused although it fits: {outcome}")
            return
        found.wrong += [
            f"{racer.call} went over: {standing}"
            for standing in outcome.standings
            if standing.taken > standing.applied.limit.amount
        ]
        assert len(outcome.applied) == len(applied)
        found.admitted.append(racer.number)
        if racer.number % 3 == 0:
            admission.free(outcome)
        os.write(diary, b"%d\n" % racer.number)
        admission.settle(outcome, racer.actual)
        admission.settle(outcome, racer.actual)  # a second end changes nothing

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(race, racers))
    return found


def _reserve(admission: Admission, racer: Racer) -> Reservation | Standing:
    until = time.monotonic() + _DEADLINE_S
    while True:
        outcome = admission.reserve(
            racer.call, admission.book.applicable(racer.parties), racer.worst, patience=PATIENCE_S
        )
        waits = isinstance(outcome, Standing) and outcome.applied.limit.measure == "concurrency"
        if not waits or time.monotonic() > until:
            return outcome
        time.sleep(0.0005)


def verdict(admission: Admission, racers: Sequence[Racer], ended: Sequence[int]) -> list[str]:
    """What is wrong once all of it is over. `ended`: the racers that took what they were going to take."""
    admission.flush(PATIENCE_S)
    expected: Tally[str] = Tally()
    for number in ended:
        racer = racers[number]
        for applied in admission.book.applicable(racer.parties):
            expected[applied.key] += racer.actual.of(applied.limit.measure)
    counters = admission.counters.read()
    wrong = [f"open: {held}" for held in admission.counters.open_reservations()]
    for key, counter in counters.items():
        amount = admission.book.by_id[key.partition(":")[0]].limit.amount
        if counter.reserved or counter.used != expected[key] or counter.used > amount:
            wrong.append(
                f"{key}: {counter.used} of {amount} used, {counter.reserved} reserved; {expected[key]}"
            )
    wrong += [f"{key} was not counted" for key, count in expected.items() if count and key not in counters]
    return wrong + _rest(admission)


def _rest(admission: Admission) -> list[str]:
    """Takes what is left of the requests one by one: exactly the rest must fit."""
    wrong = []
    for stored in admission.book.by_id.values():
        if stored.limit.measure != "requests":
            continue
        applied = [a for a in admission.book.applicable(Parties(token="alpha/a")) if a.stored is stored]
        counter = admission.counters.read().get(applied[0].key)
        left, taken = stored.limit.amount - (counter.used if counter else 0), 0
        held = []
        while taken <= left:
            got = admission.reserve("rest", applied, None, patience=PATIENCE_S)
            if isinstance(got, Standing):
                break
            held.append(got)
            taken += 1
        if taken != left:
            wrong.append(f"{stored.id}: {left} were left, {taken} could be had")
        for each in held:
            admission.release(each)
        admission.flush(PATIENCE_S)
    return wrong


def in_one_process(home: Path, seed: int, racers: int) -> list[str]:
    admission = opened(home, limits_of(seed, racers))
    made = racers_of(seed, racers)
    diary = os.open(home / "diary", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    found = run(admission, made, diary)
    wrong = found.wrong + verdict(admission, made, found.admitted)
    if len(found.admitted) + len(found.refused) != racers:
        wrong.append("a racer was lost")
    os.close(diary)
    admission.close()
    return wrong


def in_two_processes(home: Path, seed: int, racers: int) -> list[str]:
    workers = [_worker(home, seed, racers, part) for part in ("even", "odd")]
    wrong, admitted = [], []
    for worker in workers:
        out, error = worker.communicate(timeout=_DEADLINE_S)
        if worker.returncode:
            return [f"a worker failed: {error.decode()[-2000:]}"]
        told = json.loads(out)
        wrong += told["wrong"]
        admitted += told["admitted"]
    admission = opened(home, limits_of(seed, racers))
    swept = admission.sweep(lambda calls: {}, wait=True)
    if swept:
        wrong.append(f"{swept} reservations were left behind")
    wrong += verdict(admission, racers_of(seed, racers), admitted)
    admission.close()
    return wrong


def killed(home: Path, seed: int, racers: int) -> list[str]:
    """The worker dies after a random number of ends; what it noted counts, what it did not is let go."""
    worker = _worker(home, seed, racers, "all")
    diary = home / "diary"
    enough = random.Random(seed + 2).randint(0, racers // 4)
    until = time.monotonic() + _DEADLINE_S
    while worker.poll() is None and _lines(diary) < enough and time.monotonic() < until:
        time.sleep(0.0005)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    ended = [int(line) for line in diary.read_text().split()] if diary.exists() else []
    made = racers_of(seed, racers)
    admission = opened(home, limits_of(seed, racers))

    def figures(calls: Sequence[str]) -> Mapping[str, Actual]:
        return {made[number].call: made[number].actual for number in ended}

    admission.sweep(figures, wait=True)
    wrong = verdict(admission, made, ended)
    if len(admission.counters.owners()) != 1:
        wrong.append("the dead process is still an owner")
    admission.close()
    return wrong


RACES = {"one process": in_one_process, "two processes": in_two_processes, "killed": killed}


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _worker(home: Path, seed: int, racers: int, part: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "bench.races", "--worker", str(home), str(seed), str(racers), part]
    where = Path(__file__).resolve().parent.parent
    return subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def work(home: Path, seed: int, racers: int, part: str) -> None:
    """What a worker does: its part of the racers, then it says what it found."""
    admission = opened(home, limits_of(seed, racers))
    made = racers_of(seed, racers)
    ours = {"even": made[::2], "odd": made[1::2]}.get(part, made)
    diary = os.open(home / "diary", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    found = run(admission, ours, diary)
    admission.close()
    print(json.dumps({"admitted": found.admitted, "wrong": found.wrong}))


def one_seed(seed: int, racers: int) -> list[str]:
    """All three races; what was wrong."""
    wrong = []
    for name, race in RACES.items():
        with tempfile.TemporaryDirectory(prefix="races-") as folder:
            wrong += [f"seed {seed}, {name}: {what}" for what in race(Path(folder), seed, racers)]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.races", description="Races on limits.")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--racers", type=int, default=1000)
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        folder, seed, racers, part = chosen.worker
        work(Path(folder), int(seed), int(racers), part)
        return 0
    wrong: list[str] = []
    for seed in range(chosen.seeds):
        wrong += one_seed(seed, chosen.racers)
        progress(f"seed {seed}: {len(wrong)} wrong so far")
    print(
        "\n".join(wrong)
        or f"{chosen.seeds} seeds, {chosen.racers} racers in {len(RACES)} races: as it should be"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Busy:
        sys.exit("limits.db was locked for too long")
