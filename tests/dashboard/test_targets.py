"""The page of keys and targets, and its buttons."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.store.migrate import connect
from llm_intercept.store.pools import BreakerRow, Changes, KeyRow, write_changes
from llm_intercept.store.rows import AttemptRow, RequestRow
from llm_intercept.store.usage import write_batch
from llm_intercept.vault import Vault
from tests.dashboard.conftest import NOW, Visitor, log_in

SECOND = 1_000_000
PATH = "/-/llm/targets"
HEADROOM = (
    '{"requests":{"limit":4000,"remaining":3999,"reset":1795160679.0},"tokens":null,'
    '"input_tokens":{"limit":null,"remaining":12345,"reset":null},"output_tokens":null}'
)


@pytest.fixture
def control(empty: Home) -> Iterator[Control]:
    control = Control(empty.control_db, Vault.load(empty.secret_key, {}))
    yield control
    control.close()


@pytest.fixture
def visitor(visit: Any, empty: Home) -> Visitor:
    found: Visitor = visit(empty)
    log_in(found, empty)
    return found


def know(home: Home, *rows: KeyRow | BreakerRow) -> None:
    changes = Changes()
    for row in rows:
        place = (row.provider, row.credential, row.model)
        if isinstance(row, KeyRow):
            changes.keys[place] = row
        else:
            changes.breakers[place] = row
    connection = connect(home.usage_db)
    write_changes(connection, changes, NOW)
    connection.close()


def words(text: str) -> str:
    """What a person reads of the page's main part."""
    main = text.split("<main")[1].partition(">")[2].split("</main>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main))


OPEN = BreakerRow(
    "openai", "main", "gpt-5", "open", 5, "503: <overloaded>", NOW + 30 * SECOND, 3, NOW - 60 * SECOND
)


def test_nobody_without_a_login(anonymous: Visitor) -> None:
    assert anonymous.get(PATH).status_code == 403
    assert anonymous.post(f"{PATH}/reset", data={"provider": "openai"}).status_code == 403


def test_with_nothing_to_show_it_says_so(visitor: Visitor) -> None:
    answer = visitor.get(PATH)
    assert answer.status_code == 200
    shown = words(answer.text)
    assert "No key is stored." in shown
    assert "No breaker has opened" in shown
    assert "done with its first try" in shown
    assert 'aria-current="page">Targets<' in answer.text


def test_keys_with_what_is_left(visitor: Visitor, empty: Home, control: Control) -> None:
    for name in ("main", "spare", "off"):
        control.credentials.add("openai", SecretStr(f"sk-abcdefghijkl{name}"), name=name)
    control.credentials.disable("openai", "off")
    know(
        empty,
        KeyRow("openai", "main", "", NOW + 30 * SECOND, "429 slow down", HEADROOM, NOW - SECOND),
        KeyRow("openai", "spare", "", NOW - SECOND, "429 long ago", "", NOW - 90 * SECOND),
        KeyRow("openai", "spare", "o3", NOW + 60 * SECOND, "403 no access", "", NOW),
        KeyRow("openai", "spare", "o1", NOW - 60 * SECOND, "403 over", "", NOW),
        KeyRow("openai", "deleted", "", NOW + SECOND, "429", "", NOW),
    )
    text = visitor.get(PATH).text
    shown = words(text)
    assert "cooling until 07:45:08 UTC 429 slow down" in shown
    assert "3,999 of 4,000 requests 12,345 input tokens" in shown
    assert "in use not for o3 until 07:45:38 UTC : 403 no access" in shown
    assert "disabled" in shown
    for hidden in ("long ago", "403 over", "deleted", "abcdefghijkl"):
        assert hidden not in text
    assert text.count("Use again") == 2


def test_breakers_in_trouble_come_first(visitor: Visitor, empty: Home) -> None:
    know(
        empty,
        BreakerRow("a", "main", "calm", "closed", 0, "", 0, 0, NOW - SECOND),
        OPEN,
        BreakerRow("a", "main", "due", "open", 5, "timeout", NOW - SECOND, 1, NOW - 90 * SECOND),
        BreakerRow("a", "main", "trying", "half_open", 5, "lost", NOW, 1, NOW - SECOND),
    )
    text = visitor.get(PATH).text
    shown = words(text)
    places = [shown.index(name) for name in ("trying", "gpt-5", "due", "calm")]
    assert places == sorted(places)
    assert "open until 07:45:08 UTC 503: &lt;overloaded&gt;" in shown
    assert "opened 3 times in a row" in shown
    assert "open the next call is a trial timeout" in shown
    assert text.count(">Reset<") == 3


def test_a_reset_is_asked_for_and_shown_until_it_is_done(
    visitor: Visitor, empty: Home, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(empty, OPEN)
    form = {"provider": "openai", "credential": "main", "model": "gpt-5"}
    answer = visitor.post(f"{PATH}/reset", data=form)
    assert (answer.status_code, answer.headers["location"]) == (302, PATH)
    assert list(control.breakers.asked()) == [("openai", "main", "gpt-5")]
    done = [row for row in control.audit.after(0, 100) if row.action == "breaker.reset"]
    assert [(row.object_name, row.actor_kind, row.outcome) for row in done] == [
        ("openai/main/gpt-5", "session", "ok")
    ]
    # Asked in real time, which is long after the page's; the breaker has to be from between the two.
    assert "asked for" in words(visitor.get(PATH).text)
    asked = control.breakers.asked()["openai", "main", "gpt-5"]
    know(empty, BreakerRow("openai", "main", "gpt-5", "open", 5, "503", asked + 9, 1, asked + 1))
    assert "asked for" not in words(visitor.get(PATH).text)


def test_a_cooling_key_is_taken_back(visitor: Visitor, empty: Home, control: Control) -> None:
    control.credentials.add("openai", SecretStr("sk-abcdefghijklmnop"), name="main")
    know(empty, KeyRow("openai", "main", "", NOW + 30 * SECOND, "429", "", NOW))
    form = re.search(r"<form action=\"([^\"]+reset)\"(.*?)</form>", visitor.get(PATH).text)
    assert form is not None
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[2]))
    visitor.post(form[1], data=fields)
    assert list(control.breakers.asked()) == [("openai", "main", "")]
    assert "asked for" in words(visitor.get(PATH).text)


