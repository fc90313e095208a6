"""The proxy's collector looks often at little, and free pages go back."""

import asyncio
import gc
import sys
from collections.abc import Iterator

import pytest

from llm_intercept.cli import lean_memory


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
def test_what_is_loaded_is_not_looked_through() -> None:
    lean_memory.settle()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == lean_memory.THRESHOLDS


def test_free_pages_go_back_again_and_again_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean_memory, "TRIM_S", 0.001)

    async def run() -> None:
        times: list[None] = []
        enough = asyncio.Event()

        def trim() -> None:
            times.append(None)
            if len(times) == 3:
                enough.set()

        with lean_memory.trimmed(trim):
            await enough.wait()
        ended = len(times)
        await asyncio.sleep(0.02)
        assert len(times) == ended

    asyncio.run(run())


def test_where_there_is_nothing_to_call_nothing_is_done() -> None:
    async def run() -> None:
        with lean_memory.trimmed(None):
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


@pytest.mark.skipif("linux" not in sys.platform, reason="the GNU C library's")
def test_the_c_library_s_function_can_be_called() -> None:
    trim = lean_memory.trimmer()
    if trim is None:
        pytest.skip("another C library")
    assert trim() in (0, 1)
