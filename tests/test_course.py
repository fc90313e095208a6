"""A call that is planned anew: nothing of the try before is left in it, and nothing of the call is lost."""

import copy
import dataclasses
from dataclasses import fields
from typing import Any

import pytest

from llm_intercept import course
from llm_intercept.course import Course, Timeouts, kept, overdue, restore, rewind, start_of
from llm_intercept.exchange import Exchange, Phases
from llm_intercept.policy.attempts import Candidate, Failure, Rules, Try
from llm_intercept.providers import Registry
from llm_intercept.store.rows import AttemptRow

# Every field of an exchange is in exactly one of these; a new one has to be thought about.
OF_THE_CALL = {
    *("id", "request_id", "entry", "method", "host", "client_ip", "listener", "route", "failure", "fate"),
    *("client", "session_id", "dialect", "operation", "model", "websocket", "upload", "explicit", "recorded"),
    *("principal", "course", "foreign", "aws_secret", "held", "asks_usage", "tries", "request_bytes"),
    *("request_sha256", "request_body", "request_type", "request_headers", "busy", "responses", "finished"),
    "timeouts",  # set with each plan
    *("cache", "cache_wish", "recalled"),
}
STARTED_WITH = {
    "provider",
    "endpoint",
    "path",
    "stream",
    "presented",
    "request_encoding",
    "changes",
    "warnings",
}
OF_A_TRY = {*course._OF_A_TRY, "upstream_sha256", "phases"}


def an_exchange() -> Exchange:
    provider = Registry({}).providers["openai"]
    return Exchange(
        id=1,
        request_id="r",
        entry="base_url",
        provider=provider,
        endpoint=provider.endpoints[0],
        method="POST",
        host="api.openai.com",
        path="/v1/chat/completions",
        client_ip="127.0.0.1",
        request_sha256="abc",
        upstream_sha256="abc",
        changes=["before"],
        warnings=["before"],
        request_encoding="gzip",
    )


def marked(value: Any) -> Any:
    """Another value than this, of a similar kind."""
    match value:
        case bool():
            return not value
        case float():
            return value + 7.0
        case int():
            return value + 7
        case str():
            return f"{value} changed"
        case bytes():
            return value + b" changed"
        case list():
            return [*value, "changed"]
        case dict():
            return {**value, "changed": "x"}
        case Phases():
            return Phases(**{name: 9.0 for name in Phases.__slots__})
    return object()


def test_every_field_is_accounted_for() -> None:
    groups = (OF_THE_CALL, STARTED_WITH, OF_A_TRY)
    names = {field.name for field in fields(Exchange)}
    assert set().union(*groups) == names
    assert sum(map(len, groups)) == len(names), "a field is in two groups"
    assert {field.name for field in fields(course.Start)} == STARTED_WITH


@pytest.mark.parametrize("name", [field.name for field in fields(Exchange)])
def test_rewinding_undoes_a_try_and_nothing_else(name: str) -> None:
    exchange, untouched = an_exchange(), an_exchange()
    start = start_of(exchange)
    changed = marked(getattr(exchange, name))
    setattr(exchange, name, changed)
    rewind(exchange, start)
    found = getattr(exchange, name)
    if name == "phases":
        assert found == Phases(**{n: 9.0 for n in ("received", "authenticated", "admitted", "recorded")})
    elif name == "request_sha256":
        assert exchange.upstream_sha256 == found == changed
    else:
        assert found == (changed if name in OF_THE_CALL else getattr(untouched, name))


def test_what_is_fresh_is_not_shared() -> None:
    first, second = an_exchange(), an_exchange()
    for exchange in (first, second):
        rewind(exchange, start_of(exchange))
    first.extra_headers["x"] = "1"
    first.splices["x"] = 1
    assert not second.extra_headers
    assert not second.splices
    assert not an_exchange().extra_headers


