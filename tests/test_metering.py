"""What a stream has taken against what is reserved for it: when it goes on, when it grows, when it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from llm_intercept.engine.admission import Reservation
from llm_intercept.engine.extending import Plan
from llm_intercept.metering import MEANWHILE, Meter, shares
from llm_intercept.policy.limits import Applied, Limit, StoredLimit
from llm_intercept.policy.worst_case import Worst
from llm_intercept.store.reservations import Busy
from llm_intercept.wire.reading import Reading
from llm_intercept.wire.usage import Usage

WORST = Worst(100, 50, 60_000, input_nanos=10_000, asked=True, stream=True)


def applied(number: int, measure: str, **more: Any) -> Applied:
    given = {"scope": "project", "name": "demo", "measure": measure, "amount": 10**6, **more}
    return Applied(StoredLimit(f"lim_{number}", Limit.model_validate(given)), "")


TOKENS = applied(0, "tokens", reserve=10)
COST = applied(1, "cost")


@dataclass
class Call:
    """A meter with rooms that a test sets; text counts as a token for each four characters."""

    limits: tuple[Applied, ...] = (TOKENS,)
    worst: Worst = WORST
    rooms: dict[str, int | None] = field(default_factory=dict)
    price: int | None = None
    busy: bool = False
    asked: int = 0
    counts: int = 0

    def __post_init__(self) -> None:
        self.reading = Reading()
        held = SimpleNamespace(reservation=Reservation("a", self.limits, 1, ()), worst=self.worst)
        self.exchange: Any = SimpleNamespace(held=held, stopped="", warnings=[], dialect="openai_chat",
                                             request_body=b"{}", request_headers={})  # fmt: skip
        self.meter = Meter(self.exchange, self.reading, self._extend, lambda usage: self.price, self._count)

    def _count(self, text: str) -> int:
        self.counts += 1
        return -(-len(text) // 4)

    def _extend(self, reservation: Reservation, plan: Plan) -> Mapping[str, int]:
        self.asked += 1
        if self.busy:
            raise Busy
        rooms = {each.key: self.rooms.get(each.key, 0) for each in self.limits}
        more = plan(rooms)
        for key, amount in more.items():
            room = rooms[key]
            assert room is None or amount <= room
            self.rooms[key] = None if room is None else room - amount
        return more

    def until_over(self, most: int = 1_000) -> int:
        """Tokens that came before it was over, one by one."""
        for tokens in range(1, most + 1):
            self.reading.add("word")
            if self.meter.is_over():
                return tokens
        return 0


def test_it_ends_where_its_reservation_does() -> None:
    call = Call()
    assert call.until_over() == 10
    assert call.counts < 10  # seldom


def test_it_goes_on_while_there_is_room() -> None:
    call = Call(rooms={TOKENS.key: 15})
    assert call.until_over() == 25
    assert call.rooms == {TOKENS.key: 0}


def test_it_may_be_as_long_as_was_asked_for() -> None:
    """Its provider ends it then, in tokens of its own: what we count is no reason."""
    call = Call(rooms={TOKENS.key: 1_000})
    assert call.until_over() == 0
    assert call.rooms == {TOKENS.key: 960}


def test_a_length_that_nobody_asked_for_is_no_end() -> None:
    worst = Worst(100, 50, stream=True)
    assert Call((applied(0, "tokens"),), worst).until_over() == 50


def test_what_the_provider_counts_is_believed() -> None:
    call = Call()
    for tokens in range(1, 30):
        call.reading.add("words" * 4)
        call.reading.usage = Usage(input=100, output=tokens)
        if call.meter.is_over():
            break
    assert tokens < 10  # much more text than it says: then it is not
    call = Call()
    call.reading.usage = Usage(input=100, output=10)
    assert call.meter.is_over()


@pytest.mark.parametrize(("read", "length"), [(104, 6), (90, 20), (110, 1)])
def test_the_real_input_takes_the_place_of_the_estimate(read: int, length: int) -> None:
    call = Call()
    call.reading.usage = Usage(input=read)
    assert call.until_over() == length


def test_money_is_counted_at_the_dearest_price_but_for_the_input() -> None:
    """1,000 for a token of output; the input was cheaper than it could have been."""
    limits = (applied(0, "cost", reserve=10),)
    assert Call(limits).until_over() == 10
    cheap = Call(limits, price=5_000)
    cheap.reading.usage = Usage(input=100)
    assert cheap.until_over() == 15


def test_the_fullest_limit_decides() -> None:
    call = Call((TOKENS, COST), rooms={TOKENS.key: 5, COST.key: 10**6})
    assert call.until_over() == 15
    assert call.rooms[COST.key] == 10**6  # it has reserved all of it from the start


def test_who_has_the_counters_is_asked_again_later() -> None:
    call = Call(busy=True)
    assert call.until_over(10 + MEANWHILE // 2) == 0
    assert call.asked == 1


@pytest.mark.parametrize("end", ["finish_reason", "complete"])
def test_an_answer_that_has_ended_is_let_be(end: str) -> None:
    call = Call()
    setattr(call.reading, end, "stop" if end == "finish_reason" else True)
    assert call.until_over(40) == 0


def test_the_row_and_the_client_are_told() -> None:
    call = Call((TOKENS, COST))
    call.until_over()
    usage = call.meter.stop()
    assert usage.output == 10
    assert call.exchange.stopped == "project demo may use 1,000,000 tokens in total (limit lim_0)"
    assert call.exchange.warnings == [f"stopped at the limit: {call.exchange.stopped}"]


def test_soft_limits_stop_nothing() -> None:
    assert shares((applied(0, "tokens", soft=True), applied(1, "requests")), WORST) == []
