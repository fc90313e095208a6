"""A simulator on a loopback port, in a thread of its own, for the official SDKs."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from llm_intercept.settings import SimSettings
from llm_intercept.sim.running import Running, start

FAST = {"latency_ms": 0, "tokens_per_second": 0, "seed": 7}


@contextmanager
def running(**settings: object) -> Iterator[Running]:
    """A simulator with these settings, stopped at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call[T](coroutine: object) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)  # type: ignore[arg-type]

    simulator: Running = call(start(SimSettings(**{**FAST, **settings})))
    try:
        yield simulator
    finally:
        call(simulator.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@pytest.fixture(scope="module")
def sim() -> Iterator[Running]:
    """A simulator without delays, shared by the tests of a module."""
    with running() as simulator:
        yield simulator


@pytest.fixture
def start_sim() -> Iterator[Callable[..., Running]]:
    """Starts simulators with other settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running(**settings))
