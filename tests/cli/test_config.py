from pathlib import Path


def test_show_says_where_each_value_comes_from(cli, cli_json, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("port = 9000\n")
    env = {"LLM_INTERCEPT_CAPTURE__BODIES": "errors"}
    rows = {row["name"]: (row["value"], row["source"]) for row in cli_json("config", "show", env=env)}
    assert rows["port"] == (9000, "config.toml")
    assert rows["capture.bodies"] == ("errors", "environment LLM_INTERCEPT_CAPTURE__BODIES")
    assert rows["auth"] == ("open", "default")
    assert "9000" in cli("config", "show").stdout


def test_path_and_check(cli, home: Path) -> None:
    assert cli("config", "path").stdout.strip() == str(home / "config.toml")
    assert "are right; 1 of them" in cli("config", "check", env={"LLM_INTERCEPT_PORT": "81"}).stdout
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text("port = \n")
    assert "line 1" in cli("config", "check", code=1).stderr


def test_an_alias_may_have_dots(cli, cli_json, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('[models.aliases]\n"gpt-4.1" = "openai/gpt-5"\n')
    env = {"LLM_INTERCEPT_MODELS__ALIASES": '{"x.y": "z"}', "LLM_INTERCEPT_MODELS__TIERS__BIG__MODEL": "m"}
    rows = {row["name"]: row["value"] for row in cli_json("config", "show", env=env)}
    assert rows["models.aliases.gpt-4.1"] == "openai/gpt-5"
    assert rows["models.aliases.x.y"] == "z"
    assert rows["models.tiers.big.model"] == "m"
    assert rows["models.tiers.small.model"] == ""


def test_check_finds_a_loop_of_aliases(cli, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('[models.aliases]\na = "b"\nb = "a"\n')
    assert "models.aliases: a -> b -> a is a loop" in cli("config", "check", code=1).stderr
