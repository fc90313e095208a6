"""Stored answers as a process sees them: what was just stored is there at once, the disk follows.

One thread writes; calls wait for nothing but a look-up. A file that fails costs answers, never calls.
"""

import logging
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from llm_intercept.secrecy import traced
from llm_intercept.store.cache import AnswerStore, Stored

log = logging.getLogger(__name__)

WAITING_BYTES = 64_000_000
_HOUSEKEEPING_S = 60.0
# A file that is gone, locked, full or damaged; a row that somebody has changed; no room for a thread.
_FAULTS = (sqlite3.Error, zlib.error, ValueError, TypeError, LookupError, RuntimeError)


type Check = Callable[[Stored], bool]


def _anything(answer: Stored) -> bool:
    return True


@dataclass(slots=True)
class _Fresh:
    """An answer that is not on the disk yet; `fit` is None while nobody has looked."""

    answer: Stored
    check: Check
    fit: bool | None = None


class Answers:
    """`get` and `put` from any thread. `close` writes what is left."""

    def __init__(self, store: AnswerStore, max_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._now = now
        self._lock = threading.Lock()
        self._fresh: dict[bytes, _Fresh] = {}  # on their way to the disk
        self._fresh_bytes = 0
        self._hits: dict[bytes, tuple[int, int]] = {}
        self._waiting = threading.Event()
        self._closing = False
        self._due = 0.0
        self._thread: threading.Thread | None = None
        self.problems: dict[str, str] = {}  # by what cannot be done with the file at present

    def get(self, key: bytes) -> Stored | None:
        """The answer with this key, unless it is out of date. Is not a hit yet: see `hit`."""
        now_us = round(self._now() * 1e6)
        with self._lock:
            fresh = self._fresh.get(key)
        if fresh is not None and fresh.answer.expires_us > now_us:
            return fresh.answer if self._is_fit(fresh) else None
        try:
            found = self._store.get(key, now_us)
        except _FAULTS as error:
            self._note("read", error)
            return None
        self.problems.pop("read", None)
        return found

    def hit(self, key: bytes) -> None:
        """It was given to a client."""
        with self._lock:
            count, _ = self._hits.get(key, (0, 0))
            self._hits[key] = count + 1, round(self._now() * 1e6)
        self._wake()

    def put(self, answer: Stored, check: Check = _anything) -> bool:
        """Whether it will be stored, if `check` finds it fit: not while the disk is too far behind.

        That takes its time, so it is done before the answer is written, or given for the first time.
        """
        with self._lock:
            if self._fresh_bytes + len(answer.body) > WAITING_BYTES:
                return False
            former = self._fresh.pop(answer.key, None)
            self._fresh[answer.key] = _Fresh(answer, check)
            self._fresh_bytes += len(answer.body) - (len(former.answer.body) if former else 0)
        self._wake()
        return True

    def close(self, timeout: float = 5.0) -> None:
        self._closing = True
        if self._thread is not None:
            self._waiting.set()
            self._thread.join(timeout)
        self._store.close()

    def _wake(self) -> None:
        if self._thread is None:
            self._attempt("written", self._start)
        if not self._waiting.is_set():
            self._waiting.set()

    def _start(self) -> None:
        with self._lock:  # answers come from more than one thread
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="cache-writer", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        closing = False
        while not closing:
            self._waiting.wait()
            self._waiting.clear()
            closing = self._closing  # what came before that is written below
            if not closing:
                time.sleep(0.1)  # several at a time
            self._write()
            if time.monotonic() >= self._due and not closing:
                self._due = time.monotonic() + _HOUSEKEEPING_S
                self._attempt("tidied", lambda: self._store.evict(round(self._now() * 1e6), self._max_bytes))

    def _write(self) -> None:
        with self._lock:
            waiting = list(self._fresh.values())
            hits, self._hits = self._hits, {}
        answers = [fresh.answer for fresh in waiting if self._is_fit(fresh)]
        if answers:
            self._attempt("written", lambda: self._store.put(answers))
        if hits:
            counted = [(key, count, last) for key, (count, last) in hits.items()]
            self._attempt("written", lambda: self._store.used(counted))
        with self._lock:
            for fresh in waiting:
                if self._fresh.get(fresh.answer.key) is fresh:
                    del self._fresh[fresh.answer.key]
                    self._fresh_bytes -= len(fresh.answer.body)

    def _is_fit(self, fresh: "_Fresh") -> bool:
        fit = fresh.fit
        if fit is None:
            try:
                fit = fresh.check(fresh.answer)
            except _FAULTS as error:
                self._note("filled from this answer", error)
                fit = False
            fresh.fit = fit
        return fit

    def _attempt(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except _FAULTS as error:
            self._note(what, error)
        else:
            self.problems.pop(what, None)

    def _note(self, what: str, error: Exception) -> None:
        """Once for as long as it lasts."""
        if what not in self.problems:
            log.warning("cache.db cannot be %s: %s", what, traced(error))
        self.problems[what] = f"{type(error).__name__}: {error}"
