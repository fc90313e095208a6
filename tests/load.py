"""A process that takes calls through limits, journal, books and bodies as the proxy does.

    python tests/load.py HOME CALLS_PER_SECOND

Prints a line once the first thousand rows are in the books, and what it wrote at its end. It ends when its
standard input does, or is killed.
"""

import sys
import threading
import time
from pathlib import Path

from llm_intercept.engine.admission import Actual, Admission, Reservation
from llm_intercept.engine.thresholds import Thresholds
from llm_intercept.home import Home
from llm_intercept.policy.limits import Limit, LimitBook, Parties, StoredLimit
from llm_intercept.policy.worst_case import Worst
from llm_intercept.settings import CaptureSettings
from llm_intercept.store.bodies import Body, Capture
from llm_intercept.store.journal import Journal
from llm_intercept.store.rows import AttemptRow, RequestRow
from llm_intercept.store.writer import Writer

FIRST = 1000
LIMIT = Limit(scope="global", measure="requests", amount=10**9)
PARTIES = Parties(project="default", token="default/load", model="gpt-4o", provider="openai")


class Load:
    """`written` counts what is in the books."""

    def __init__(self, home: Home) -> None:
        self.journal = Journal(home.journal)
        capture = Capture(CaptureSettings(bodies="all"))
        self.writer = Writer(home, self.journal, capture=capture)
        self.writer.start()
        self.admission = Admission(home.limits_db, home.leases, Thresholds(lambda event: None))
        self.admission.book = LimitBook([StoredLimit("lim_load", LIMIT)])
        self.base = time.time_ns() // 1000

    def call(self, number: int) -> None:
        row_id = self.base + number
        row = RequestRow(
            id=row_id, request_id=f"call-{number}", project="default", token="load", provider="openai",
            model="gpt-4o", outcome="ok", status=200, duration_ms=1.0, input_tokens=number, priced=1,
        )  # fmt: skip
        row.tries = [AttemptRow(row_id, 1, "openai", "api.openai.com", "default", status=200, outcome="ok")]
        book = self.admission.book
        held = self.admission.reserve(row.request_id, book.applicable(PARTIES), Worst(1, 1, 1), patience=5.0)
        assert isinstance(held, Reservation)
        self.journal.begin(row_id, row)
        self.journal.done(row)
        self.admission.settle(held, Actual(1, 1, 1))
        body = Body("request", "application/json", b"%d" % number)
        self.writer.put(row, bodies=lambda _: [body], body_bytes=8)

    def end(self) -> None:
        self.writer.stop(30.0)
        self.admission.close()
        self.journal.close()


def main() -> None:
    home, pace = Home(Path(sys.argv[1])), float(sys.argv[2])
    home.ensure()
    load, stopped = Load(home), threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    number, begun, told = 0, time.monotonic(), False
    while not stopped.is_set():
        load.call(number)
        number += 1
        stopped.wait(max(0.0, begun + number / pace - time.monotonic()))
        if not told and load.writer.rows_written >= FIRST:
            told = True
            print("running", flush=True)
    load.end()
    print(number, flush=True)


if __name__ == "__main__":
    main()
