"""Limits by their forms, and the bars of where they stand."""

import re
import sys
from contextlib import closing
from dataclasses import replace

import pytest

from llm_intercept.manage.limit_usage import UsageLine
from llm_intercept.policy.limits import NANOS, Limit
from llm_intercept.store.reservations import Counters
from tests.dashboard.admin.conftest import Admin, said

BASE = {
    "scope": "project",
    "whom": "one",
    "name": "team",
    "measure": "requests",
    "amount": "60",
    "per": "minute",
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Limit(scope="project", name="team", measure="requests", amount=60, per="minute")),
        (
            {
                "measure": "cost",
                "amount": "$12.50",
                "per": "day",
                "timezone": "Europe/Berlin",
                "thresholds": "50%, 90",
            },
            Limit(
                scope="project",
                name="team",
                measure="cost",
                amount=12_500_000_000,
                per="day",
                timezone="Europe/Berlin",
                thresholds=(50, 90),
            ),
        ),
        (
            {
                "scope": "token",
                "whom": "each",
                "measure": "tokens",
                "amount": "2.5M",
                "per": "month",
                "soft": "yes",
            },
            Limit(scope="token", measure="tokens", amount=2_500_000, per="month", soft=True),
        ),
        (
            {"scope": "global", "name": "ignored", "measure": "concurrency", "amount": "20"},
            Limit(scope="global", measure="concurrency", amount=20),
        ),
        (
            {"measure": "tokens", "per": "day", "reserve": "2k"},
            Limit(scope="project", name="team", measure="tokens", amount=60, per="day", reserve=2000),
        ),
    ],
)
def test_one_is_set_as_the_form_says(admin: Admin, fields: dict[str, str], expected: Limit) -> None:
    with admin.control() as control:
        control.projects.create("team")
    admin.done("/limits/new", **{**BASE, "thresholds": "80, 100", **fields})
    with admin.control() as control:
        assert [record.limit for record in control.limits.list()] == [expected]
    assert admin.last_audit().action == "limit.create"


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"amount": ""}, "amount", "needed"),
        ({"amount": "lots"}, "amount", "not an amount"),
        ({"amount": "0.5"}, "amount", "decimals"),
        ({"name": ""}, "name", "whose limit"),
        ({"timezone": "Mars/Olympus"}, "timezone", "not a time zone"),
        ({"thresholds": "80, x"}, "thresholds", "not a whole number"),
        ({"thresholds": "5000"}, "thresholds", "percentages"),
        ({"measure": "concurrency", "amount": "0"}, "amount", "no call at all"),
        ({"name": "nobody"}, "name", "no project named"),
        ({"scope": "client_ip", "name": "10.0.0.x"}, "name", "address"),
        ({"reserve": "2000"}, "reserve", "tokens and dollars"),
        ({"measure": "cost", "reserve": "0"}, "reserve", "greater"),
        ({"measure": "cost", "reserve": "all"}, "reserve", "not an amount"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin: Admin, fields: dict[str, str], where: str, words: str
) -> None:
    assert words in admin.refused("/limits/new", **(BASE | fields))[where]


def test_changed_suspended_and_removed(admin: Admin) -> None:
    with admin.control() as control:
        id_ = control.limits.set(Limit(scope="global", measure="cost", amount=5 * NANOS, per="day")).id
    page = admin.get(f"/limits/{id_}/edit")
    assert 'value="5"' in page
    assert "$7.25 a day" in said(admin.done(f"/limits/{id_}/edit", amount="7.25", timezone="UTC", soft="yes"))
    with admin.control() as control:
        record = control.limits.get(id_)
    assert (record.limit.amount, record.limit.soft, record.limit.per) == (7_250_000_000, True, "day")
    assert "not an amount" in admin.refused(f"/limits/{id_}/edit", amount="x")["amount"]
    assert "Suspended" in said(admin.done(f"/limits/{id_}/disable"))
    assert '<span class="badge quiet">suspended</span>' in admin.get("/limits")
    text = admin.done(f"/limits/{id_}/edit", amount="7.25", timezone="UTC")
    assert "and still suspended" in said(text)
    assert '<span class="badge quiet">suspended</span>' in text
    assert "In force again" in said(admin.done(f"/limits/{id_}/enable"))
    assert "may spend $7.25 a day" in admin.get(f"/limits/{id_}/delete")
    assert "Removed" in said(admin.done(f"/limits/{id_}/delete", confirmed="yes"))
    with admin.control() as control:
        assert control.limits.list() == []


