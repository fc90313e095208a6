"""Stored answers as a process sees them: what was just stored is there at once, the disk follows.

One thread writes; calls wait for nothing but a look-up. A file that fails costs answers, never calls.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable

from llm_intercept.secrecy import traced
from llm_intercept.store.cache import AnswerStore, Stored

log = logging.getLogger(__name__)

WAITING_BYTES = 64_000_000
_HOUSEKEEPING_S = 60.0


class Answers:
    """`get` and `put` from any thread. `close` writes what is left."""

    def __init__(self, store: AnswerStore, max_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._now = now
        self._lock = threading.Lock()
        self._fresh: dict[bytes, Stored] = {}  # on their way to the disk
        self._fresh_bytes = 0
        self._hits: dict[bytes, tuple[int, int]] = {}
        self._waiting = threading.Event()
        self._closing = False
        self._due = 0.0
        self._thread: threading.Thread | None = None
        self.dropped = 0
        self.problem = ""

    def get(self, key: bytes) -> Stored | None:
        """The answer with this key, unless it is out of date. Is not a hit yet: see `hit`."""
        now_us = round(self._now() * 1e6)
        with self._lock:
            found = self._fresh.get(key)
        if found is not None and found.expires_us > now_us:
            return found
        try:
            return self._store.get(key, now_us)
        except (sqlite3.Error, ValueError, LookupError) as error:
            self._note("read", error)
            return None

    def hit(self, key: bytes) -> None:
        """It was given to a client."""
        with self._lock:
            count, _ = self._hits.get(key, (0, 0))
            self._hits[key] = count + 1, round(self._now() * 1e6)
        self._wake()

    def put(self, answer: Stored) -> bool:
        """Whether it will be stored: not while the disk is too far behind."""
        with self._lock:
            if self._fresh_bytes + len(answer.body) > WAITING_BYTES:
                self.dropped += 1
                return False
            former = self._fresh.pop(answer.key, None)
            self._fresh[answer.key] = answer
            self._fresh_bytes += len(answer.body) - (len(former.body) if former else 0)
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
            self._thread = threading.Thread(target=self._run, name="cache-writer", daemon=True)
            self._thread.start()
        if not self._waiting.is_set():
            self._waiting.set()

    def _run(self) -> None:
        while not self._closing:
            self._waiting.wait()
            self._waiting.clear()
            if not self._closing:
                time.sleep(0.1)  # several at a time
            self._write()
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + _HOUSEKEEPING_S
                self._attempt("tidied", lambda: self._store.evict(round(self._now() * 1e6), self._max_bytes))

    def _write(self) -> None:
        with self._lock:
            answers = list(self._fresh.values())
            hits, self._hits = self._hits, {}
        if answers:
            self._attempt("written", lambda: self._store.put(answers))
        if hits:
            counted = [(key, count, last) for key, (count, last) in hits.items()]
            self._attempt("written", lambda: self._store.used(counted))
        with self._lock:
            for answer in answers:
                if self._fresh.get(answer.key) is answer:
                    del self._fresh[answer.key]
                    self._fresh_bytes -= len(answer.body)

    def _attempt(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except (sqlite3.Error, ValueError, LookupError) as error:
            self._note(what, error)
        else:
            self.problem = ""

    def _note(self, what: str, error: Exception) -> None:
        """Once for as long as it lasts."""
        if not self.problem:
            log.warning("cache.db cannot be %s: %s", what, traced(error))
        self.problem = f"{type(error).__name__}: {error}"