def test_restoring() -> None:
    exchange = an_exchange()
    start = start_of(exchange)
    exchange.status, exchange.error_message, exchange.upstream_model = 503, "busy", "other"
    exchange.changes.append("provider: openai -> groq")
    exchange.warnings.append("something was left out")
    exchange.phases.sent, exchange.phases.first_byte = 2.0, 3.0
    exchange.response_headers = {"retry-after": "9"}
    exchange.tries.append(AttemptRow(1, 1, "groq", "h", "k", "m"))
    as_it_was = {field.name: copy.copy(getattr(exchange, field.name)) for field in fields(Exchange)}
    before = kept(exchange)
    rewind(exchange, start)
    exchange.changes.append("provider: openai -> mistral")
    exchange.phases.sent = 9.0
    restore(exchange, before)
    assert {field.name: getattr(exchange, field.name) for field in fields(Exchange)} == as_it_was


def test_restoring_twice() -> None:
    exchange = an_exchange()
    start = start_of(exchange)
    for status in (500, 503):
        exchange.status = status
        before = kept(exchange)
        rewind(exchange, start)
        restore(exchange, before)
        assert (exchange.status, exchange.changes) == (status, ["before"])


# --- which try is next


A, B = Candidate("openai", "m", "k"), Candidate("groq", "m", "k")


def a_course(*candidates: Candidate, rules: Rules | None = None) -> Course:
    return Course(candidates, rules or Rules(), start_of(an_exchange()), lambda: 0.5)


def test_tries_one_after_the_other() -> None:
    found = a_course(A, B)
    assert (found.current, found.alternatives) == (Try(A, 1), True)
    assert found.after(Failure("status", 503)) == Try(B, 2) == found.current
    assert found.after(Failure("status", 400)) is None
    assert not found.alternatives
    assert found.current == Try(B, 2)


def test_no_tries_are_walked_through_before_one_fails() -> None:
    found = a_course(A)
    assert found.tries is None
    assert not found.alternatives


HELD = [
    (400, True),
    (413, True),
    (422, True),
    (404, False),
    (429, True),
    (401, True),
    (503, True),
    (529, True),
]


@pytest.mark.parametrize(("status", "expected"), HELD)
def test_answers_that_are_seen_whole(status: int, expected: bool) -> None:
    assert a_course(A).may_go_on_after(status) is expected


@pytest.mark.parametrize(("status", "expected"), [(400, True), (404, False), (429, False), (503, False)])
def test_with_a_client_s_own_key(status: int, expected: bool) -> None:
    assert a_course(A, rules=Rules(own=True)).may_go_on_after(status) is expected


# --- limits of time


LIMITS = Timeouts(connect=1.0, first_byte=10.0, idle=5.0, total=100.0)
NONE = Timeouts(0.0, 0.0, 0.0, 0.0)
OVERDUE = [
    pytest.param({"received": 1.0}, 0.0, 50.0, 0.0, "", id="not sent yet"),
    pytest.param({"received": 1.0}, 40.0, 50.0, 0.0, "", id="just in time"),
    pytest.param({"received": 1.0}, 39.0, 50.0, 0.0, "first_byte", id="no first byte"),
    pytest.param({"received": 1.0, "first_byte": 45.0}, 9.0, 50.0, 0.0, "", id="the first byte is there"),
    pytest.param({"received": 1.0, "first_byte": 44.0}, 9.0, 50.0, 0.0, "idle", id="nothing after it"),
    pytest.param({"received": 1.0, "first_byte": 20.0}, 9.0, 50.0, 46.0, "", id="heard a moment ago"),
    pytest.param({"received": 1.0, "first_byte": 20.0}, 9.0, 102.0, 101.0, "total", id="goes on and on"),
    pytest.param({"received": 1.0}, 0.0, 102.0, 0.0, "total", id="between two tries"),
]


@pytest.mark.parametrize(("phases", "waiting", "now", "heard", "expected"), OVERDUE)
def test_which_limit_has_passed(
    phases: dict[str, float], waiting: float, now: float, heard: float, expected: str
) -> None:
    exchange = dataclasses.replace(an_exchange(), phases=Phases(**phases), waiting_since=waiting)
    assert overdue(exchange, LIMITS, now, heard) == expected
    assert overdue(exchange, NONE, now, heard) == ""
