from pathlib import Path

import pytest

from tests.cli.rows import call, write


@pytest.fixture(autouse=True)
def calls(home: Path) -> None:
    write(
        home,
        call(0),
        call(
            1,
            model="claude-sonnet-5",
            provider="anthropic",
            cost_nanos=2_000_000_000,
            user="anna",
            credential="second",
            stream=1,
        ),
        call(2, project="other", token="ci", outcome="provider_error", status=500, cost_nanos=None, priced=0),
    )


def test_summary(cli, cli_json) -> None:
    found = cli_json("usage", "summary")
    assert (found["requests"], found["errors"], found["unpriced"]) == (3, 1, 1)
    assert (found["input_tokens"], found["total_tokens"]) == (300, 360)
    assert (found["cost_nanos"], found["cost_usd"]) == (2_000_450_000, "2.000450000")
    text = cli("usage", "summary").stdout
    assert "3, 1 of them errors" in text
    assert "$2.00; 1 calls without a known price" in text


@pytest.mark.parametrize(
    ("report", "key", "keys"),
    [
        ("daily", "day", ["2026-11-18", "2026-11-19", "2026-11-20"]),
        ("by-model", "model", ["claude-sonnet-5", "gpt-4o"]),
        ("by-project", "project", ["demo", "other"]),
        ("by-provider", "provider", ["anthropic", "openai"]),
        ("by-token", "token", ["laptop", "ci"]),
        ("by-user", "user", ["anna", ""]),
        ("by-key", "credential", ["second", ""]),
    ],
)
def test_breakdowns_add_up(cli, cli_json, report: str, key: str, keys: list[str]) -> None:
    lines = cli_json("usage", report)
    assert [line[key] for line in lines] == keys
    assert sum(line["requests"] for line in lines) == 3
    assert sum(line["cost_nanos"] for line in lines) == 2_000_450_000
    text = cli("usage", report).stdout
    assert all(name in text for name in keys)


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        (["--project", "demo"], 2),
        (["--provider", "anthropic"], 1),
        (["--model", "gpt-4o", "--token", "laptop"], 1),
        (["--since", "2026-11-19"], 2),
        (["--until", "2026-11-19"], 2),
        (["--since", "2026-11-19", "--until", "2026-11-19"], 1),
        (["--project", "nobody"], 0),
        (["--user", "anna"], 1),
        (["--key", "second"], 1),
        (["--status", "500"], 1),
        (["--status", "5xx", "--outcome", "error"], 1),
        (["--stream"], 1),
        (["--no-stream"], 2),
        (["--listener", "other"], 0),
        (["--since", "2026-11-19", "--until", "2026-11-19", "--timezone", "Asia/Tokyo"], 1),
    ],
)
def test_restrictions(cli_json, options: list[str], requests: int) -> None:
    assert cli_json("usage", "summary", *options)["requests"] == requests


def test_what_the_cache_saved(home: Path, cli, cli_json) -> None:
    assert "Cache" not in cli("usage", "summary").stdout
    assert "hits" not in cli("usage", "by-project").stdout
    assert "cache" not in cli("usage", "recent").stdout
    write(
        home,
        call(-3, cache="stored", project="cached"),
        *(
            call(number, cache="hit", project="cached", cost_nanos=0, saved_nanos=450_000, saved_tokens=120)
            for number in (-4, -5, -6)
        ),
        call(-7, cache="bypass", project="cached"),
    )
    text = cli("usage", "summary").stdout
    assert "Cache        3 of 4 calls answered out of it (75.0%), which saved $0.001350" in text
    found = cli_json("usage", "summary", "--project", "cached")
    assert (found["cache_hits"], found["cache_asked"], found["cache_hit_rate"]) == (3, 4, 0.75)
    assert (found["saved_nanos"], found["saved_usd"]) == (1_350_000, "0.001350000")
    assert cli_json("usage", "summary", "--project", "demo")["cache_hit_rate"] is None
    for report in ("by-project", "by-token", "by-model", "daily"):
        assert sum(line["cache_hits"] for line in cli_json("usage", report)) == 3
        assert "hits" in cli("usage", report).stdout
    for result, number in (("hit", 3), ("stored", 1), ("miss", 0), ("bypass", 1)):
        assert cli_json("usage", "summary", "--cache", result)["requests"] == number
        assert len(cli_json("usage", "recent", "--cache", result)) == number
    assert "bypass" in cli("usage", "recent").stdout
    assert len(cli("export", "--format", "ndjson", "--cache", "hit").stdout.splitlines()) == 3
    assert "'hit', 'stored'" in cli("usage", "recent", "--cache", "no", code=2).stderr


def test_days_of_a_time_zone(cli, cli_json) -> None:
    """The calls are made at 11:06 UTC: the next day in Auckland."""
    days = cli_json("usage", "daily", "--timezone", "Pacific/Auckland")
    assert [line["day"] for line in days] == ["2026-11-19", "2026-11-20", "2026-11-21"]
    assert [line["requests"] for line in days] == [1, 1, 1]
    hours = cli_json("usage", "hourly", "--timezone", "Asia/Kolkata")
    assert [line["hour"][10:] for line in hours] == ["T16:00+05:30"] * 3
    assert "not a time zone" in cli("usage", "daily", "--timezone", "Mars", code=1).stderr
    assert "429, or 4xx" in cli("usage", "daily", "--status", "many", code=2).stderr


def test_recent(cli, cli_json) -> None:
    assert [row["request_id"] for row in cli_json("usage", "recent")] == ["id-2", "id-1", "id-0"]
    assert [row["request_id"] for row in cli_json("usage", "recent", "-n", "1")] == ["id-2"]
    assert [row["request_id"] for row in cli_json("usage", "recent", "--errors")] == ["id-2"]
    assert [r["request_id"] for r in cli_json("usage", "recent", "--until", "2026-11-18")] == ["id-0"]
    assert "provider_error" in cli("usage", "recent").stdout


@pytest.mark.parametrize("report", ["summary", "daily", "recent"])
def test_nothing_found_says_what_to_do(cli, report: str) -> None:
    assert "llm-intercept run" in cli("usage", report, "--project", "nobody").stdout
