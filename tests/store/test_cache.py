"""Stored answers: there and back, what goes when, sums, and that several processes share them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from llm_intercept.errors import StoreError
from llm_intercept.home import Home
from llm_intercept.store.cache import AnswerStore, Stored, Which, examine, opened
from llm_intercept.store.migrate import connect
from llm_intercept.store.report_terms import EVERYTHING, Scope

NOW = 1_795_000_000_000_000
HOUR = 3_600_000_000
FACTS = Stored(
    id=NOW,
    key=bytes(32),
    project="red",
    token="laptop",
    request_id="r-0",
    provider="openai",
    host="api.openai.com",
    model="gpt-5-mini",
    dialect="openai_chat",
    operation="chat",
    stream=False,
    content_type="application/json",
    headers=(("x-request-id", "req_1"), ("openai-model", "gpt-5-mini")),
    body=b'{"choices": [], "note": "\xc3\xa9"}',
    tokens=120,
    cost_nanos=450_000,
    expires_us=NOW + HOUR,
)


def answer(number: int, **more: object) -> Stored:
    """The n-th of one answer a second, each with a key of its own."""
    given = {"id": NOW + number * 1_000_000, "key": number.to_bytes(32), "request_id": f"r-{number}"}
    return replace(FACTS, **(given | more))  # type: ignore[arg-type]


@pytest.fixture
def path(home: Home) -> Path:
    return home.cache_db


@pytest.fixture
def store(path: Path) -> Iterator[AnswerStore]:
    with closing(AnswerStore(path)) as found:
        yield found


def numbers(store: AnswerStore, which: Which = Which()) -> list[int]:  # noqa: B008 - frozen
    """Which of them are there, the newest first."""
    return [int(entry.key, 16) for entry in store.entries(which, 1000)]


def test_there_and_back(store: AnswerStore) -> None:
    whole = answer(1, stream=True, body=os.urandom(5000), cost_nanos=None, headers=())
    store.put([FACTS, whole])
    assert store.get(FACTS.key, NOW) == FACTS
    assert store.answer(whole.key.hex()) == whole
    assert store.get(b"another", NOW) is None
    assert store.answer("ab") is None
    assert FACTS.body.decode() not in repr(store.get(FACTS.key, NOW))


def test_it_is_private_and_the_body_is_compressed(store: AnswerStore, path: Path) -> None:
    store.put([answer(1, body=b"a" * 50_000)])
    [entry] = store.entries(Which(), 10)
    assert entry.size == 50_000
    assert 0 < entry.stored < 500
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_out_of_date_is_not_given(store: AnswerStore) -> None:
    store.put([answer(1, expires_us=NOW + 5)])
    assert store.get(answer(1).key, NOW + 4) is not None
    assert store.get(answer(1).key, NOW + 5) is None
    assert store.answer(answer(1).key.hex()) is not None, "for people, until it is removed"


def test_a_newer_answer_takes_the_place_of_the_older(store: AnswerStore) -> None:
    store.put([answer(1)])
    store.used([(answer(1).key, 3, NOW + 9)])
    newer = answer(1, id=NOW + HOUR, body=b"newer", expires_us=NOW + 2 * HOUR)
    store.put([newer])
    assert store.get(newer.key, NOW) == newer
    assert [(entry.id, entry.hits) for entry in store.entries(Which(), 10)] == [(NOW + HOUR, 0)]


def test_answers_of_the_same_moment_are_told_apart(store: AnswerStore) -> None:
    store.put([answer(n, id=NOW) for n in range(4)])
    store.put([answer(4, id=NOW)])
    assert [entry.id - NOW for entry in store.entries(Which(), 10)] == [4, 3, 2, 1, 0]
    store.put([answer(2, id=NOW)])
    assert sorted(numbers(store)) == [0, 1, 2, 3, 4]


def test_uses_are_counted(store: AnswerStore) -> None:
    store.put([answer(1), answer(2)])
    store.used([(answer(1).key, 2, NOW + 5 * HOUR), (answer(2).key, 1, 5), (b"gone", 1, 5)])
    store.used([(answer(1).key, 1, NOW + 4 * HOUR)])
    found = {int(e.key, 16): (e.hits, e.used_us) for e in store.entries(Which(), 10)}
    assert found == {1: (3, NOW + 5 * HOUR), 2: (1, answer(2).id)}


def test_the_least_recently_used_go_first(store: AnswerStore) -> None:
    store.put([answer(n, body=os.urandom(10_000)) for n in range(100)])
    store.used([(answer(n).key, 1, NOW + HOUR) for n in range(10)])
    assert store.evict(NOW, 500_000) == 52  # each step is a twentieth of what is left
    assert numbers(store) == [*range(99, 61, -1), *range(9, -1, -1)]
    assert store.totals(NOW).stored <= 500_000
    assert store.evict(NOW, 500_000) == 0


def test_the_last_one_goes_if_it_is_too_large(store: AnswerStore) -> None:
    store.put([answer(1, body=os.urandom(10_000))])
    assert store.evict(NOW, 100) == 1
    assert store.totals(NOW).entries == 0


def test_what_is_out_of_date_goes_before_anything_else(store: AnswerStore) -> None:
    store.put([answer(n, expires_us=NOW + (n % 2) * HOUR) for n in range(450)])
    assert store.evict(NOW, 1 << 30) == 225
    assert all(n % 2 for n in numbers(store))


def test_room_is_given_back(store: AnswerStore, path: Path) -> None:
    store.put([answer(n, body=os.urandom(20_000)) for n in range(100)])
    with closing(connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        before = path.stat().st_size
        assert store.purge(Which()) == 100
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert path.stat().st_size < before // 10


MIXED = [
    answer(0),
    answer(1, project="blue"),
    answer(2, provider="anthropic", model="claude-sonnet-4-5"),
    answer(3, model="gpt-4o", expires_us=NOW - 1),
    answer(4, key=b"\xab\xcd" + bytes(30), token="phone", project="blue"),
]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Which(), {0, 1, 2, 3, 4}),
        (Which(project="blue"), {1, 4}),
        (Which(provider="anthropic"), {2}),
        (Which(model="gpt-*"), {0, 1, 3, 4}),
        (Which(model="gpt-4o"), {3}),
        (Which(key="abc"), {4}),
        (Which(key="ABCD"), {4}),
        (Which(key="abce"), set()),
        (Which(expired_at=NOW), {3}),
        (Which(before=answer(2).id), {0, 1}),
        (Which(project="red", model="gpt-*", before=answer(3).id), {0}),
        (Which(among=EVERYTHING), {0, 1, 2, 3, 4}),
        (Which(among=Scope()), set()),
        (Which(among=Scope(projects=frozenset(["red"]))), {0, 2, 3}),
        (Which(among=Scope(tokens=frozenset([("blue", "phone")]))), {4}),
        (Which(project="blue", among=Scope(projects=frozenset(["red"]))), set()),
    ],
)
def test_filters_mean_the_same_everywhere(store: AnswerStore, which: Which, expected: set[int]) -> None:
    store.put(MIXED)
    listed = [entry.request_id for entry in store.entries(which, 10)]
    assert listed == [f"r-{n}" for n in sorted(expected, reverse=True)]
    assert store.totals(NOW, which).entries == len(expected)
    assert store.purge(which) == len(expected)
    left = {entry.request_id for entry in store.entries(Which(), 10)}
    assert left == {f"r-{n}" for n in {0, 1, 2, 3, 4} - expected}


def test_pages(store: AnswerStore) -> None:
    store.put([answer(n) for n in range(10)])
    first = store.entries(Which(), 4)
    second = store.entries(Which(), 4, first[-1].id)
    assert [int(entry.key, 16) for entry in (*first, *second)] == [9, 8, 7, 6, 5, 4, 3, 2]


def test_totals(store: AnswerStore) -> None:
    nothing = store.totals(NOW)
    assert (nothing.entries, nothing.size, nothing.hits, nothing.oldest) == (0, 0, 0, None)
    store.put([answer(0, body=b"x" * 100), answer(1, cost_nanos=None), answer(2, expires_us=NOW)])
    store.used([(answer(n).key, 2, NOW) for n in range(3)])
    found = store.totals(NOW)
    assert (found.entries, found.hits, found.expired) == (3, 6, 1)
    assert found.size == 100 + 2 * len(FACTS.body)
    assert found.saved_nanos == 2 * 450_000 * 2, "what has no known price saves nothing that is known"
    assert (found.oldest, found.newest) == (NOW, answer(2).id)


WORK = """
import sys
from pathlib import Path
from tests.store.test_cache import AnswerStore, answer
store = AnswerStore(Path(sys.argv[1]))
first = int(sys.argv[2])
for n in range(first, first + 300, 3):
    store.put([answer(n, id=1), answer(n + 1, id=1), answer(n + 2, id=1)])
    store.put([answer(n % 7 + 10_000, id=1, body=b"%d" % n)])
    store.used([(answer(n).key, 1, 5)])
    assert store.get(answer(n).key, 0) is not None
