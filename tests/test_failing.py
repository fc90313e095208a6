"""Whose settings count for a call, and what a run of calls remembers."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_intercept.exchange import Principal
from llm_intercept.failing import Failing, refusal
from llm_intercept.policy.failures import Decision, Failures
from llm_intercept.wire import dialects


@dataclass
class Control:
    """What is asked of the real one."""

    failing: dict[tuple[str, str], Failures] = field(default_factory=dict)


@dataclass
class Call:
    """What is read of an exchange."""

    listener: str = ""
    principal: Principal | None = field(default_factory=lambda: Principal("demo", "laptop"))
    client_ip: str = "127.0.0.1"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def always(status: int, **more: Any) -> Failures:
    errors = {"enabled": True, "error_rates": {str(status): 1}}
    return Failures.model_validate({"error_injection": errors, **more})


def run(failing: Failing, calls: int = 1, call: Call | None = None) -> list[int]:
    found = [failing.fate(call or Call()) for _ in range(calls)]  # type: ignore[arg-type]
    return [decision.status if decision else -1 for decision in found]


WHO = [
    (Call(), -1),
    (Call(principal=None), -1),
    (Call(principal=Principal("other", "laptop")), 502),
    (Call("flaky"), 503),
    (Call("flaky", Principal("other", "laptop")), 503),
    (Call("calm", Principal("other", "laptop")), 0),
    (Call("unknown", Principal("other", "laptop")), 502),
]


@pytest.mark.parametrize(("call", "status"), WHO)
def test_whose_settings_count(call: Call, status: int) -> None:
    """Those of the listener, before those of the project; even where they simulate nothing."""
    scopes = {("listener", "flaky"): always(503), ("listener", "calm"): Failures()}
    failing = Failing(Control({**scopes, ("project", "other"): always(502)}), Clock())  # type: ignore[arg-type]
    assert run(failing, 1, call) == [status]


def half(seed: int | None = 7) -> Failures:
    errors = {"enabled": True, "error_rates": {"500": 0.25, "429": 0.25}}
    return Failures.model_validate({"error_injection": errors, "seed": seed})


def test_seeded_runs_are_repeatable() -> None:
    control = Control({("project", "demo"): half(), ("project", "other"): half()})
    failing = Failing(control, Clock())  # type: ignore[arg-type]
    first = run(failing, 100)
    assert Counter(first) == {0: 50, 429: 20, 500: 30}
    # Nobody else's calls are in between: each scope has a count of its own.
    assert run(failing, 100, Call(principal=Principal("other", ""))) == first
    assert run(failing, 100) != first  # these are the next hundred
    control.failing["project", "demo"] = half()  # set again, to the same
    assert run(failing, 100) == first
    assert run(Failing(control, Clock()), 100) == first  # type: ignore[arg-type]
    control.failing["project", "demo"] = half(8)
    assert run(failing, 100) != first


def test_without_a_seed_by_chance() -> None:
    failing = Failing(Control({("project", "demo"): half(None)}), Clock())  # type: ignore[arg-type]
    assert set(run(failing, 500)) == {0, 429, 500}


def test_calls_of_a_minute() -> None:
    limit = {"enabled": True, "requests_per_minute": 3}
    control = Control({("project", "demo"): Failures.model_validate({"rate_limiting": limit})})
    clock = Clock()
    failing = Failing(control, clock)  # type: ignore[arg-type]
    found = []
    for clock.now in (0.0, 10.0, 20.0, 30.0, 59.0, 60.0, 60.5, 70.0):
        decision = failing.fate(Call())  # type: ignore[arg-type]
        assert decision is not None
        found.append((decision.status, decision.retry_after))
    limited = (429, 30.0), (429, 1.0)
    assert found == [(0, None)] * 3 + [*limited, (0, None), (429, 9.5), (0, None)]


def test_calls_that_are_turned_away_do_not_count() -> None:
    parts = {
        "rate_limiting": {"enabled": True, "requests_per_minute": 1},
        "ip_filtering": {"enabled": True, "block": ["10.*"]},
    }
    failing = Failing(Control({("project", "demo"): Failures.model_validate(parts)}), Clock())  # type: ignore[arg-type]
    assert run(failing, 3, Call(client_ip="10.1.1.1")) == [403, 403, 403]
    assert run(failing, 3) == [0, 429, 429]


STATUSES = [
    400,
    401,
    402,
    403,
    404,
    408,
    409,
    413,
    418,
    422,
    425,
    429,
    499,
    500,
    501,
    502,
    503,
    504,
    524,
    529,
    599,
]


@pytest.mark.parametrize("dialect", sorted(dialects.names()))
@pytest.mark.parametrize("status", STATUSES)
def test_each_dialect_says_exactly_that_status(dialect: str, status: int) -> None:
    said = refusal(Decision("error_injection", status, retry_after=2.0))
    reply = dialects.get(dialect).refusal(said, "0190-abc")
    assert reply.status == status
    assert dict(reply.headers)["retry-after"] == "2"
    kind, message = dialects.get(dialect).read_error(status, reply.body)
    assert kind
    assert "Simulated by llm-intercept (error_injection)" in message
    assert str(status) in message


WORDS = [
    ("anthropic", 529, "overloaded_error"),
    ("anthropic", 500, "api_error"),
    ("anthropic", 429, "rate_limit_error"),
    ("anthropic", 408, "timeout_error"),
    ("anthropic", 413, "request_too_large"),
    ("anthropic", 418, "invalid_request_error"),
    ("openai_chat", 429, "rate_limit_error"),
    ("openai_chat", 529, "server_error"),
    ("openai_chat", 599, "server_error"),
    ("openai_responses", 403, "permission_error"),
    ("gemini", 429, "RESOURCE_EXHAUSTED"),
    ("gemini", 500, "INTERNAL"),
    ("gemini", 503, "UNAVAILABLE"),
    ("gemini", 504, "DEADLINE_EXCEEDED"),
    ("gemini", 409, "ALREADY_EXISTS"),
    ("gemini", 501, "UNIMPLEMENTED"),
]


@pytest.mark.parametrize(("dialect", "status", "word"), WORDS)
def test_in_the_provider_s_own_words(dialect: str, status: int, word: str) -> None:
    reply = dialects.get(dialect).refusal(refusal(Decision("error_injection", status)), "0190-abc")
    assert dialects.get(dialect).read_error(status, reply.body)[0] == word


@pytest.mark.parametrize(
    ("status", "exception"),
    [(408, "ModelTimeoutException"), (429, "ThrottlingException"), (500, "InternalServerException")],
)
def test_amazon_names_its_exceptions(status: int, exception: str) -> None:
    reply = dialects.get("bedrock_converse").refusal(refusal(Decision("error_injection", status)), "0190")
    assert (reply.status, dict(reply.headers)["x-amzn-ErrorType"]) == (status, exception)


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Decision("ip_blocked", 403), "(ip_blocked): calls from this address are not allowed"),
        (Decision("rate_limited", 429, 9.5), "(rate_limited): too many requests in a minute"),
        (Decision("timeout", 504, hold=None), "(timeout): the provider did not answer in time"),
    ],
)
def test_what_is_said(decision: Decision, said: str) -> None:
    found = refusal(decision)
    assert said in found.message
    assert (found.status, found.retry_after) == (decision.status, decision.retry_after)
