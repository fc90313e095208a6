"""Stored answers by their pages: the list and its filters, one answer, deleting them, and whose they are."""

import json
import re
from contextlib import closing
from typing import Any

import pytest

from llm_intercept.home import Home
from llm_intercept.store.cache import AnswerStore, Stored, Which
from llm_intercept.store.rows import RequestRow
from tests.dashboard.admin.conftest import MANAGE, Admin, said
from tests.dashboard.conftest import NOW, Visitor
from tests.dashboard.people import SECRET, control_of, furnish, log_in_as
from tests.dashboard.test_pages import put

MINUTE = 60_000_000
CHAT: dict[str, Any] = {"choices": [{"message": {"content": "<b>Sunny</b> & warm"}}]}


def stored(number: int, **values: Any) -> Stored:
    """The n-th, a minute older than the one before it."""
    given: dict[str, Any] = {
        "id": NOW - number * MINUTE,
        "key": number.to_bytes(1) * 32,
        "project": "default",
        "token": "laptop",
        "request_id": f"0197-{number}",
        "provider": "openai",
        "host": "api.openai.com",
        "model": "gpt-5-mini",
        "dialect": "openai_chat",
        "operation": "chat",
        "stream": False,
        "content_type": "application/json",
        "headers": (("x-request-id", "req_1"),),
        "body": json.dumps(CHAT).encode(),
        "tokens": 120,
        "cost_nanos": 2_000_000,
        "expires_us": NOW + 365 * 1440 * MINUTE,
    }
    return Stored(**{**given, **values})


def keep(home: Home, *answers: Stored, hits: int = 0) -> None:
    with closing(AnswerStore(home.cache_db)) as store:
        store.put(sorted(answers, key=lambda answer: answer.id))
        store.used([(answer.key, hits, NOW) for answer in answers])


def left(home: Home) -> list[str]:
    with closing(AnswerStore(home.cache_db)) as store:
        return [entry.key[:2] for entry in store.entries(Which(), 1000)]


def listed(text: str) -> list[str]:
    return [key[:2] for key in re.findall(r'<b><a href="/-/llm/manage/cache/([0-9a-f]{64})"', text)]


def answers() -> list[Stored]:
    return [
        stored(1),
        stored(2, project="shop", provider="anthropic", model="claude-haiku-4-5", cost_nanos=None),
        stored(3, expires_us=NOW - 1, model="gpt-5"),
        stored(200, operation="embeddings", model="text-embedding-3-small", body=b'{"data": []}'),
    ]


def test_an_empty_list_says_how_to_switch_it_on(admin: Admin) -> None:
    text = admin.get("/cache")
    for words in (
        "No stored answers yet",
        "cache-control: max-age=3600",
        "mode = &#34;on&#34;",
        "config.toml",
    ):
        assert words in text or words.replace("&#34;", '"') in text
    assert "Delete all" not in text


@pytest.mark.parametrize("mode", ["off", "opt-in", "on"])
def test_what_the_settings_say_is_said(admin: Admin, mode: str) -> None:
    admin.home.config_toml.write_text(f'[cache]\nmode = "{mode}"\nttl = 77\nscope = "token"\n')
    text = admin.get("/cache")
    words = {
        "off": "Nothing is stored unless",
        "opt-in": "for calls that ask for it",
        "on": "Whole answers are",
    }
    assert words[mode] in text
    assert "good for 77 seconds" in text
    assert "calls with the same token" in text


def test_totals_and_the_list(admin: Admin) -> None:
    keep(admin.home, *answers(), hits=3)
    text = admin.get("/cache")
    assert listed(text) == ["01", "02", "03", "c8"]
    figures = re.findall(r'class="figure"[^>]*>([^<]+)<', text)
    assert figures[0] == "4"
    assert figures[2:] == ["12", "$0.018"]
    assert "1 out of date" in text
    assert "unpriced" in text
    assert text.count(">out of date</span>") == 1
    assert "3 times" in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("model=gpt-5*", ["01", "03"]),
        ("model=gpt-5", ["03"]),
        ("project=shop", ["02"]),
        ("provider=anthropic", ["02"]),
        ("provider=openai&state=expired", ["03"]),
        ("older=1h", ["c8"]),
        ("older=90s", ["02", "03", "c8"]),
        ("key=C8", ["c8"]),
        ("model=nothing", []),
        (f"before={NOW - 2 * MINUTE}", ["03", "c8"]),
    ],
)
def test_filters(admin: Admin, query: str, found: list[str]) -> None:
    keep(admin.home, *answers())
    text = admin.get(f"/cache?{query}")
    assert listed(text) == found
    if not found:
        assert "No stored answer matches" in text


@pytest.mark.parametrize(
    ("query", "words"), [("older=soon", "not a duration"), ("key=xyz", "no key of a stored answer")]
)
def test_what_cannot_be_read_is_said(admin: Admin, query: str, words: str) -> None:
    answer = admin.visitor.get(f"{MANAGE}/cache?{query}")
    assert answer.status_code == 400
    assert words in answer.text


def test_the_list_pages_to_the_end(admin: Admin) -> None:
    keep(admin.home, *(stored(number) for number in range(120)))
    path, seen = "/cache?project=default", []
    while path:
        text = admin.get(path)
        seen += listed(text)
        older = re.search(r'href="(\?before=[^"]+)">Older<', text)
        path = "/cache" + older[1].replace("&amp;", "&") if older else ""
    assert seen == [f"{number:02x}" for number in range(120)]


