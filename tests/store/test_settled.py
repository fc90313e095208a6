import sqlite3

from llm_intercept.home import Home
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.settled import settled
from llm_intercept.store.usage import write_batch


def test_rows_by_their_call(home: Home, usage_db: sqlite3.Connection) -> None:
    rows = [
        RequestRow(n, f"call-{n}", outcome="ok", attempts=1, input_tokens=n, cost_nanos=n) for n in range(700)
    ]
    write_batch(usage_db, rows)
    found = settled(home.usage_db, [f"call-{n}" for n in range(100, 900)])
    assert [(row.request_id, row.input_tokens, row.attempts) for row in found] == [
        (f"call-{n}", n, 1) for n in range(100, 700)
    ]
    assert settled(home.usage_db, []) == []
