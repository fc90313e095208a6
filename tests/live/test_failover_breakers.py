"""Breakers in a running proxy: they open, survive kill -9, let one trial through, are reset as it runs."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_intercept.policy.routing import Route
from tests.live import failover, wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import Proxied, proxied
from tests.live.stack import wait_for
from tests.live.test_failover import answer, ask, status

CONFIG = """
[retries]
backoff = 0.001
again = 0
[breaker]
consecutive = 3
rate = 0
open_for = {open_for}
"""


@pytest.fixture(scope="module")
def first() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(scope="module")
def second() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(autouse=True)
def _reset(first: Upstream, second: Upstream) -> None:
    for server in (first, second):
        server.requests.clear()
        server.script = answer


def started(home: Path, first: Upstream, second: Upstream, open_for: float) -> "Iterator[Proxied]":
    bases = {"openai": first.url, "groq": second.url}
    with proxied(home, bases, config=CONFIG.format(open_for=open_for)) as running:
        with running.control() as control:
            route = {"name": "pair", "match": {"models": ["pair-*"]}, "targets": ["openai/gpt-4o", "groq/"]}
            control.routes.set(Route.model_validate(route))
        yield running


@pytest.fixture
def patient(tmp_path: Path, first: Upstream, second: Upstream) -> Iterator[Proxied]:
    yield from started(tmp_path, first, second, 600.0)


@pytest.fixture
def quick(tmp_path: Path, first: Upstream, second: Upstream) -> Iterator[Proxied]:
    yield from started(tmp_path, first, second, 0.05)


def provider_of(proxy: Proxied) -> tuple[str, int]:
    with proxy.call(wire.COMPLETIONS, ask("pair-model", False)) as call:
        assert call.status == 200
        assert call.read() == wire.chat_answer()
        row = proxy.row(call)
    return row["provider"], row["attempts"]


def opened(proxy: Proxied, first: Upstream) -> None:
    first.script = status(503)
    assert [provider_of(proxy) for _ in range(3)] == [("groq", 2)] * 3
    assert provider_of(proxy) == ("groq", 1)


def breakers(proxy: Proxied) -> list[dict[str, str]]:
    shown = json.loads(proxy.cli("route", "breakers", "--json"))["breakers"]
    return [one for one in shown if one["state"] != "closed"]


def test_it_opens_and_survives_a_kill(patient: Proxied, first: Upstream) -> None:
    opened(patient, first)
    [shown] = wait_for(lambda: breakers(patient), "the open breaker in the database")
    assert (shown["provider"], shown["model"], shown["state"]) == ("openai", "gpt-4o", "open")
    patient.processes["proxy"].stop(signal.SIGKILL)
    first.script = answer
    first.requests.clear()
    patient.start_proxy()
    assert provider_of(patient) == ("groq", 1)
    assert first.requests == []


def test_it_is_reset_while_the_proxy_runs(patient: Proxied, first: Upstream) -> None:
    opened(patient, first)
    wait_for(lambda: breakers(patient), "the open breaker in the database")
    first.script = answer
    assert provider_of(patient) == ("groq", 1)
    patient.cli("route", "breakers", "--reset", "--provider", "openai")
    assert provider_of(patient) == ("openai", 1)
    wait_for(lambda: not breakers(patient), "no breaker is open")


def test_one_trial_closes_it(quick: Proxied, first: Upstream) -> None:
    first.script = status(503)
    for _ in range(3):
        provider_of(quick)
    first.script = answer
    # Its time has passed once the first target is asked again at all.
    wait_for(lambda: provider_of(quick) == ("openai", 1), "a trial")
    assert [provider_of(quick) for _ in range(3)] == [("openai", 1)] * 3


def test_one_trial_at_a_time(quick: Proxied, first: Upstream) -> None:
    """While a trial is under way, other calls go elsewhere."""
    first.script = status(503)
    for _ in range(3):
        provider_of(quick)
    gate, begun = first.gate(), first.gate()

    async def script(request: Request, to: Answer) -> None:
        begun.open()
        await gate.passed()
        await answer(request, to)

    first.script = script
    first.requests.clear()
    connection = quick.connection()

    def on_trial() -> bool:
        if begun.is_open:
            return True
        other = quick.connection()
        other.request("POST", wire.COMPLETIONS, json.dumps(ask("pair-model", False)), quick.headers)
        trials.append(other)
        return begun.is_open

    trials = [connection]
    connection.request("POST", wire.COMPLETIONS, json.dumps(ask("pair-model", False)), quick.headers)
    wait_for(on_trial, "a trial")
    assert [provider_of(quick) for _ in range(3)] == [("groq", 1)] * 3
    assert len(first.requests) == 1
    gate.open()
    for one in trials:
        response = one.getresponse()
        assert (response.status, response.read()) == (200, wire.chat_answer())
        one.close()
    assert provider_of(quick) == ("openai", 1)


def test_a_client_that_leaves_gives_the_trial_back(quick: Proxied, first: Upstream) -> None:
    first.script = status(503)
    for _ in range(3):
        provider_of(quick)
    begun = first.gate()

    async def script(request: Request, to: Answer) -> None:
        await request.read()
        begun.open()
        await request.reader.read()

    first.script = script
    left = []

    def on_trial() -> bool:
        one = quick.connection()
        one.request("POST", wire.COMPLETIONS, json.dumps(ask("pair-model", False)), quick.headers)
        left.append(one)
        return begun.is_open

    wait_for(on_trial, "a trial")
    first.script = answer
    for one in left:
        one.close()
    wait_for(lambda: provider_of(quick) == ("openai", 1), "the next trial")


def test_nobody_is_left(patient: Proxied, first: Upstream, second: Upstream) -> None:
    for server in (first, second):
        server.script = status(503)
    for _ in range(3):
        with patient.call(wire.COMPLETIONS, ask("pair-model", False)) as call:
            assert (call.status, call.read()) == (503, failover.BUSY)
    with patient.call(wire.COMPLETIONS, ask("pair-model", False)) as call:
        assert call.status == 503
        assert 590 <= int(call.headers["retry-after"]) <= 600
        assert json.loads(call.read())["error"]["code"] == "no_target_available"
        row = patient.row(call)
    assert (row["outcome"], row["attempts"]) == ("refused", 0)
    assert len(second.requests) == 3
