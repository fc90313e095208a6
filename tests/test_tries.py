"""What becomes of a try: its target is taken and given back, failures are told apart, the last one stays."""

import asyncio
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_intercept import resources
from llm_intercept.dispatch import Dispatch
from llm_intercept.engine.health import TargetKey
from llm_intercept.exchange import Exchange
from llm_intercept.plan import Planner
from llm_intercept.policy.attempts import Failure
from llm_intercept.policy.facts import Facts
from llm_intercept.policy.models import ModelMap
from llm_intercept.providers import Registry
from llm_intercept.settings import Settings
from llm_intercept.store.rows import AttemptRow
from llm_intercept.tries import Tries
from tests.test_router import BREAKER, MODELS, PROVIDERS, Bench, an_exchange, benched

CHAT = {"messages": [{"role": "user", "content": "Hello"}]}
OPENAI, GROQ = TargetKey("openai", "main", "gpt-4o"), TargetKey("groq", "main", "llama")
BUSY = Failure("status", 503, message="busy")


@dataclass
class Course:
    """A call on its way, and who watches it."""

    bench: Bench
    tries: Tries
    admitted: list[bool] = field(default_factory=list)

    def begin(self, model: str, **body: Any) -> Exchange:
        self.bench.control.refresh()
        found = an_exchange(model)
        found.request_body = orjson.dumps({"model": model, **CHAT, **body})
        assert self.tries.begin(found) is None
        found.tries.append(AttemptRow(1, 1, "openai", "h", "main", model))
        found.phases.sent = 1.0
        return found

    def go_on(self, exchange: Exchange, failure: Failure = BUSY) -> float | None:
        exchange.status = failure.status
        return asyncio.run(self.tries.go_on(exchange, failure))

    def busy(self) -> tuple[int, int]:
        health = self.bench.health
        return health.busy("openai", "gpt-4o"), health.busy("groq", "llama")


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    settings = Settings.model_validate({"breaker": BREAKER, "models": MODELS, "providers": PROVIDERS})
    registry = Registry(settings.providers)
    facts = Facts(registry.providers, resources.model_catalogue)
    models = ModelMap(settings.models, registry.providers, lambda name: False)
    with benched(tmp_path) as bench:
        admitted: list[bool] = []
        bench.keys("openai", "main")
        bench.keys("groq", "main")
        bench.route("r", "openai/gpt-4o", "groq/llama")
        tries = Tries(
            bench.router,
            Planner(registry, models, facts, lambda: bench.clock[0], lambda length: "x" * length),
            Dispatch(registry, bench.control, lambda name: None, True, lambda: bench.clock[0]),
            bench.health,
            lambda name: None,
            lambda exchange, text: text.replace("secret", "[redacted]"),
            lambda exchange: admitted.pop(0) if admitted else True,
            lambda: bench.clock[0],
        )
        yield Course(bench, tries, admitted)


def where(exchange: Exchange) -> tuple[str, str]:
    return exchange.provider.name, exchange.upstream_model


def test_a_target_is_busy_while_it_is_tried(course: Course) -> None:
    exchange = course.begin("r1")
    assert (where(exchange), course.busy()) == (("openai", "gpt-4o"), (1, 0))
    assert course.go_on(exchange) == 0.0
    assert (where(exchange), course.busy()) == (("groq", "llama"), (0, 1))
    assert exchange.changes[0] == "try 2: groq after 503"
    assert exchange.status is None
    exchange.phases.sent, exchange.status = 2.0, 200
    course.tries.ended(exchange)
    course.tries.ended(exchange)
    assert course.busy() == (0, 0)


@pytest.mark.parametrize("ended_by", ["client", "upstream", "interrupted"])
def test_a_call_that_ends_between_its_tries_says_nothing_of_the_next_target(
    course: Course, ended_by: str
) -> None:
    exchange = course.begin("r1")
    course.go_on(exchange)
    for _ in range(3):
        exchange.ended_by, exchange.status = ended_by, 504
        assert exchange.course is not None
        exchange.course.under_way = True
        course.tries.ended(exchange)
    assert course.bench.health.state(GROQ).usable
    assert course.busy()[1] == 0


