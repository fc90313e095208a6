"""Work that takes its time: begun by a page, done in a thread, looked at until it is over."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from datasette.app import Datasette

from llm_intercept.errors import Conflict, InterceptError

_WAITS_S = 1.5


@dataclass(slots=True)
class Job:
    """`said` is how far it is; `result` what came of it, `problem` why nothing did. `began`: epoch us."""

    what: str
    by: str
    began: int
    about: str = ""
    said: str = ""
    running: bool = True
    result: Any = None
    problem: str = ""

    def tell(self, text: str) -> None:
        self.said = text


type Work = Callable[[Job], object]
type After = Callable[[Any], Awaitable[object]]


class Jobs:
    """The one that runs or ran last: one at a time, because all of them read the same disk."""

    def __init__(self) -> None:
        self.last: Job | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self, job: Job, busy: asyncio.Lock, work: Work, after: After | None = None) -> None:
        """`work` in a thread, then `after` with its result. Comes back with the end, or soon without it."""
        if self.last is not None and self.last.running:
            raise Conflict(f"{self.last.what} is under way, begun by {self.last.by}; wait for its end")
        if busy.locked():
            raise Conflict("a backup is being made or looked at by the management API; wait for its end")
        self.last = job
        self._task = asyncio.create_task(_run(job, busy, work, after))
        await asyncio.wait((self._task,), timeout=_WAITS_S)


async def _run(job: Job, busy: asyncio.Lock, work: Work, after: After | None) -> None:
    job.problem = "it broke off; the log of the dashboard says where"
    try:
        async with busy:
            job.result = await asyncio.to_thread(work, job)
        if after is not None:
            await after(job.result)
        job.problem = ""
    except (InterceptError, OSError, sqlite3.Error) as error:
        job.problem = str(error)
    finally:
        job.running = False


def of(datasette: Datasette) -> Jobs:
    """Of this dashboard."""
    found: Jobs | None = getattr(datasette, "_llm_jobs", None)
    if found is None:
        found = datasette._llm_jobs = Jobs()
    return found
