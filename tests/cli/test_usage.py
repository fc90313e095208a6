from pathlib import Path

import pytest

from tests.cli.rows import call, write


@pytest.fixture(autouse=True)
def calls(home: Path) -> None:
    write(
        home,
        call(0),
        call(1, model="claude-sonnet-5", provider="anthropic", cost_nanos=2_000_000_000),
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
    ],
)
def test_restrictions(cli_json, options: list[str], requests: int) -> None:
    assert cli_json("usage", "summary", *options)["requests"] == requests


def test_recent(cli, cli_json) -> None:
    assert [row["request_id"] for row in cli_json("usage", "recent")] == ["id-2", "id-1", "id-0"]
    assert [row["request_id"] for row in cli_json("usage", "recent", "-n", "1")] == ["id-2"]
    assert [row["request_id"] for row in cli_json("usage", "recent", "--errors")] == ["id-2"]
    assert [r["request_id"] for r in cli_json("usage", "recent", "--until", "2026-11-18")] == ["id-0"]
    assert "provider_error" in cli("usage", "recent").stdout


@pytest.mark.parametrize("report", ["summary", "daily", "recent"])
def test_nothing_found_says_what_to_do(cli, report: str) -> None:
    assert "llm-intercept run" in cli("usage", report, "--project", "nobody").stdout
