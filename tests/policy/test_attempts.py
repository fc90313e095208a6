"""What is tried next: tables, and a property that holds for any sequence of failures."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.policy.attempts import Candidate, Failure, FailureKind, Rules, Try, attempts

A = Candidate("openai", "gpt", "first")
A2 = Candidate("openai", "gpt", "second")
B = Candidate("anthropic", "claude", "only")
C = Candidate("groq", "llama", "only")
LONG = Candidate("gemini", "pro", "only", longer=True)
LONGER = Candidate("vertex", "pro", "only", longer=True)


def name(candidate: Candidate) -> str:
    return f"{candidate.provider}/{candidate.credential}"


def walk(
    candidates: Sequence[Candidate], failures: Sequence[Failure], rules: Rules | None = None
) -> list[Try | None]:
    """The tries that follow these failures; None for: the client is told."""
    order = attempts(candidates, rules or Rules(), lambda: 0.5)
    found: list[Try | None] = [next(order)]
    for failure in failures:
        try:
            found.append(order.send(failure))
        except StopIteration:
            found.append(None)
            break
    return found


def status(code: int, retry_after: float | None = None) -> Failure:
    return Failure("status", code, retry_after)


LOST, CONNECT, TIMEOUT = Failure("lost"), Failure("connect"), Failure("timeout")
OVERFLOW, SIGNATURE = Failure("overflow", 400), Failure("signature", 400)
POISONED, SKIPPED = Failure("stream_error"), Failure("skipped")
BUSY = status(503)
GOES_ON = [
    *(status(code) for code in (401, 403, 408, 409, 425, 429, 500, 502, 503, 504, 529, 599)),
    *(LOST, CONNECT, TIMEOUT, POISONED, SKIPPED),
]
ENDS = [status(code) for code in (400, 402, 404, 405, 410, 413, 415, 418, 422, 424, 451, 499)]


@pytest.mark.parametrize("failure", GOES_ON, ids=str)
def test_the_next_candidate_is_tried_at_once(failure: Failure) -> None:
    assert walk([A, B], [failure])[1] == Try(B, 1 if failure is SKIPPED else 2)


@pytest.mark.parametrize("failure", ENDS, ids=str)
def test_what_the_client_did_wrong_is_the_client_s(failure: Failure) -> None:
    assert walk([A, B, LONG], [failure])[1] is None


ORDERS = [
    pytest.param([A, A2, B], [status(429)], ["openai/second"], id="429: another key of the same provider"),
    pytest.param([A, A2, B], [status(401)], ["openai/second"], id="401: another key of the same provider"),
    pytest.param([A, A2, B], [BUSY], ["anthropic/only"], id="503: other targets before other keys"),
    pytest.param([A, A2, B], [CONNECT, LOST], ["anthropic/only", "openai/second"], id="down: keys last"),
    pytest.param([A, A2, B], [LOST], ["openai/second"], id="lost: in order"),
    pytest.param([A, B], [BUSY, LOST, BUSY], ["anthropic/only", "anthropic/only", None], id="the last again"),
    pytest.param([A], [status(401)], [None], id="a key that is refused is not tried again"),
    pytest.param([A], [status(403)], [None], id="nor one that is forbidden"),
    pytest.param([A, B], [OVERFLOW], [None], id="too long, and nothing for longer ones"),
    pytest.param([A, B, LONG], [OVERFLOW], ["gemini/only"], id="too long"),
    pytest.param(
        [A, B, LONG, LONGER],
        [OVERFLOW, OVERFLOW, OVERFLOW],
        ["gemini/only", "vertex/only", None],
        id="longer",
    ),
    pytest.param(
        [A, LONG, LONGER], [OVERFLOW, BUSY], ["gemini/only", "vertex/only"], id="a longer one that is down"
    ),
    pytest.param(
        [A, B, LONG, LONGER], [OVERFLOW, BUSY], ["gemini/only", "vertex/only"], id="not back to a shorter one"
    ),
    pytest.param(
        [A, B, LONG, LONGER], [OVERFLOW, SKIPPED], ["gemini/only", "vertex/only"], id="a longer one passed by"
    ),
    pytest.param([A, LONG], [OVERFLOW, BUSY], ["gemini/only", "gemini/only"], id="the longer one again"),
    pytest.param([A, LONG], [BUSY, BUSY], ["openai/first", None], id="down is not too long"),
    pytest.param([LONG, LONGER], [BUSY], ["vertex/only"], id="only longer ones are left"),
]


@pytest.mark.parametrize(("candidates", "failures", "expected"), ORDERS)
def test_order(candidates: list[Candidate], failures: list[Failure], expected: list[str | None]) -> None:
    found = walk(candidates, failures)[1:]
    assert [one and name(one.candidate) for one in found] == expected


WAITS = [
    pytest.param([LOST], {}, [0.0], id="a connection that had been idle: at once"),
    pytest.param([LOST, LOST], {"again": 2}, [0.0, 0.5], id="the second time not"),
    pytest.param([BUSY, BUSY], {"again": 2}, [0.25, 0.5], id="doubles"),
    pytest.param([status(429, 7.0)], {}, [7.0], id="as the provider asks"),
    pytest.param([status(429, 0.0)], {}, [0.0], id="at once, if it says so"),
    pytest.param([status(429, 31.0)], {}, [None], id="too long to wait"),
    pytest.param([status(429, 20.0)] * 2, {"again": 2}, [20.0, None], id="too long together"),
    pytest.param([BUSY], {"budget": 0.0}, [None], id="no time to wait"),
    pytest.param([LOST], {"budget": 0.0}, [0.0], id="but none is needed"),
    pytest.param([BUSY], {"again": 0}, [None], id="not again"),
    pytest.param([BUSY], {"tries": 1}, [None], id="one try"),
]


@pytest.mark.parametrize(("failures", "rules", "expected"), WAITS)
def test_waits_before_the_same_target(
    failures: list[Failure], rules: dict[str, float], expected: list[float | None]
) -> None:
    found = walk([A], failures, Rules(**rules))[1:]  # type: ignore[arg-type]
    assert [None if one is None else one.wait for one in found] == expected


@pytest.mark.parametrize("drawn", [0.0, 0.25, 0.999])
def test_waits_vary_by_half(drawn: float) -> None:
    order = attempts([A], Rules(), lambda: drawn)
    next(order)
    assert order.send(BUSY).wait == 0.25 * (0.5 + drawn)


@pytest.mark.parametrize("failure", [*GOES_ON[:12], *ENDS, OVERFLOW, POISONED, TIMEOUT], ids=str)
def test_a_client_s_own_key_is_not_tried_again_on_answers(failure: Failure) -> None:
    assert walk([A], [failure], Rules(own=True))[1] is None


@pytest.mark.parametrize("failure", [LOST, CONNECT], ids=str)
def test_a_client_s_own_key_is_tried_again_when_nothing_was_answered(failure: Failure) -> None:
    assert walk([A], [failure], Rules(own=True))[1] is not None


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("failure", [LOST, TIMEOUT], ids=str)
def test_what_may_have_been_created_is_not_created_again(failure: Failure, own: bool) -> None:
    assert walk([A, B], [failure], Rules(creates=True, own=own))[1] is None


@pytest.mark.parametrize("failure", [CONNECT, BUSY, status(401)], ids=str)
def test_what_was_not_created_is_tried_again(failure: Failure) -> None:
    assert walk([A, B], [failure], Rules(creates=True))[1] == Try(B, 2)


def test_a_signature_is_refused_once() -> None:
    found = walk([A, B], [SIGNATURE, SIGNATURE])
    assert found[1:] == [Try(A, 2, without_thinking=True), None]


def test_without_thinking_it_stays() -> None:
    found = walk([A, B], [SIGNATURE, BUSY, BUSY])
    assert found[1:] == [
        Try(A, 2, without_thinking=True),
        Try(B, 3, without_thinking=True),
        Try(B, 4, 0.25, without_thinking=True),
    ]


def test_passing_by_costs_no_try() -> None:
    found = walk([A, B, C], [SKIPPED, SKIPPED, SKIPPED], Rules(tries=1))
    assert found[1:] == [Try(B, 1), Try(C, 1), None]


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Candidate], Rules]:
    pool = st.builds(
        Candidate,
        st.sampled_from(["p", "q", "r"]),
        st.sampled_from(["m", "n"]),
        st.sampled_from([None, "k", "l"]),
        longer=st.booleans(),
    )
    found = draw(
        st.lists(pool, min_size=1, max_size=8, unique_by=lambda c: (c.provider, c.model, c.credential))
    )
    rules = Rules(
        draw(st.integers(1, 8)),
        draw(st.integers(0, 4)),
        draw(st.floats(0, 5)),
        draw(st.floats(0, 40)),
        draw(st.booleans()),
    )
    return found, rules


STATUSES = st.one_of(st.none(), st.sampled_from([400, 401, 403, 404, 408, 413, 422, 425, 429, 500, 529]))
FAILURES = st.builds(
    Failure,
    st.sampled_from(get_args(FailureKind.__value__)),
    STATUSES,
    st.one_of(st.none(), st.floats(0, 60)),
)


def steps(
    candidates: list[Candidate], rules: Rules, failures: Iterator[Failure]
) -> list[tuple[Try, Failure]]:
    """Each try and how it failed."""
    order, found = attempts(candidates, rules, lambda: 0.999), []
    now = next(order)
    for failure in failures:
        found.append((now, failure))
        try:
            now = order.send(failure)
        except StopIteration:
            return found
        assert len(found) < 100, "it does not end"
    return found


@given(plans(), st.lists(FAILURES, min_size=1, max_size=60))
def test_whatever_fails(plan: tuple[list[Candidate], Rules], failures: list[Failure]) -> None:
    candidates, rules = plan
    found = steps(candidates, rules, iter(failures))
    tries = [one for one, failure in found if failure.kind != "skipped"]
    assert len(tries) <= rules.tries
    assert [one.number for one in tries] == list(range(1, len(tries) + 1))
    assert all(one.candidate in candidates for one, _ in found)
    assert sum(one.wait for one, _ in found) <= rules.budget


@given(plans(), st.lists(FAILURES, min_size=1, max_size=60))
def test_no_candidate_is_tried_twice_unless_that_is_allowed(
    plan: tuple[list[Candidate], Rules], failures: list[Failure]
) -> None:
    candidates, rules = plan
    found = steps(candidates, rules, iter(failures))
    again = without = 0
    seen: list[Candidate] = []
    for (last, failure), (now, _) in pairwise(found):
        seen.append(last.candidate)
        if now.candidate in seen:
            assert now.candidate is last.candidate
            without += failure.kind == "signature"
            again += failure.kind != "signature"
    assert again <= rules.again
    assert without <= 1


@given(plans(), st.lists(FAILURES, min_size=1, max_size=60))
def test_only_what_may_be_tried_again_is(
    plan: tuple[list[Candidate], Rules], failures: list[Failure]
) -> None:
    candidates, rules = plan
    found = steps(candidates, rules, iter(failures))
    for (_, failure), (now, _) in pairwise(found):
        if failure.kind == "status":
            assert not rules.own
            assert failure.status in (401, 403, 408, 425, 429, 500, 529)
        if failure.kind == "overflow":
            assert now.candidate.longer
    overflown = [number for number, (_, failure) in enumerate(found) if failure.kind == "overflow"]
    early = found[: overflown[0] + 1] if overflown else found
    if not candidates[0].longer:
        assert not any(one.candidate.longer for one, _ in early)


@given(plans(), FAILURES)
def test_it_ends_if_the_same_goes_on_failing(plan: tuple[list[Candidate], Rules], failure: Failure) -> None:
    found = steps(*plan, iter([failure] * 1000))
    assert len(found) <= len(plan[0]) + plan[1].tries