def test_a_reserve_is_changed_and_taken_back(admin: Admin) -> None:
    with admin.control() as control:
        limit = Limit(scope="global", measure="cost", amount=5 * NANOS, per="day", reserve=2000)
        id_ = control.limits.set(limit).id
        calls = control.limits.set(Limit(scope="global", measure="requests", amount=5, per="day")).id
    assert 'value="2,000"' in admin.get(f"/limits/{id_}/edit")
    assert "2,000 tokens at a time" in admin.get("/limits")
    assert 'name="reserve"' not in admin.get(f"/limits/{calls}/edit")
    for typed, expected in (("500", 500), ("", None)):
        admin.done(f"/limits/{id_}/edit", amount="5", reserve=typed)
        with admin.control() as control:
            assert control.limits.get(id_).limit.reserve == expected
    admin.done(f"/limits/{calls}/edit", amount="6")


def test_filters(admin: Admin) -> None:
    with admin.control() as control:
        day = control.limits.set(Limit(scope="global", measure="cost", amount=5 * NANOS, per="day")).id
        each = control.limits.set(Limit(scope="token", measure="requests", amount=10, soft=True)).id
        control.limits.enable(control.limits.set(Limit(scope="user", measure="tokens", amount=9)).id, False)
    counted(admin, f"{day}:", 5 * NANOS, 0)
    counted(admin, f"{each}:team/t", 9, 0)
    for query, found in (
        ("q=spend", ["$5.00"]),
        (f"q={each}", ["10 requests"]),
        ("scope=user", ["9 tokens"]),
        ("measure=requests", ["10 requests"]),
        ("state=suspended", ["9 tokens"]),
        ("state=soft", ["10 requests"]),
        ("state=full", ["$5.00"]),
        ("state=nearly+full", ["10 requests"]),
        ("", ["$5.00", "10 requests", "9 tokens"]),
    ):
        text = admin.get(f"/limits?{query}")
        shown = [words for words in ("$5.00", "10 requests", "9 tokens") if f"{words} " in _names(text)]
        assert shown == found, query
    assert "No limit matches" in admin.get("/limits?q=nothing-like-it")


def _names(text: str) -> str:
    return " ".join(re.findall(r'<td class="name"><b><a [^>]*>([^<]*)</a>', text)) + " "


def counted(admin: Admin, key: str, used: int, held: int) -> None:
    with closing(Counters(admin.home.limits_db)) as counters, counters.changing(5.0) as changes:
        counter = changes.counters([key])[key]
        counter.add(0, 0, used)
        counter.hold(0, 0, held)
        changes.changed(key)


def test_bars_show_used_and_reserved(admin: Admin) -> None:
    with admin.control() as control:
        id_ = control.limits.set(Limit(scope="project", name="team", measure="requests", amount=200)).id
        each = control.limits.set(Limit(scope="token", measure="requests", amount=10)).id
    counted(admin, f"{id_}:", 150, 20)
    for number in range(9):
        counted(admin, f"{each}:team/t{number}", number, 0)
    text = admin.get("/limits")
    assert "150 used, 20 reserved, 30 left" in text
    assert 'class="used" width="75.00"' in text
    assert 'class="held" x="75.00" width="10.00"' in text
    assert re.search(r'class="gauge warn"', text)
    assert "token team/t8" in text
    assert "token team/t3" not in text
    assert "and 4 more with less" in text


def test_an_empty_list_says_how_to_begin(admin: Admin) -> None:
    assert "Begin with what hurts most" in admin.get("/limits")


def test_a_gauge_is_full_at_its_amount(admin: Admin) -> None:
    limits = sys.modules["llm_dashboard.admin.limits"]
    line = UsageLine("lim", "who", "text", "requests", "day", 10, 12, 3, 0, None)
    gauge = limits.gauge(line)
    assert (gauge.used, gauge.held, gauge.tone) == (1.0, 0.0, "full")
    at_once = replace(line, measure="concurrency", amount=10, used=0, reserved=4)
    gauge = limits.gauge(at_once)
    assert (gauge.used, gauge.held, gauge.words["used"]) == (0.4, 0.0, "4")


def test_the_period_follows_the_amount(admin: Admin) -> None:
    text = admin.get("/limits/new")
    places = [text.index(f'id="f-{name}"') for name in ("measure", "amount", "per", "timezone", "reserve")]
    assert places == sorted(places)