def test_a_target_that_is_not_tried_after_all_is_given_back(course: Course) -> None:
    """Limits have no room for the second: the first one's failure is the client's, and only its own."""
    exchange = course.begin("r1")
    course.admitted[:] = [False]
    assert course.go_on(exchange) is None
    assert (where(exchange), exchange.status, course.busy()) == (("openai", "gpt-4o"), 503, (0, 0))
    course.tries.ended(exchange)
    assert course.bench.health.state(GROQ).usable
    course.bench.fail("groq", "main", "llama", 503)
    assert course.bench.health.state(GROQ).usable, "it had been blamed before"


def test_a_trial_that_is_not_made_is_given_back(course: Course) -> None:
    course.bench.fail("groq", "main", "llama", 503, times=2)
    course.bench.clock[0] += 31
    exchange = course.begin("r1")
    course.admitted[:] = [False]
    assert course.go_on(exchange) is None
    assert course.bench.health.admit(GROQ), "the trial was kept"


def test_a_target_whose_trial_is_taken_is_passed_by(course: Course) -> None:
    course.bench.fail("openai", "main", "gpt-4o", 503, times=2)
    course.bench.clock[0] += 31
    assert course.bench.health.admit(OPENAI)
    assert where(course.begin("r1")) == ("groq", "llama")


def test_when_none_is_left_everything_is_as_it_was(course: Course) -> None:
    exchange = course.begin("r1")
    course.go_on(exchange)
    exchange.error_message, exchange.phases.sent = "gone", 2.0
    before = list(exchange.changes)
    assert course.go_on(exchange, Failure("status", 400)) is None
    assert (where(exchange), exchange.status, exchange.error_message) == (("groq", "llama"), 400, "gone")
    assert exchange.changes == before
    assert course.busy() == (0, 0)


def test_timeouts_are_those_of_the_provider_that_is_tried(course: Course) -> None:
    course.bench.keys("mistral", "main")
    course.bench.route("t", "openai/gpt-4o", "mistral/m")
    exchange = course.begin("t1")
    assert exchange.timeouts is not None
    assert exchange.timeouts.first_byte == 600.0
    course.go_on(exchange)
    assert exchange.timeouts.first_byte == 7.0


def test_all_tries_stay_on_the_row(course: Course) -> None:
    course.bench.keys("mistral", "main")
    course.bench.route("three", "openai/gpt-4o", "groq/llama", "mistral/m")
    exchange = course.begin("three")
    course.go_on(exchange, Failure("connect"))
    course.go_on(exchange)
    said = [change for change in exchange.changes if change.startswith("try")]
    assert said == ["try 2: groq after connect", "try 3: mistral after 503"]
    assert exchange.changes[2:] == ["provider: openai -> mistral", "model: three -> m"]


def test_a_target_without_an_address_is_passed_by(course: Course) -> None:
    """Nobody knows where this Azure is; the row says that it was not tried."""
    course.bench.keys("azure", "main")
    course.bench.route("lost", "azure/gpt-5", "groq/llama")
    exchange = course.begin("lost")
    refusal = course.tries._dispatch.resolve(exchange, {})
    assert refusal is not None
    assert asyncio.run(course.tries.pass_by(exchange, refusal))
    assert exchange.target is not None
    assert (where(exchange), exchange.target.host) == (("groq", "llama"), "api.groq.com")
    assert course.busy() == (0, 1)
    assert course.bench.health.busy("azure", "gpt-5") == 0
    [said] = exchange.warnings
    assert said.startswith("not tried: azure/gpt-5: It is not known where Azure OpenAI is reached")


