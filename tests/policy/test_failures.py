import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from llm_intercept.policy.failure_texts import described
from llm_intercept.policy.failures import (
    PARTS,
    UNTOUCHED,
    CallFacts,
    Decision,
    Failures,
    StreamPlan,
    decide,
    matches,
)

CALL = CallFacts("127.0.0.1")


def drawing(*numbers: float) -> Callable[[], float]:
    return itertools.cycle(numbers).__next__


def made(**parts: dict[str, Any]) -> Failures:
    """With every part that is named switched on."""
    return Failures.model_validate({name: {"enabled": True, **fields} for name, fields in parts.items()})


ADDRESSES = [
    ("10.1.2.3", "10.1.2.3", True),
    ("10.1.2.3", "10.1.2.30", False),
    ("10.1.2.3", "::ffff:10.1.2.3", True),
    ("10.0.0.0/8", "10.255.0.1", True),
    ("10.0.0.0/8", "11.0.0.1", False),
    ("10.1.2.3/8", "10.9.9.9", True),  # host bits set: the network is meant
    ("10.0.*", "10.0.200.1", True),
    ("10.0.*", "10.00.1.1", False),
    ("10.0.*", "110.0.1.1", False),
    ("10.*.7", "10.1.2.7", True),
    ("10.*.7", "10.1.2.70", False),
    ("*", "2001:db8::1", True),
    ("2001:db8::/32", "2001:db8:1::1", True),
    ("2001:DB8:*", "2001:db8:1::1", True),
    ("2001:db8::/32", "10.0.0.1", False),
    ("10.0.0.0/8", "", False),
    ("10.0.0.0/8", "fe80::1%eth0", False),
]


@pytest.mark.parametrize(("pattern", "ip", "is_meant"), ADDRESSES)
def test_addresses(pattern: str, ip: str, is_meant: bool) -> None:
    assert matches(pattern, ip) is is_meant


def test_nothing_happens_unless_it_is_switched_on() -> None:
    assert Failures().enabled == ()
    assert decide(Failures(), CALL, drawing(0.0)) == Decision()
    idle = {name: {"enabled": False} for name in PARTS} | {
        "error_injection": {"error_rates": {"500": 1}},
        "stream": {"cut_after_events": 1},
        "ip_filtering": {"block": ["*"]},
    }
    assert decide(Failures.model_validate(idle), CALL, drawing(0.0)) == Decision()


@pytest.mark.parametrize(
    ("filtering", "is_blocked"),
    [
        ({}, False),
        ({"block": ["127.*"]}, True),
        ({"block": ["10.*"]}, False),
        ({"allow": ["127.0.0.1"]}, False),
        ({"allow": ["10.0.0.0/8"]}, True),
        ({"allow": ["127.0.0.0/8"], "block": ["127.0.0.1"]}, True),
    ],
)
def test_who_may_call(filtering: dict[str, Any], is_blocked: bool) -> None:
    expected = Decision("ip_blocked", 403) if is_blocked else Decision()
    assert decide(made(ip_filtering=filtering), CALL, drawing(0.5)) == expected


@pytest.mark.parametrize(("recent", "is_limited"), [(0, False), (59, False), (60, True), (61, True)])
def test_too_many_calls(recent: int, is_limited: bool) -> None:
    call = CallFacts("127.0.0.1", recent + 1, recent, 12.5)
    expected = Decision("rate_limited", 429, retry_after=12.5) if is_limited else Decision()
    assert decide(made(rate_limiting={}), call, drawing(0.5)) == expected


ERRORS = {"error_rates": {"500": 0.1, "429": 0.2, "529": 0.05}, "retry_after": 3}


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (0.0, Decision("error_injection", 429, retry_after=3.0)),
        (0.199, Decision("error_injection", 429, retry_after=3.0)),
        (0.2, Decision("error_injection", 500)),
        (0.301, Decision("error_injection", 529)),
        (0.351, Decision()),
        (0.999, Decision()),
    ],
)
def test_the_rates_of_errors_lie_side_by_side(drawn: float, expected: Decision) -> None:
    assert decide(made(error_injection=ERRORS), CALL, drawing(drawn)) == expected


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        ({}, Decision("timeout", 504, hold=None)),
        ({"seconds": 5}, Decision("timeout", 504, hold=5.0)),
        ({"seconds": 5, "rate": 0.5}, Decision()),
        ({"rate": 0}, Decision()),
    ],
)
def test_timeouts(timeout: dict[str, Any], expected: Decision) -> None:
    assert decide(made(timeout=timeout), CALL, drawing(0.5)) == expected


ANSWERS = [
    ({"response_delay": {}}, Decision(delay=0.875)),
    ({"response_delay": {"min": 1, "max": 1}}, Decision(delay=1.0)),
    ({"response_delay": {"cache_only": True}}, Decision(delay=0.875, cache_only=True)),
    ({"stream": {"cut_after_events": 3}}, Decision(stream=StreamPlan(cut_after_events=3))),
    ({"stream": {"cut_after_bytes": 0}}, Decision(stream=StreamPlan(cut_after_bytes=0))),
    ({"stream": {"garble_at_event": 2, "rate": 0.2}}, Decision(stream=UNTOUCHED)),
    ({"slow_tokens": {"tokens": 5}}, Decision(stream=StreamPlan(events_per_second=5.0))),
    (
        {"slow_tokens": {"tokens": 5}, "stream": {"garble_at_event": 2, "rate": 0.2}},
        Decision(stream=StreamPlan(events_per_second=5.0)),
    ),
    (
        {"slow_tokens": {"tokens": 5}, "stream": {"garble_at_event": 2, "cut_after_bytes": 9}},
        Decision(stream=StreamPlan(9, None, 2, 5.0)),
    ),
]


