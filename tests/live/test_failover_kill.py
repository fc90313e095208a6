"""200 streams under way while one of two targets is killed: each completes elsewhere or ends well-formed."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from llm_intercept.policy.routing import Route
from llm_intercept.wire.framing.sse import SSE
from tests.live.failover import Simulator
from tests.live.proxied import Proxied, proxied
from tests.live.stack import wait_for
from tests.live.test_failover import ask
from tests.wire.grammar.checked import sentences

CALLS = 200
BEGUN = CALLS // 2
CONFIG = "[retries]\nbackoff = 0.001\n[lint]\nsample = 1.0\n"
EVENTS = 4
TOGETHER = 25  # of them are begun: operating systems let only so many wait for being accepted


class Caller:
    """Its stream as far as it has come."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.said = b""

    async def call(self, session: aiohttp.ClientSession, proxy: Proxied) -> None:
        url, body = f"{proxy.url}/openai/v1/chat/completions", ask("killed-model", True)
        async with session.post(url, json=body, headers=proxy.headers) as answer:
            assert answer.status == 200
            async for piece in answer.content.iter_any():
                self.said += piece


@pytest.mark.parametrize("second", ["groq/", "anthropic/claude-sonnet-5"], ids=["same", "translated"])
def test_one_of_two_targets_is_killed(tmp_path: Path, second: str) -> None:
    with Simulator(tmp_path / "first") as first, Simulator(tmp_path / "second") as other:
        bases = {"openai": first.url, "groq": other.url, "anthropic": other.url}
        first.play({"first": BEGUN, "then": "hang", "after_events": EVENTS}, {"then": "hang"})
        with proxied(tmp_path / "home", bases, config=CONFIG) as proxy:
            with proxy.control() as control:
                targets = ["openai/gpt-4o", second]
                route = {"name": "killed", "match": {"models": ["killed-*"]}, "targets": targets}
                control.routes.set(Route.model_validate(route))
            since = proxy.last_id()
            callers = asyncio.run(_call_and_kill(proxy, first))
            rows = proxy.settled(since)
            tries = proxy.query("SELECT request_id, number, provider, outcome FROM attempts")
            linted = proxy.query("SELECT * FROM violations")
    begun = [caller for caller in callers if b"upstream_disconnected" in caller.said]
    whole = [caller for caller in callers if caller not in begun]
    assert (len(begun), len(whole)) == (BEGUN, CALLS - BEGUN)
    for caller in callers:
        assert sentences("openai_chat", SSE().feed(caller.said), asks_usage=caller in whole) == []
        assert caller.said.endswith(b"data: [DONE]\n\n")
    assert not linted
    assert len(rows) == CALLS
    provider = second.partition("/")[0]
    by_outcome = [(row["outcome"], row["attempts"], row["provider"]) for row in rows]
    assert by_outcome.count(("upstream_cut", 1, "openai")) == BEGUN
    assert by_outcome.count(("ok", 2, provider)) == CALLS - BEGUN
    expected = {(1, "openai", "upstream_cut"): CALLS, (2, provider, "ok"): CALLS - BEGUN}
    counted = [(one["number"], one["provider"], one["outcome"]) for one in tries]
    assert {key: counted.count(key) for key in set(counted)} == expected


async def _call_and_kill(proxy: Proxied, first: Simulator) -> list[Caller]:
    """Once every call has reached the first target, and half of them have seen the beginning of an answer."""
    callers = [Caller(number) for number in range(CALLS)]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        calls: list[asyncio.Task[None]] = []
        for start in range(0, CALLS, TOGETHER):
            group = callers[start : start + TOGETHER]
            calls += [asyncio.create_task(caller.call(session, proxy)) for caller in group]
            await asyncio.to_thread(_arrived, first, len(calls))
        await asyncio.to_thread(wait_for, lambda: _begun(callers) == BEGUN, "half of them have begun")
        assert not [call for call in calls if call.done()]
        await asyncio.to_thread(first.__exit__)
        await asyncio.gather(*calls)
    return callers


def _arrived(first: Simulator, count: int) -> None:
    wait_for(lambda: sum(first.applied()) == count, f"{count} calls have arrived")


def _begun(callers: list[Caller]) -> int:
    return len([caller for caller in callers if caller.said])
