import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.home import Home
from llm_intercept.policy.windows import FOREVER
from llm_intercept.store.reservations import Counters

type Json = Callable[..., Any]


def count(home: Path, key: str, used: int, reserved: int) -> None:
    with closing(Counters(Home(home).limits_db)) as counters, counters.changing(5.0) as changes:
        counter = changes.counters([key])[key]
        counter.add(0, FOREVER, used)
        counter.hold(0, FOREVER, reserved)
        changes.changed(key)


def test_set_list_show(cli, cli_json: Json) -> None:
    cli("project", "create", "demo")
    made = cli_json(
        "limit", "set", "--project", "Demo", "--cost", "$5.50", "--per", "day", "--timezone", "Europe/Berlin"
    )
    assert (made["scope"], made["name"], made["amount"], made["soft"]) == (
        "project",
        "demo",
        5_500_000_000,
        False,
    )
    assert made["text"] == "project demo may spend $5.50 a day"
    assert [found["id"] for found in cli_json("limit", "list")] == [made["id"]]
    assert cli_json("limit", "show", made["id"])["usage"][0]["remaining"] == 5_500_000_000
    assert "(Europe/Berlin)" in cli("limit", "list").stdout
    assert "project demo" in cli("limit", "show", made["id"]).stdout


def test_streams_may_reserve_less(cli, cli_json: Json) -> None:
    words = ("limit", "set", "--global", "--per", "day", "--reserve", "2000")
    assert cli_json(*words, "--tokens", "2M")["reserve"] == 2000
    refused = cli(*words, "--requests", "9", code=1)
    assert "only limits on tokens and cost reserve anything" in refused.stderr


def test_setting_it_again_changes_it(cli_json: Json) -> None:
    first = cli_json("limit", "set", "--each", "token", "--requests", "60", "--per", "minute")
    words = ("--requests", "1.5k", "--per", "minute", "--soft", "--threshold", "50")
    second = cli_json("limit", "set", "--each", "token", *words)
    assert second["id"] == first["id"]
    assert (second["amount"], second["soft"], second["thresholds"]) == (1500, True, [50])
    assert len(cli_json("limit", "list")) == 1


def test_changing_one_leaves_the_rest(cli, cli_json: Json) -> None:
    words = ("--cost", "5", "--per", "day", "--timezone", "Europe/Berlin", "--soft", "--reserve", "2000")
    made = cli_json("limit", "set", "--global", *words)
    cli("limit", "disable", made["id"])
    changed = cli_json(
        "limit", "change", made["id"], "--amount", "7.50", "--threshold", "50", "--reserve", "0"
    )
    expected = {"amount": 7_500_000_000, "thresholds": [50], "reserve": None, "enabled": False}
    assert {name for name in made if changed[name] != made[name]} == {*expected, "text", "changed_at"}
    assert {name: changed[name] for name in expected} == expected
    assert "Changed: everybody" in cli("limit", "change", made["id"], "--hard").stdout
    assert cli_json("limit", "show", made["id"])["soft"] is False
    assert "say what to change" in cli("limit", "change", made["id"], code=2).stderr
    assert "not an amount" in cli("limit", "change", made["id"], "--amount", "x", code=2).stderr
    assert "there is no limit 'lim_x'" in cli("limit", "change", "lim_x", "--soft", code=3).stderr


