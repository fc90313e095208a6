import csv
import io
import json

import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import SEALED, Thing
from llm_intercept.store.audit_search import COLUMNS, AuditQuery, actions, asked, export, search
from llm_intercept.store.control import Control
from llm_intercept.store.export import Format
from tests.store.conftest import Clock

ANNA = Actor("session", "Anna", "admin", "usr_a", "192.0.2.1")
BOB = Actor("api_token", "bob", "member", "usr_b", "192.0.2.2", "0190-b")
HOUR = 3600


@pytest.fixture
def log(control: Control, clock: Clock) -> Control:
    """From 2026-11-18T11:06:40Z on, one row an hour."""
    said = [
        (ANNA, "project.create", Thing("project", "demo", "prj_1"), "ok", "", {"capture": "All"}),
        (ANNA, "token.create", Thing("token", "demo/laptop", "tok_1"), "ok", "", None),
        (BOB, "token.create", Thing("token", "demo/phone", "tok_2"), "denied", "not yours", None),
        (BOB, "token.revoke", Thing("token", "blue/phone", "tok_3"), "failed", "=gone", None),
        (ANNA, "key.create", Thing("key", "openai/default", "cred_1"), "ok", "", None),
    ]
    for actor, action, thing, outcome, detail, after in said:
        control.audit.record(actor, action, thing, outcome=outcome, detail=detail, after=after)
        clock.now += HOUR
    return control


def test_rows_without_a_request_are_sealed_as_before_there_were_any(log: Control) -> None:
    for row in search(log.database, AuditQuery()).rows:
        said = json.dumps([getattr(row, name) for name in SEALED], separators=(",", ":"), ensure_ascii=False)
        old = log.database.vault.digest(f"llm-intercept audit row v1\n{said}")
        assert (old == row.seal) is (row.request_id == "")
    assert log.audit.verify().ok


def found(control: Control, **query: object) -> list[str]:
    rows = search(control.database, AuditQuery(**query)).rows
    return [row.object_id for row in rows]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, ["cred_1", "tok_3", "tok_2", "tok_1", "prj_1"]),
        ({"actor": "anna"}, ["cred_1", "tok_1", "prj_1"]),
        ({"actor": "usr_b"}, ["tok_3", "tok_2"]),
        ({"actor": "b*"}, ["tok_3", "tok_2"]),
        ({"actor": "an"}, []),
        ({"action": "token.create"}, ["tok_2", "tok_1"]),
        ({"action": "token.*"}, ["tok_3", "tok_2", "tok_1"]),
        ({"action": "*.create", "actor": "bob"}, ["tok_2"]),
        ({"kind": "token"}, ["tok_3", "tok_2", "tok_1"]),
        ({"name": "demo"}, ["prj_1"]),
        ({"name": "DEMO/*"}, ["tok_2", "tok_1"]),
        ({"name": "tok_3"}, ["tok_3"]),
        ({"outcome": "denied"}, ["tok_2"]),
        ({"source": "192.0.2.2"}, ["tok_3", "tok_2"]),
        ({"request_id": "0190-B"}, ["tok_3", "tok_2"]),
        ({"request_id": "0190"}, []),
        ({"text": "YOURS"}, ["tok_2"]),
        ({"text": "0190-b"}, ["tok_3", "tok_2"]),
        ({"text": '"all"'}, ["prj_1"]),
        ({"text": "phone", "outcome": "failed"}, ["tok_3"]),
        ({"text": "%"}, []),
        ({"text": "' OR 1 --"}, []),
    ],
)
def test_filters(log: Control, query: dict[str, str], ids: list[str]) -> None:
    assert found(log, **query) == ids


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ({"since": "90m"}, ["cred_1"]),
        ({"since": "2026-11-18T13:06:40", "until": "2026-11-18T14:06:41"}, ["tok_3", "tok_2"]),
        ({"since": "2026-11-18", "until": "2026-11-18"}, ["cred_1", "tok_3", "tok_2", "tok_1", "prj_1"]),
        ({"since": "2026-11-19"}, []),
        # 13:06:40 UTC is midnight and a bit in Auckland.
        (
            {"since": "2026-11-19", "timezone": "Pacific/Auckland"},
            ["cred_1", "tok_3", "tok_2", "tok_1", "prj_1"],
        ),
        ({"until": "2026-11-18", "timezone": "Pacific/Auckland"}, []),
        (
            {"until": "2026-11-18", "timezone": "America/New_York"},
            ["cred_1", "tok_3", "tok_2", "tok_1", "prj_1"],
        ),
    ],
)
def test_days_of_a_time_zone(log: Control, clock: Clock, words: dict[str, str], ids: list[str]) -> None:
    query = asked(now_us=round(clock.now * 1e6), **words)
    assert [row.object_id for row in search(log.database, query).rows] == ids


def test_the_border_of_a_day_is_that_of_the_zone(control: Control, clock: Clock) -> None:
    clock.now = 1_795_046_399.0  # 2026-11-18T23:59:59Z
    control.audit.record(ANNA, "a", Thing("x", id="before"))
    clock.now += 2
    control.audit.record(ANNA, "a", Thing("x", id="after"))
    now_us = round(clock.now * 1e6)
    for zone, ids in (("UTC", ["after"]), ("Europe/Berlin", ["after", "before"])):
        query = asked(since="2026-11-19", timezone=zone, now_us=now_us)
        assert [row.object_id for row in search(control.database, query).rows] == ids


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"outcome": "good"}, "ok, denied, failed"),
        ({"timezone": "Moon/Sea"}, "is not a time zone"),
        ({"since": "soon"}, "is not a time"),
    ],
)
def test_words_that_mean_nothing(words: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        asked(now_us=10**15, **words)


def test_pages(log: Control) -> None:
    seen, cursor = [], None
    while True:
        page = search(log.database, AuditQuery(), limit=2, cursor=cursor)
        seen.append([row.object_id for row in page.rows])
        if (cursor := page.cursor) is None:
            break
        log.audit.record(ANNA, "later")  # what comes in between moves nothing
    assert seen == [["cred_1", "tok_3"], ["tok_2", "tok_1"], ["prj_1"]]
    with pytest.raises(ConfigError, match="1 to 1000"):
        search(log.database, AuditQuery(), limit=0)


def test_actions(log: Control) -> None:
    assert actions(log.database) == ["key.create", "project.create", "token.create", "token.revoke"]


@pytest.mark.parametrize("kind", ["csv", "json", "ndjson"])
def test_exports(log: Control, kind: Format) -> None:
    text = "".join(export(log.database, AuditQuery(actor="bob"), kind))
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
    elif kind == "json":
        rows = json.loads(text)
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    assert [row["object_id"] for row in rows] == ["tok_2", "tok_3"]
    assert list(rows[0]) == list(COLUMNS)
    assert rows[0]["ts"] == "2026-11-18T13:06:40.000000Z"
    assert rows[1]["detail"] == ("'=gone" if kind == "csv" else "=gone")  # no formula for a spreadsheet


@pytest.mark.parametrize("kind", ["json", "ndjson"])
def test_what_changed_is_json_in_json(log: Control, kind: Format) -> None:
    text = "".join(export(log.database, AuditQuery(kind="project"), kind))
    row = json.loads(text)[0] if kind == "json" else json.loads(text)
    assert (row["before"], row["after"]) == (None, {"capture": "All"})


def test_an_export_of_nothing(log: Control) -> None:
    assert json.loads("".join(export(log.database, AuditQuery(actor="nobody"), "json"))) == []
