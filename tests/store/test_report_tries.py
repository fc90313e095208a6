import sqlite3

from llm_intercept.store import report_tries
from llm_intercept.store.report_terms import EVERYTHING, Scope
from llm_intercept.store.report_time import Window
from llm_intercept.store.rows import AttemptRow, RequestRow
from llm_intercept.store.usage import write_batch
from tests.store.example import START_US, row

ALL = Window(0, 1 << 62)


def call(number: int, *statuses: int, outcome: str = "ok") -> RequestRow:
    tries = [AttemptRow(0, n, "openai", "host", f"key-{n}", status=s) for n, s in enumerate(statuses, 1)]
    return row(number, outcome=outcome, tries=tries, attempts=len(tries))


def test_calls_that_went_on_to_another_try(usage_db: sqlite3.Connection) -> None:
    calls = [
        call(0, 200),
        call(1, 429, 200),
        call(2, 500, 502, 503, outcome="provider_error"),
        call(3, 429, 200),
        call(4),
    ]
    write_batch(usage_db, calls)
    assert report_tries.again(usage_db, ALL, EVERYTHING) == report_tries.Again(3, 2)
    found = report_tries.failovers(usage_db, ALL, EVERYTHING)
    assert [c["id"] for c in found] == [calls[3].id, calls[2].id, calls[1].id]
    assert [[t["status"] for t in c["tries"]] for c in found] == [[429, 200], [500, 502, 503], [429, 200]]
    assert [c["id"] for c in report_tries.failovers(usage_db, ALL, EVERYTHING, limit=1)] == [calls[3].id]


def test_only_those_of_the_time_asked_for(usage_db: sqlite3.Connection) -> None:
    write_batch(usage_db, [call(1, 429, 200), call(3, 429, 200)])
    span = Window(START_US + 2000, START_US + 3000)
    assert report_tries.again(usage_db, span, EVERYTHING) == report_tries.Again(0, 0)
    assert report_tries.failovers(usage_db, span, EVERYTHING) == []
    span = Window(START_US + 1000, START_US + 3000)
    assert [c["id"] for c in report_tries.failovers(usage_db, span, EVERYTHING)] == [START_US + 1000]


def test_those_of_others_are_not_there(usage_db: sqlite3.Connection) -> None:
    theirs = row(1, project="theirs", tries=call(1, 429, 200).tries, attempts=2)
    write_batch(usage_db, [theirs, call(3, 429, 200)])
    mine = Scope(projects=frozenset({call(3).project}))
    assert report_tries.again(usage_db, ALL, mine) == report_tries.Again(1, 1)
    assert [c["id"] for c in report_tries.failovers(usage_db, ALL, mine)] == [call(3).id]
    assert report_tries.again(usage_db, ALL, EVERYTHING).calls == 2
