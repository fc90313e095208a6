from tests.test_keytest import KEY, provider_that_answers


def test_list(cli, cli_json) -> None:
    rows = {row["name"]: row for row in cli_json("provider", "list")}
    assert {"openai", "anthropic", "bedrock", "vertex", "sim"} <= set(rows)
    assert rows["openai"]["env"] == "OPENAI_API_KEY"
    cli("key", "add", "openai", "--key-stdin", stdin=KEY)
    assert {row["name"]: row["key"] for row in cli_json("provider", "list")}["openai"] == "sk-...uvwx"
    keyed = [row["name"] for row in cli_json("provider", "list", "--with-key")]
    assert "openai" in keyed
    assert "anthropic" not in keyed
    assert "needs none" in cli("provider", "list").stdout


def test_a_key_that_works_and_one_that_does_not(cli, cli_json) -> None:
    with provider_that_answers(200, {"data": []}) as (url, _):
        cli("key", "add", "openai", "--key-stdin", "--base-url", url, stdin=KEY)
        assert "takes the key" in cli("provider", "test", "openai").stdout
        assert cli_json("provider", "test", "openai")["status"] == 200
    with provider_that_answers(401, {"error": {"message": "no"}}) as (url, _):
        cli("key", "remove", "openai")
        cli("key", "add", "openai", "--key-stdin", "--base-url", url, stdin=KEY)
        assert "refuses the key (401): no" in cli("provider", "test", "openai", code=1).stderr
        cli("provider", "test", "openai", "--json", code=1)


def test_what_needs_no_key(cli) -> None:
    assert "runs inside the proxy" in cli("provider", "test", "sim").stdout


def test_without_a_key(cli) -> None:
    assert "key add openai" in cli("provider", "test", "openai", code=3).stderr
    assert "no provider 'nope'" in cli("provider", "test", "nope", code=3).stderr


def test_a_key_that_is_not_stored(cli, cli_json) -> None:
    with provider_that_answers(200, {"data": [{"id": "gpt-5"}, {"id": "gpt-5-mini"}]}) as (url, asked):
        words = ("openai", "--key-env", "NEW_KEY", "--base-url", url)
        assert "takes the key" in cli("provider", "test", *words, env={"NEW_KEY": KEY}).stdout
        assert asked[0][1]["authorization"] == f"Bearer {KEY}"
        found = cli_json("provider", "models", *words, env={"NEW_KEY": KEY})
        assert found == {"provider": "openai", "models": ["gpt-5", "gpt-5-mini"]}
    assert "not set" in cli("provider", "test", "openai", "--key-env", "NO_KEY", code=3).stderr
    assert cli_json("key", "list") == []


def test_one_of_several_keys(cli, cli_json) -> None:
    with provider_that_answers(200, {"models": [{"name": "models/gemini-pro"}]}) as (url, asked):
        cli("key", "add", "openai", "--key-stdin", "--base-url", "http://127.0.0.1:1", stdin="sk-other")
        cli("key", "add", "openai", "--key-stdin", "--name", "second", "--base-url", url, stdin=KEY)
        cli("key", "disable", "openai", "--name", "second")
        assert "gemini-pro" in cli("provider", "models", "openai", "--name", "second").stdout
        assert KEY in asked[0][1]["authorization"]
        assert "cannot be reached" in cli("provider", "models", "openai", code=1).stderr
    assert cli("provider", "test", "openai", "--name", "x", "--key-env", "Y", code=2)


def test_the_list_has_the_address_of_the_settings(cli_json, home) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text('[providers.openai]\nbase_url = "https://llm.example.com/v1"\n')
    rows = {row["name"]: row["base_url"] for row in cli_json("provider", "list")}
    assert rows["openai"] == "https://llm.example.com/v1"
    assert rows["anthropic"] == "https://api.anthropic.com"
