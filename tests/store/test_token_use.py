import sqlite3
from contextlib import closing

import pytest

from llm_intercept.home import Home
from llm_intercept.policy.limits import Applied, Limit, StoredLimit
from llm_intercept.store.control import Control
from llm_intercept.store.migrate import connect, migrate
from llm_intercept.store.reservations import Counters
from llm_intercept.store.rows import Outcome, RequestRow
from llm_intercept.store.schema import USAGE
from llm_intercept.store.token_use import used
from llm_intercept.store.usage import write_batch

NOON = 1_795_003_200_000_000


def row(number: int, token: str = "laptop", outcome: Outcome = "ok", project: str = "default") -> RequestRow:
    return RequestRow(NOON + number, f"r{number}", project=project, token=token, outcome=outcome)


def test_rows_are_counted_with_their_tokens(
    home: Home, control: Control, usage_db: sqlite3.Connection
) -> None:
    token = control.tokens.create("default", "laptop").token
    other = control.tokens.create("default", "server").token
    write_batch(usage_db, [row(1), row(3_000_000), row(2, outcome="refused"), row(4, project="else")])
    write_batch(usage_db, [row(5), row(1)])  # one that is known already
    shown, unused = used([token, other], home.usage_db, home.limits_db)
    assert (shown.requests, shown.refused, shown.last_used_at) == (3, 1, "2026-11-18T12:00:03.000000Z")
    assert (unused.requests, unused.last_used_at, unused.remaining) == (0, None, None)
    assert (shown.id, shown.state) == (token.id, "active")


def test_hits_of_the_cache_are_counted(home: Home, control: Control, usage_db: sqlite3.Connection) -> None:
    token = control.tokens.create("default", "laptop").token
    for numbers in ((1, 2, 3), (4, 1)):
        calls = [row(number) for number in numbers]
        for call in calls:
            call.cache = "stored" if call.id == NOON + 1 else "hit"
        write_batch(usage_db, calls)
    (shown,) = used([token], home.usage_db, home.limits_db)
    assert (shown.requests, shown.cache_hits) == (4, 3)


@pytest.mark.parametrize("token", ["", "own:12345678"])
def test_only_tokens_are_counted(usage_db: sqlite3.Connection, token: str) -> None:
    write_batch(usage_db, [row(1, token)])
    assert usage_db.execute("SELECT count(*) FROM token_use").fetchone() == (0,)


def test_what_remains(home: Home, control: Control) -> None:
    token = control.tokens.create("default", "laptop", max_requests=3).token
    limit = Limit(scope="token", name="default/laptop", measure="requests", amount=3)
    key = Applied(StoredLimit(token.id, limit), "").key
    for taken, remaining, state in ((2, 1, "active"), (1, 0, "exhausted"), (4, 0, "exhausted")):
        with closing(Counters(home.limits_db)) as counters, counters.changing(1.0) as changes:
            changes.counters([key])[key].add(0, 0, taken)
            changes.changed(key)
        (shown,) = used([token], home.usage_db, home.limits_db)
        assert (shown.remaining, shown.state) == (remaining, state)
    revoked = control.tokens.revoke("laptop")
    assert used([revoked], home.usage_db, home.limits_db)[0].state == "revoked"


def test_what_was_there_before_is_counted(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("old") / "usage.db"
    migrate(path, USAGE[:3])
    with closing(connect(path)) as connection:
        columns = [c[1] for c in connection.execute("PRAGMA table_info(requests)") if c[3]]
        for id_, outcome in ((NOON, "ok"), (NOON + 5, "refused")):
            values = {"id": id_, "request_id": str(id_), "token": "t", "outcome": outcome}
            texts = [values.get(column, "") for column in columns]
            marks = ", ".join("?" * len(columns))
            names = ", ".join(f'"{column}"' for column in columns)
            connection.execute(f"INSERT INTO requests (id, {names}) VALUES (?, {marks})", (id_, *texts))
    migrate(path, USAGE)
    with closing(connect(path)) as connection:
        found = connection.execute("SELECT * FROM token_use").fetchall()
    assert found == [("", "t", 1, 1, NOON, NOON + 5, 0)]
