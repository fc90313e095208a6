"""How much of a streamed answer has come, against what is reserved for its call on hard limits.

What the provider counts is believed; where it counts only at the end, the text is counted here, and seldom:
no token is shorter than a character. When what is reserved is used up, more is, as long as there is room.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llm_intercept.engine.admission import Reservation
from llm_intercept.engine.extending import Plan
from llm_intercept.exchange import Exchange
from llm_intercept.ledger import TOKENIZERS_DIFFER, estimated
from llm_intercept.policy.limit_texts import sentence
from llm_intercept.policy.limits import Applied, Limit
from llm_intercept.policy.worst_case import Worst
from llm_intercept.store.reservations import Busy
from llm_intercept.wire.reading import Reading
from llm_intercept.wire.usage import Usage

STEP = 1_000  # tokens of output that are reserved at a time, where no limit says otherwise
MEANWHILE = 64  # tokens that may come before somebody who has the counters is asked again


@dataclass(slots=True)
class Share:
    """One limit's: what is reserved of it, what the input takes of that, and what a token of output does."""

    applied: Applied
    reserved: int
    input: float
    rate: float

    def reach(self, reserved: float) -> float:
        """Tokens of output that so much is enough for."""
        return math.floor((reserved - self.input) / self.rate) if self.rate else math.inf

    def lacking(self, output: float) -> int:
        """What is still to be reserved for so many."""
        return max(0, math.ceil(self.input + self.rate * output) - self.reserved)


def shares(applied: tuple[Applied, ...], worst: Worst) -> list[Share]:
    """Of the limits that would stop a stream."""
    found = []
    for each in applied:
        limit = each.limit
        first = worst.first(limit.reserve)
        if limit.soft:
            continue
        if limit.measure == "tokens":
            found.append(Share(each, first.tokens, worst.input, 1.0))
        elif limit.measure == "cost" and worst.nanos is not None:
            rate = (worst.nanos - worst.input_nanos) / worst.output if worst.output else 0.0
            found.append(Share(each, first.nanos or 0, worst.input_nanos, rate))
    return found


class Meter:
    """Of one stream. `price` is what an input costs as the provider counted it; None if that is unknown."""

    def __init__(
        self,
        exchange: Exchange,
        reading: Reading,
        extend: Callable[[Reservation, Plan], Mapping[str, int]],
        price: Callable[[Usage], int | None],
        count: Callable[[str], int],
        current: Callable[[Applied], Limit] = lambda each: each.limit,
    ) -> None:
        self._current = current  # as it is by now
        held = exchange.held
        assert held is not None
        assert held.worst is not None
        self._exchange = exchange
        self._reading = reading
        self._more = extend
        self._reservation = held.reservation
        self._price = price
        self._count = count
        self._worst = held.worst
        self._shares = shares(held.reservation.applied, held.worst)
        steps = [share.applied.limit.reserve or STEP for share in self._shares]
        self._step = min(steps, default=STEP)
        self._input: int | None = None
        self._seen = self._counted = self._uncounted = 0
        self._new: list[str] = []
        self._allowed = self._reach()

    def is_over(self) -> bool:
        usage, pieces = self._reading.usage, self._reading.pieces
        for piece in pieces[self._seen :]:
            self._new.append(piece)
            self._uncounted += len(piece)
        self._seen = len(pieces)
        if usage.input != self._input:
            self._learn(usage)
        reported = usage.output or 0
        if self._counted + self._uncounted < self._allowed and reported < self._allowed:
            return False
        return self._is_used_up(reported)

    def stop(self) -> Usage:
        """The sentence on the row, and what its client is told of the usage."""
        full = min(self._shares, key=lambda share: share.reach(share.reserved))
        now = self._current(full.applied)
        limit = f"{sentence(now, full.applied.member)} (limit {full.applied.stored.id})"
        self._exchange.stopped = limit
        self._exchange.warnings.append(f"stopped at the limit: {limit}")
        self._reading.settle()
        return estimated(self._exchange, self._reading, self._count)

    def _is_used_up(self, reported: int) -> bool:
        if self._reading.finish_reason or self._reading.complete:
            return False
        output = self._output(reported)
        if not self._exceeds(output):
            return False
        self._extend(output)
        return self._exceeds(output)

    def _exceeds(self, output: float) -> bool:
        """Its provider ends an answer by itself that is as long as was asked for."""
        if self._worst.asked and self._allowed >= self._worst.output:
            return False
        return output >= self._allowed

    def _output(self, reported: int) -> int:
        if self._new:
            self._counted += self._count("".join(self._new))
            self._new.clear()
            self._uncounted = 0
        output = reported if self._counted <= TOKENIZERS_DIFFER * reported else self._counted
        return min(output, self._worst.output) if self._worst.asked else output

    def _learn(self, usage: Usage) -> None:
        """The provider has said what the input was."""
        self._input = usage.input
        for share in self._shares:
            taken = self._price(usage) if share.applied.limit.measure == "cost" else usage.input
            share.input = share.input if taken is None else taken
        self._allowed = self._reach()

    def _reach(self) -> float:
        return min((share.reach(share.reserved) for share in self._shares), default=math.inf)

    def _extend(self, output: int) -> None:
        try:
            more = self._more(self._reservation, lambda rooms: self._plan(output, rooms))
        except Busy:
            self._allowed = output + MEANWHILE
            return
        for share in self._shares:
            share.reserved += more.get(share.applied.key, 0)
        self._allowed = self._reach()

    def _plan(self, output: int, rooms: Mapping[str, int | None]) -> Mapping[str, int]:
        """A step further, or as far as the fullest limit goes; nothing if that is no further at all."""
        target: float = output + self._step
        if self._worst.asked:
            target = min(target, self._worst.output)
        for share in self._shares:
            room = rooms.get(share.applied.key)
            if room is not None:
                target = min(target, share.reach(share.reserved + room))
        if target <= output:
            return {}
        return {share.applied.key: share.lacking(target) for share in self._shares}
