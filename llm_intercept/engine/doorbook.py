"""What happens at the doors of a running proxy (refused tokens, limits, listeners), on its way to the log.

Whoever notices something only queues it. A thread with a connection of its own writes, at most once a second:
every commit to control.db makes each proxy read its snapshot anew.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

from llm_intercept.errors import InterceptError
from llm_intercept.policy.actor import PROXY, Actor
from llm_intercept.store.audit import Audit, Event
from llm_intercept.store.audit_rows import NOTHING, Outcome, Thing

logger = logging.getLogger(__name__)

EVERY_S = 1.0
MOST_WAITING = 10_000


class DoorBook:
    """What is told before `start` waits for it."""

    def __init__(self, *, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._waiting: deque[Event] = deque()
        self._lost = 0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def event(
        self,
        action: str,
        actor: Actor = PROXY,
        thing: Thing = NOTHING,
        *,
        outcome: Outcome = "ok",
        detail: str = "",
        after: object = None,
    ) -> None:
        """From any thread, at any rate; never waits."""
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        self._waiting.append(Event(action, actor, thing, outcome, detail, after))

    def start(self, opened: Callable[[], Audit], closed: Callable[[Audit], None]) -> None:
        """`opened` makes the `Audit` in the thread that uses it, `closed` ends its connection."""
        self._thread = threading.Thread(target=self._run, args=(opened, closed), name="audit", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Writes what is still waiting."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self, opened: Callable[[], Audit], closed: Callable[[Audit], None]) -> None:
        try:
            audit = opened()
        except InterceptError as error:
            logger.error("events are not written to the audit log: %s", error)
            return
        try:
            while not self._closing.wait(self._every_s):
                self._write(audit, last=False)
            self._write(audit, last=True)
        finally:
            closed(audit)

    def _write(self, audit: Audit, *, last: bool) -> None:
        found = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if self._lost:
            lost, self._lost = self._lost, 0
            found.append(Event("audit.overflow", PROXY, detail=f"{lost} events were not written down"))
        try:
            audit.events(found)
            if last:
                audit.left_out()
        except InterceptError as error:
            logger.error("%d events are not in the audit log: %s", len(found), error)