store.close()
"""


def test_two_processes(path: Path) -> None:
    """Each creates it if it is the first; none loses what the other writes, and every id is another."""
    root = Path(__file__).resolve().parents[2]
    started = [
        subprocess.Popen([sys.executable, "-c", WORK, str(path), first], cwd=root, stderr=subprocess.PIPE)
        for first in ("0", "1000")
    ]
    for process in started:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said.decode()
    with opened(path) as store:
        found = store.entries(Which(), 1000)
        assert {int(e.key, 16) for e in found} == {*range(300), *range(1000, 1300), *range(10_000, 10_007)}
        assert len({entry.id for entry in found}) == 607
        assert store.totals(NOW).hits == 200
    examine(path)


def test_a_damaged_one_is_told_of(path: Path) -> None:
    examine(path)
    assert not path.exists(), "looking makes none"
    with opened(path) as store:
        store.put([answer(n, body=os.urandom(3000)) for n in range(50)])
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2] + b"\xff" * (len(good) - len(good) // 2))
    with pytest.raises(StoreError, match=r"is damaged: .*can be deleted while no proxy runs"):
        examine(path)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=r"is damaged or not a database: .*can be deleted"):
        examine(path)


def test_one_that_is_locked_says_so(path: Path) -> None:
    with closing(AnswerStore(path)), closing(connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="cannot be used: database is locked"):
            impatient(path)


def impatient(path: Path) -> None:
    with opened(path) as store:
        store._connection.execute("PRAGMA busy_timeout = 1")
        store.purge(Which())
