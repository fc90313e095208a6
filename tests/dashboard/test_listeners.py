"""The page of named listeners, and the list of requests narrowed to one."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from llm_intercept import presence
from llm_intercept.home import Home
from llm_intercept.store import report_rows, reports
from llm_intercept.store.control import Control
from llm_intercept.store.migrate import connect
from llm_intercept.store.report_time import Window
from llm_intercept.store.reports import EVERYTHING, Filters
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.usage import write_batch
from llm_intercept.vault import Vault
from tests.dashboard.conftest import NOW, Visitor, log_in

HOUR = 3_600_000_000


@contextlib.contextmanager
def table(home: Home) -> Iterator[Control]:
    control = Control(home.control_db, Vault.load(home.secret_key, {}))
    with contextlib.closing(control):
        yield control


def row(id: int, listener: str, **more: Any) -> RequestRow:
    return RequestRow(
        id=id,
        request_id=f"01970000-0000-7000-8000-{id % 10**12:012d}",
        provider="openai",
        project="default",
        model="gpt-5-mini",
        outcome="ok",
        listener=listener,
        **more,
    )


@pytest.fixture
def home(empty: Home) -> Home:
    with table(empty) as control:
        for name, mode, port in (("team", "regular", 18101), ("curl", "local:curl", None)):
            control.listeners.create(name, mode=mode, port=port, project="default", is_free=lambda _: True)
        control.listeners.create(
            "wide", mode="reverse:https://api.openai.com", port=18102, host="0.0.0.0", is_free=lambda _: True
        )
    rows = [row(NOW - HOUR, "team", cost_nanos=2_500_000_000), row(NOW - 2 * HOUR, "team", status=500)]
    rows += [row(NOW - 30 * HOUR, "team"), row(NOW - 3 * HOUR, "")]
    rows[1].outcome = "provider_error"
    with contextlib.closing(connect(empty.usage_db)) as connection:
        write_batch(connection, rows)
    return empty


@pytest.fixture
def visitor(visit: Any, home: Home) -> Visitor:
    found: Visitor = visit(home)
    log_in(found, home)
    return found


def test_only_for_those_who_are_logged_in(anonymous: Visitor) -> None:
    assert anonymous.get("/-/llm/listeners").status_code == 403


def test_without_any_the_page_says_how_to_make_one(owner: Visitor) -> None:
    text = owner.get("/-/llm/listeners").text
    assert "No listeners yet" in text
    assert "/-/llm/listeners/new" in text


def test_each_with_its_defaults_and_calls(visitor: Visitor) -> None:
    text = visitor.get("/-/llm/listeners").text
    lines = re.findall(r"<tr>(.*?)</tr>", text.partition("<tbody>")[2], re.DOTALL)
    assert len(lines) == 3
    curl, team, wide = lines
    assert "local:curl" in curl
    assert "listener=team" in team
    assert re.search(r'>2</a></td><td [^>]*>1</td><td class="right"[^>]*>\$2.50<', team)
    assert "project default" in team
    assert "on 0.0.0.0" in wide
    assert "tokens required" in wide
    assert "tokens as in settings" in team
    assert "HTTPS_PROXY=http://127.0.0.1:18101" in text
    assert "http://127.0.0.1:18102   in place of https://api.openai.com" in text


def test_filters(visitor: Visitor) -> None:
    assert visitor.get("/-/llm/listeners?q=local").text.count('<td class="name">') == 1
    assert visitor.get("/-/llm/listeners?q=default&state=stopped").text.count('<td class="name">') == 2
    assert "No listener matches" in visitor.get("/-/llm/listeners?q=nothing-like-it").text


def test_states(visitor: Visitor, home: Home) -> None:
    with table(home) as control:
        control.listeners.want("team", "running")
        control.listeners.set_state("team", "running")
        control.listeners.want("wide", "running")
        control.listeners.set_state("wide", "error", "port 18102 is taken by another program")
    text = visitor.get("/-/llm/listeners").text
    assert "starts with the proxy" in text
    assert "port 18102 is taken by another program" in text
    presence.announce(home.path, "http://127.0.0.1:18080")
    text = visitor.get("/-/llm/listeners").text
    assert '<span class="badge good">running</span>' in text
    assert '<span class="badge bad">error</span>' in text
    assert "beside the proxy at http://127.0.0.1:18080" in text


def test_the_requests_of_one(visitor: Visitor, home: Home) -> None:
    text = visitor.get("/-/llm/requests?since=9d&listener=team").text
    assert "<b>3</b> requests" in text
    assert len(re.findall(r'<tr data-id="', text)) == 3
    assert '<select name="listener">' in text
    assert '<select name="listener">' not in visitor.get("/-/llm/requests?since=9d").text
    span = Window(0, NOW + 1)
    with contextlib.closing(reports.connect(home.usage_db)) as conn:
        assert reports.summary(conn, span, Filters(EVERYTHING, listener="team")).requests == 3
        assert reports.summary(conn, span, Filters(EVERYTHING, listener="team", outcome="error")).errors == 1
        counted = report_rows.by_listener(conn, span, EVERYTHING)
    assert {name: (found["requests"], found["errors"]) for name, found in counted.items()} == {"team": (3, 1)}