def test_one_answer_with_what_it_says(admin: Admin) -> None:
    keep(admin.home, stored(1), hits=2)
    text = admin.get(f"/cache/{'01' * 32}")
    for words in (
        "&lt;b&gt;Sunny&lt;/b&gt; &amp; warm",
        "2 times",
        "$0.004",
        "req_1",
        "/-/llm/requests/0197-1",
    ):
        assert words in text
    assert "<b>Sunny" not in text
    assert f"{MANAGE}/cache/purge?key={'01' * 32}" in text
    assert "gpt-5-mini" in admin.get("/cache/0101")
    for unknown in ("ff", "nonsense"):
        assert admin.visitor.get(f"{MANAGE}/cache/{unknown}").status_code == 404


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"operation": "embeddings", "body": b'{"data": [{"embedding": [0.25]}]}'}, "No text: vectors"),
        (
            {
                "stream": True,
                "content_type": "text/event-stream",
                "body": b'data: {"choices": [{"delta": {"content": "Sun"}}]}\n\n'
                b'data: {"choices": [{"delta": {"content": "ny"}}]}\n\ndata: [DONE]\n\n',
            },
            '<div class="text">Sunny</div>',
        ),
        ({"content_type": "application/vnd.amazon.eventstream", "body": b"\xff\xfe\x00"}, "a binary stream"),
        ({"content_type": "text/plain", "body": b"plain words"}, "plain words"),
        ({"body": json.dumps("x" * 300_000).encode()}, "(its beginning)"),
    ],
)
def test_answers_of_every_form(admin: Admin, values: dict[str, Any], words: str) -> None:
    keep(admin.home, stored(1, **values))
    assert words in admin.get(f"/cache/{'01' * 32}")


@pytest.mark.parametrize(
    ("query", "remains"),
    [
        ("", []),
        ("?model=gpt-5*", ["02", "c8"]),
        ("?project=shop", ["01", "03", "c8"]),
        ("?state=expired", ["01", "02", "c8"]),
        ("?older=1h&provider=openai", ["01", "02", "03"]),
        (f"?key={'01' * 32}", ["02", "03", "c8"]),
    ],
)
def test_deleting_is_asked_for_once_more(admin: Admin, query: str, remains: list[str]) -> None:
    admin.done("/projects/new", name="shop")
    keep(admin.home, *answers())
    number = 4 - len(remains)
    words = "one stored answer" if number == 1 else f"{number} stored answers"
    text = admin.get(f"/cache/purge{query}")
    assert f"Delete {words}?" in text
    assert len(left(admin.home)) == 4
    text = admin.done(f"/cache/purge{query}", confirmed="yes")
    assert "deleted" in said(text)
    assert left(admin.home) == remains
    assert admin.last_audit().action == "cache.purge"
    if query:
        gone = admin.visitor.get(f"{MANAGE}/cache/purge{query}")
        assert gone.status_code == 303


def test_the_summary_counts_hits(admin: Admin) -> None:
    assert "0 <small>hits in 7 days</small>" in admin.get("")
    put(admin.home, RequestRow(NOW - 5, "0197-a", outcome="ok", cache="hit", saved_nanos=2_000_000_000))
    put(admin.home, RequestRow(NOW - 4, "0197-b", outcome="ok", cache="stored"))
    assert "1 <small>hits in 7 days</small>" in admin.get("")


def test_a_damaged_file_is_a_page_that_says_so(admin: Admin) -> None:
    admin.home.cache_db.write_bytes(b"no database" * 1000)
    answer = admin.visitor.get(f"{MANAGE}/cache")
    assert answer.status_code == 503
    assert "cache.db" in answer.text
    assert "Traceback" not in answer.text
    assert admin.visitor.get(MANAGE).status_code == 200


@pytest.fixture
def door(visit: Any, empty: Home) -> Visitor:
    furnish(empty)
    keep(
        empty,
        stored(1, project="bobs", token="laptop"),
        stored(2, project="others", token="vics"),
        stored(3, project=f"p-{SECRET}", token=f"t-{SECRET}", model=f"m-{SECRET}"),
    )
    found: Visitor = visit(empty)
    return found


@pytest.mark.parametrize(("name", "seen"), [("ada", ["01", "02", "03"]), ("bob", ["01"]), ("vic", ["02"])])
def test_whose_answers_one_sees(door: Visitor, name: str, seen: list[str]) -> None:
    log_in_as(door, name)
    answer = door.get(f"{MANAGE}/cache")
    assert listed(answer.text) == seen
    assert (SECRET in answer.text) == (name == "ada")
    for number in ("01", "02", "03"):
        status = door.get(f"{MANAGE}/cache/{number * 32}").status_code
        assert status == (200 if number in seen else 404)


def test_a_member_deletes_those_of_own_projects(door: Visitor, empty: Home) -> None:
    log_in_as(door, "bob")
    assert "Delete one stored answer?" in (text := door.get(f"{MANAGE}/cache/purge").text)
    assert "Only those of your projects go." in text
    assert door.get(f"{MANAGE}/cache/purge?project=others").status_code == 404
    assert door.post(f"{MANAGE}/cache/purge", data={"confirmed": "yes"}).status_code == 303
    assert left(empty) == ["02", "03"]


def test_a_viewer_deletes_nothing(door: Visitor, empty: Home) -> None:
    log_in_as(door, "vic")
    assert "Delete" not in door.get(f"{MANAGE}/cache").text
    assert "Delete" not in door.get(f"{MANAGE}/cache/{'02' * 32}").text
    assert door.get(f"{MANAGE}/cache/purge").status_code == 403
    assert door.post(f"{MANAGE}/cache/purge", data={"confirmed": "yes"}).status_code == 403
    assert left(empty) == ["01", "02", "03"]
    with closing(control_of(empty)) as control:
        assert any(row.outcome == "denied" for row in control.audit.after(0, 1000))
