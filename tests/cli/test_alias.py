"""`alias`: what is set leads somewhere at once; loops are refused; those of config.toml are shown."""

from pathlib import Path


def test_set_list_and_remove(cli, cli_json) -> None:
    assert "There is no alias" in cli("alias", "list").stdout
    assert "for all calls" in cli("alias", "set", "fast", "openai/gpt-5-mini").stdout
    cli("alias", "set", "fast", "openai/gpt-5", "--project", "default")
    found = {(row["name"], row["project"]): row["target"] for row in cli_json("alias", "list")}
    assert found == {("fast", ""): "openai/gpt-5-mini", ("fast", "default"): "openai/gpt-5"}
    assert cli_json("alias", "set", "fast", "anthropic/claude-sonnet-4-5")["target"].startswith("anthropic/")
    assert "gpt-5" in cli("alias", "remove", "fast", "--project", "default").stdout
    assert (
        "no alias 'fast' of the project"
        in cli("alias", "remove", "fast", "--project", "default", code=3).stderr
    )
    assert len(cli_json("alias", "list")) == 1


def test_where_a_call_goes_then(cli, cli_json) -> None:
    cli("key", "add", "openai", "--key-stdin", stdin="sk-abcdefghijklmnopqrstuvwx")
    cli("alias", "set", "fast", "openai/gpt-5-mini")
    explained = cli_json("route", "explain", "fast")
    assert [(one["provider"], one["model"]) for one in explained["candidates"]] == [("openai", "gpt-5-mini")]


def test_loops_are_refused_and_leave_nothing(cli, cli_json, home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text('[models.aliases]\nslow = "fast"\n')
    assert "is a loop" in cli("alias", "set", "fast", "slow", code=1).stderr
    rows = cli_json("alias", "list")
    assert [(row["name"], row["origin"]) for row in rows] == [("slow", "config.toml")]
    assert "cannot be a model's name" in cli("alias", "set", "a b", "x", code=1).stderr
    assert "no project" in cli("alias", "set", "a", "b", "--project", "nope", code=3).stderr