@pytest.mark.parametrize("form", [{}, {"provider": ""}, {"model": "gpt-5"}])
def test_a_form_without_a_provider_resets_nothing(
    visitor: Visitor, control: Control, form: dict[str, str]
) -> None:
    assert visitor.post(f"{PATH}/reset", data=form).status_code == 302
    assert not control.breakers.asked()


def test_only_a_form_of_our_own_resets(visitor: Visitor, control: Control) -> None:
    form = {"provider": "openai", "credential": "", "model": ""}
    foreign = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    assert visitor.post(f"{PATH}/reset", data=form, headers=foreign).status_code == 403
    assert visitor.get(f"{PATH}/reset?provider=openai").status_code == 302
    assert not control.breakers.asked()


FAILED_OVER = RequestRow(
    NOW - 5 * SECOND,
    "0197-f",
    outcome="ok",
    status=200,
    model_requested="big",
    route="cheap-first",
    attempts=2,
    tries=[
        AttemptRow(
            0, 1, "openai", "api.openai.com", "main", "gpt-5", "first of the route", 429, "client_error"
        ),
        AttemptRow(
            0,
            2,
            "anthropic",
            "api.anthropic.com",
            "spare",
            "claude",
            "second <of> the route",
            200,
            "ok",
            input_tokens=1200,
            output_tokens=34,
            cost_nanos=4_110_000,
        ),
    ],
)


def put(home: Home, *rows: RequestRow) -> None:
    connection = connect(home.usage_db)
    write_batch(connection, rows)
    connection.close()


def test_failovers_of_the_last_day(visitor: Visitor, empty: Home) -> None:
    old = RequestRow(NOW - 90_000 * SECOND, "0197-e", outcome="ok", tries=FAILED_OVER.tries[:1])
    put(empty, FAILED_OVER, old)
    shown = words(visitor.get(PATH).text)
    assert "1 call needed another try, 1 was answered" in shown
    assert "big route cheap-first openai / main 429 anthropic / spare 200 OK" in shown


def test_a_calls_page_shows_its_attempts(visitor: Visitor, empty: Home) -> None:
    put(empty, FAILED_OVER)
    text = visitor.get("/-/llm/requests/0197-f").text
    shown = words(text)
    assert "openai api.openai.com gpt-5 first of the route main" in shown
    assert "anthropic api.anthropic.com claude second &lt;of&gt; the route spare" in shown
    assert "$0.00411 1,200 → 34" in shown
