import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing

import pytest

from llm_intercept.home import Home
from llm_intercept.settings import CaptureSettings
from llm_intercept.store.bodies import Body, Capture, expire_bodies, read_bodies, write_bodies
from llm_intercept.store.migrate import connect

DAY_US = 86_400_000_000


@pytest.fixture
def bodies_db(home: Home) -> Iterator[sqlite3.Connection]:
    with closing(connect(home.bodies_db)) as connection:
        yield connection


def capture(**values: object) -> Capture:
    return Capture(CaptureSettings.model_validate(values))


def test_there_and_back(home: Home, bodies_db: sqlite3.Connection) -> None:
    request = Body("request", "application/json", b'{"q": "\xc3\xa4", "api_key": "0123456789abcdef"}')
    response = Body("response", "text/plain", b"not utf-8: \xff")
    write_bodies(bodies_db, capture(), [(5, [response, request]), (6, [])])
    shown = read_bodies(home.bodies_db, 5)
    assert [body.side for body in shown] == ["request", "response"]
    assert shown[0].text == '{"q": "ä", "api_key": "[redacted]"}'
    assert shown[1].text == "not utf-8: \ufffd"
    assert not shown[0].truncated
    assert shown[0].size == len(request.content)
    assert read_bodies(home.bodies_db, 6) == []


def test_it_is_compressed(bodies_db: sqlite3.Connection) -> None:
    write_bodies(bodies_db, capture(), [(1, [Body("request", "text/plain", b"text " * 10_000)])])
    [(content, codec)] = bodies_db.execute("SELECT content, codec FROM bodies").fetchall()
    assert codec == "zlib"
    assert len(content) < 500
    assert zlib.decompress(content) == b"text " * 10_000


@pytest.mark.parametrize(
    ("content", "size", "kept", "truncated"),
    [
        (b"x" * 1024, 0, 1024, False),
        (b"x" * 1025, 0, 1024, True),
        (b"x" * 100_000, 0, 1024, True),
        (b"x" * 10, 99, 10, True),
    ],
)
def test_the_cap(
    home: Home, bodies_db: sqlite3.Connection, content: bytes, size: int, kept: int, truncated: bool
) -> None:
    write_bodies(bodies_db, capture(max_bytes=1024), [(1, [Body("response", "text/plain", content, size)])])
    [body] = read_bodies(home.bodies_db, 1)
    assert (len(body.text), body.truncated, body.size) == (kept, truncated, max(size, len(content)))


def test_no_half_of_a_secret_remains_at_the_cap(home: Home, bodies_db: sqlite3.Connection) -> None:
    content = b"x " * 505 + b"sk-proj-" + b"0123456789abcdef" * 4
    write_bodies(bodies_db, capture(max_bytes=1024), [(1, [Body("request", "text/plain", content)])])
    assert "sk-proj" not in read_bodies(home.bodies_db, 1)[0].text


def test_expiry(home: Home, bodies_db: sqlite3.Connection) -> None:
    policy = capture(retention_days=2)
    batch = [
        (n * DAY_US // 500, [Body("request", "", b"a"), Body("response", "", b"b")]) for n in range(2000)
    ]
    write_bodies(bodies_db, policy, batch)
    assert expire_bodies(bodies_db, policy, 4 * DAY_US) == 2000
    assert bodies_db.execute("SELECT count(*), min(request_id) FROM bodies").fetchone() == (2000, 2 * DAY_US)
    assert expire_bodies(bodies_db, policy, 4 * DAY_US) == 0
    assert bodies_db.execute("PRAGMA freelist_count").fetchone() == (0,)


@pytest.mark.parametrize(
    ("setting", "project", "failed", "kept"),
    [
        ("none", None, True, False),
        ("errors", None, True, True),
        ("errors", None, False, False),
        ("all", None, False, True),
        ("none", "all", False, True),
        ("all", "none", True, False),
        ("all", "errors", False, False),
    ],
)
def test_modes(setting: str, project: str | None, failed: bool, kept: bool) -> None:
    assert capture(bodies=setting).keeps(project, failed) is kept
