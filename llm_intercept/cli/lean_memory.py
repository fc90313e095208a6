"""The proxy's memory: what is loaded stays, and what calls leave behind goes back soon.

The parts of a call refer to one another, so they are garbage that only a collection finds. By Python's own
thresholds those of hundreds of calls lie about, and between them pages that the C library keeps: 15 MB.
"""

import asyncio
import ctypes
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

THRESHOLDS = (2000, 5, 3)  # new objects; collections of the young; collections of those that survived one
TRIM_S = 30.0


def settle() -> None:
    """What is loaded by now is out of the collector's sight: looking through it stops every stream for 0.1 s.

    The rest is of calls, and the oftener it is looked through, the less there is: with a hundred streams at
    once the longest pause is 45 ms instead of 150.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def trimmer() -> Callable[[], object] | None:
    """Gives the C library's free pages back to the system, in half a millisecond; only GNU's keeps them."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return None if trim is None else lambda: trim(0)


@contextmanager
def trimmed(trim: Callable[[], object] | None) -> Iterator[None]:
    """Within, that is done at once, and every half minute."""
    task = None if trim is None else asyncio.create_task(_trim_forever(trim))
    try:
        yield
    finally:
        if task is not None:
            task.cancel()


async def _trim_forever(trim: Callable[[], object]) -> None:
    while True:
        trim()
        await asyncio.sleep(TRIM_S)