@pytest.mark.parametrize(
    ("words", "scope", "name", "measure", "amount"),
    [
        ("--global --concurrency 20", "global", "", "concurrency", 20),
        ("--each client-ip --requests 9 --per hour", "client_ip", "", "requests", 9),
        ("--ip 10.0.0.0/8 --tokens 2M --per week", "client_ip", "10.0.0.0/8", "tokens", 2_000_000),
        ("--token laptop --requests 5 --per total", "token", "demo/laptop", "requests", 5),
        ("--token demo/laptop --requests 5 --per total", "token", "demo/laptop", "requests", 5),
        ("--token demo/* --requests 5 --per total", "token", "demo/*", "requests", 5),
        ("--provider OpenAI --cost 0.000001 --per month", "provider", "openai", "cost", 1000),
        ("--model gpt-4o* --tokens 1,000 --per day", "model", "gpt-4o*", "tokens", 1000),
        ("--user ada --cost 1_000 --per day", "user", "ada", "cost", 10**12),
    ],
)
def test_who_and_what(
    cli, cli_json: Json, words: str, scope: str, name: str, measure: str, amount: int
) -> None:
    cli("project", "create", "demo")
    cli("token", "create", "--project", "demo", "--name", "laptop")
    made = cli_json("limit", "set", *words.split())
    assert (made["scope"], made["name"], made["measure"], made["amount"]) == (scope, name, measure, amount)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--requests", "5", "--per", "day"), 2, "whom it is for"),
        (("--global", "--user", "a", "--requests", "5", "--per", "day"), 2, "whom it is for"),
        (("--global", "--per", "day"), 2, "how much of what"),
        (("--global", "--requests", "5", "--cost", "5", "--per", "day"), 2, "how much of what"),
        (("--global", "--requests", "5"), 2, "in which time"),
        (("--global", "--requests", "many", "--per", "day"), 2, "is not an amount"),
        (("--global", "--requests", "1.5", "--per", "day"), 2, "more decimals"),
        (("--global", "--requests", "5", "--per", "day", "--timezone", "Mars"), 1, "not a time zone"),
        (("--global", "--concurrency", "5", "--per", "day"), 1, "same time"),
        (("--global", "--concurrency", "0"), 1, "no call at all"),
        (("--project", "nope", "--requests", "5", "--per", "day"), 3, "no project named"),
        (("--token", "nope", "--requests", "5", "--per", "day"), 3, "no token"),
        (("--provider", "nope", "--requests", "5", "--per", "day"), 3, "no provider"),
        (("--listener", "nope", "--requests", "5", "--per", "day"), 3, "no listener"),
        (("--ip", "300.1.1.1", "--requests", "5", "--per", "day"), 1, "is no address"),
        (("--ip", "10.0.0.0/33", "--requests", "5", "--per", "day"), 1, "is no address"),
    ],
)
def test_what_cannot_be_set(cli, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in cli("limit", "set", *words, code=code).stderr


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--project", "DEFAULT"), "default"),
        (("--token", "default/own:0123abcd"), "default/own:0123abcd"),
        (("--token", "own:0123abcd"), "default/own:0123abcd"),
        (("--ip", "2001:DB8:0::7"), "2001:db8::7"),
        (("--ip", "10.1.2.3/8"), "10.0.0.0/8"),
        (("--ip", "10.*"), "10.*"),
        (("--each", "provider"), ""),
    ],
)
def test_names_are_written_as_calls_have_them(cli_json: Json, words: tuple[str, ...], name: str) -> None:
    assert cli_json("limit", "set", *words, "--requests", "5", "--per", "day")["name"] == name


def test_a_limit_of_a_project_that_is_gone_can_be_changed(home: Path, cli, cli_json: Json) -> None:
    cli("project", "create", "gone")
    words = ("limit", "set", "--project", "gone", "--per", "day", "--requests")
    first = cli_json(*words, "5")["id"]
    with closing(sqlite3.connect(Home(home).control_db)) as control, control:
        control.execute("DELETE FROM projects WHERE name = 'gone'")
    assert cli_json(*words, "6")["id"] == first


def test_suspend_and_remove(cli, cli_json: Json) -> None:
    made = cli_json("limit", "set", "--global", "--requests", "5", "--per", "total")["id"]
    assert cli_json("limit", "disable", made)["enabled"] is False
    assert "no" in cli("limit", "list").stdout
    assert cli_json("limit", "enable", made)["enabled"] is True
    assert "everybody together" in cli("limit", "remove", made).stdout
    assert cli_json("limit", "list") == []
    assert "There is no limit" in cli("limit", "list").stdout
    assert "no limit" in cli("limit", "show", made, code=3).stderr


def test_usage(cli, cli_json: Json, home: Path) -> None:
    assert "Nothing has been counted" in cli("limit", "usage").stdout
    total = cli_json("limit", "set", "--each", "token", "--cost", "2", "--per", "total")["id"]
    day = cli_json("limit", "set", "--global", "--requests", "10", "--per", "day")["id"]
    count(home, f"{total}:demo/laptop", 1_500_000_000, 250_000_000)
    count(home, "lim_gone:", 1, 1)
    by_id = {line["id"]: line for line in cli_json("limit", "usage")}
    assert by_id.keys() == {total, day}
    laptop = by_id[total]
    assert (laptop["who"], laptop["remaining"], laptop["resets"]) == ("token demo/laptop", 250_000_000, None)
    assert by_id[day]["resets"].endswith("00:00 UTC")
    shown = cli("limit", "usage", total).stdout
    assert "$1.50" in shown
    assert "$0.25" in shown