def test_when_no_target_has_an_address_the_call_is_refused(course: Course) -> None:
    course.bench.keys("azure", "main")
    course.bench.route("lost", "azure/gpt-5", "azure/gpt-4o")
    exchange = course.begin("lost")
    refusal = course.tries._dispatch.resolve(exchange, {})
    assert refusal is not None
    assert not asyncio.run(course.tries.pass_by(exchange, refusal))
    course.tries.ended(exchange)
    assert course.bench.health.busy("azure", "gpt-4o") == 0


def test_a_target_that_does_not_serve_this_is_passed_by(course: Course) -> None:
    course.bench.keys("voyage", "main")
    course.bench.route("asked", "voyage/voyage-3", "groq/llama")
    exchange = course.begin("asked")
    assert where(exchange) == ("groq", "llama")
    assert exchange.warnings == ["not tried: voyage/voyage-3: Voyage AI does not serve chat in openai_chat."]


# --- what failed


THINKING = [
    {"role": "user", "content": "Hello"},
    {
        "role": "assistant",
        "content": "Hi",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}],
    },
]
SIGNATURE = b'{"error": {"message": "Corrupted thought signature.", "code": 400}}'
TOO_LONG = b'{"error": {"message": "too long", "code": "context_length_exceeded"}}'
ANSWERS: list[tuple[int, bytes, dict[str, Any], tuple[str, float | None]]] = [
    (503, b'{"error": {"message": "busy"}}', {}, ("status", None)),
    (429, b"{}", {"retry-after": "7"}, ("status", 7.0)),
    (400, TOO_LONG, {}, ("overflow", None)),
    (400, SIGNATURE, {}, ("status", None)),
    (404, b"not json", {}, ("status", None)),
]


@pytest.mark.parametrize(("status", "body", "headers", "expected"), ANSWERS)
@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_answers(
    course: Course,
    status: int,
    body: bytes,
    headers: dict[str, str],
    expected: tuple[str, float | None],
    packed: Callable[[bytes], bytes],
) -> None:
    exchange = course.begin("r1")
    exchange.status, exchange.response_headers = status, headers
    exchange.response_encoding = "" if packed is bytes else "gzip"
    failure = course.tries.failure(exchange, packed(body), connected=True)
    assert (failure.kind, failure.status, failure.retry_after) == (expected[0], status, expected[1])


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_a_signature_is_one_if_there_is_thinking_to_leave_out(course: Course, coding: str) -> None:
    exchange = course.begin("r1", messages=THINKING)
    if coding:
        exchange.request_body = gzip.compress(exchange.request_body)
        assert exchange.course is not None
        exchange.course.start.request_encoding = coding
    exchange.status = 400
    failure = course.tries.failure(exchange, SIGNATURE, connected=True)
    assert failure.kind == "signature"


CONNECTIONS = [
    pytest.param(True, False, "lost", id="lost"),
    pytest.param(False, False, "connect", id="never there"),
    pytest.param(True, True, "timeout", id="silent"),
    pytest.param(False, True, "timeout", id="not connected in time"),
]


@pytest.mark.parametrize(("connected", "timed_out", "expected"), CONNECTIONS)
def test_without_an_answer(course: Course, connected: bool, timed_out: bool, expected: str) -> None:
    exchange = course.begin("r1")
    exchange.timed_out, exchange.error_message = timed_out, "it said secret"
    failure = course.tries.failure(exchange, None, connected=connected)
    assert (failure.kind, failure.message) == (expected, "it said [redacted]")


NOTES = [
    (Failure("status", 503, message="m"), "provider_error"),
    (Failure("status", 429), "client_error"),
    (Failure("overflow", 400), "client_error"),
    (Failure("lost"), "upstream_cut"),
    (Failure("connect"), "connect_failed"),
    (Failure("timeout"), "timeout"),
    (Failure("stream_error"), "provider_error"),
]


@pytest.mark.parametrize(("failure", "outcome"), NOTES)
def test_a_failed_try_s_row(course: Course, failure: Failure, outcome: str) -> None:
    exchange = course.begin("r1")
    course.tries.note(exchange, failure)
    assert (exchange.tries[-1].outcome, exchange.tries[-1].error_message) == (outcome, failure.message)