@pytest.mark.parametrize(("parts", "expected"), ANSWERS)
def test_what_becomes_of_answers(parts: dict[str, Any], expected: Decision) -> None:
    assert decide(made(**parts), CALL, drawing(0.25)) == expected


def test_the_first_that_ends_a_call_is_the_only_one() -> None:
    everything: dict[str, Any] = {
        "ip_filtering": {"block": ["*"]},
        "rate_limiting": {"requests_per_minute": 1},
        "timeout": {},
        "error_injection": {"error_rates": {"500": 1}},
        "response_delay": {},
        "stream": {"cut_after_events": 1},
        "slow_tokens": {},
    }
    found = []
    while everything:
        found.append(decide(made(**everything), CallFacts("::1", 2, 1), drawing(0.0)))
        everything.pop(next(iter(everything)))
    kinds = ["ip_blocked", "rate_limited", "timeout", "error_injection", None, None, None]
    assert [decision.kind for decision in found] == kinds
    assert all(decision.stream == UNTOUCHED and not decision.delay for decision in found[:4])


def fates(settings: Failures, seed: int, calls: int) -> list[Decision]:
    chance = random.Random(seed)
    return [decide(settings, CALL, chance.random) for _ in range(calls)]


def test_shares_of_a_seed() -> None:
    settings = made(
        error_injection=ERRORS, timeout={"rate": 0.1}, stream={"cut_after_events": 1, "rate": 0.5}
    )
    found = fates(settings, 7, 1000)
    counted = Counter((d.kind, d.status) for d in found)
    assert counted == {
        (None, 0): 569,
        ("error_injection", 429): 191,
        ("error_injection", 500): 91,
        ("error_injection", 529): 44,
        ("timeout", 504): 105,
    }
    assert Counter(d.stream != UNTOUCHED for d in found if d.kind is None) == {True: 302, False: 267}
    assert found == fates(settings, 7, 1000)
    assert found != fates(settings, 8, 1000)


def test_every_call_draws_as_often_whatever_is_on() -> None:
    """So that a part that is switched on changes nothing of the others' share in a seeded run."""
    alone = fates(made(error_injection=ERRORS), 7, 300)
    both = fates(made(error_injection=ERRORS, stream={"garble_at_event": 1}, response_delay={}), 7, 300)
    assert [d.status for d in alone] == [d.status for d in both]


BAD = [
    ({"timeout": {"seconds": -1}}, "greater than or equal to 0"),
    ({"timeout": {"rate": 1.5}}, "less than or equal to 1"),
    ({"error_injection": {"error_rates": {"500": 0.6, "429": 0.6}}}, "more than 1 together"),
    ({"error_injection": {"error_rates": {"200": 0.6}}}, "greater than or equal to 400"),
    ({"error_injection": {"error_rates": {"often": 0.6}}}, "valid integer"),
    ({"ip_filtering": {"block": ["localhost"]}}, "is no address"),
    ({"ip_filtering": {"allow": ["10.0.0.0/99"]}}, "is no address"),
    ({"ip_filtering": {"allow": ["intra*"]}}, "no pattern of addresses"),
    ({"rate_limiting": {"requests_per_minute": 0}}, "greater than or equal to 1"),
    ({"response_delay": {"max": 31}}, "less than or equal to 30"),
    ({"response_delay": {"min": 3}}, "the shortest delay is longer"),
    ({"stream": {"cut_after_bytes": 1, "cut_after_events": 1}}, "not both"),
    ({"slow_tokens": {"tokens": 0}}, "greater than 0"),
    ({"surprise": {}}, "Extra inputs"),
    ({"timeout": {"surprise": 1}}, "Extra inputs"),
]


@pytest.mark.parametrize(("document", "said"), BAD)
def test_what_makes_no_sense_is_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Failures.model_validate(document)


def test_rates_that_add_up_to_one() -> None:
    rates = {str(500 + n): 0.1 for n in range(10)}
    assert len(made(error_injection={"error_rates": rates}).error_injection.error_rates) == 10


def test_documents_survive() -> None:
    settings = made(error_injection=ERRORS, stream={"cut_after_bytes": 0}, ip_filtering={"block": ["10.*"]})
    assert Failures.model_validate_json(settings.model_dump_json(exclude_defaults=True)) == settings
    assert Failures.model_validate_json(settings.model_dump_json()) == settings


WORDS = [
    ({"timeout": {}}, "100 % of the calls hang"),
    ({"timeout": {"seconds": 5, "rate": 0.125}}, "12.5 % of the calls time out after 5 s"),
    ({"error_injection": ERRORS}, "20 % get 429, 10 % get 500, 5 % get 529"),
    ({"error_injection": {}}, "no errors yet"),
    ({"ip_filtering": {"allow": ["10.*"], "block": ["10.1.*", "::1"]}}, "only 10.*; not 10.1.*, ::1"),
    ({"ip_filtering": {}}, "every address is allowed"),
    ({"rate_limiting": {}}, "429 beyond 60 calls a minute"),
    ({"response_delay": {}}, "answers come 0.5 to 2 s late"),
    ({"response_delay": {"min": 1, "max": 1, "cache_only": True}}, "answers from the cache come 1 s late"),
    ({"stream": {"cut_after_events": 3, "rate": 0.5}}, "50 % of the streams are cut after 3 events"),
    ({"stream": {"garble_at_event": 2}}, "100 % of the streams are garbled at event 2"),
    ({"stream": {}}, "100 % of the streams are untouched"),
    ({"slow_tokens": {"tokens": 2.5}}, "streams at 2.5 events a second"),
]


@pytest.mark.parametrize(("parts", "said"), WORDS)
def test_words(parts: dict[str, Any], said: str) -> None:
    assert described(made(**parts)) == {next(iter(parts)): said}
