from pathlib import Path

import pytest

KEY = "sk-proj-abcdefghijklmnopqrstuvwx1234"


def test_a_key_goes_in_and_is_never_shown(cli, cli_json, home: Path) -> None:
    result = cli("key", "add", "openai", "--key-env", "MY_KEY", env={"MY_KEY": KEY})
    assert "sk-...1234" in result.stdout
    (stored,) = cli_json("key", "list")
    assert (stored["provider"], stored["name"], stored["hint"], stored["enabled"]) == (
        "openai",
        "default",
        "sk-...1234",
        True,
    )
    assert KEY not in result.stdout + cli("key", "list").stdout
    assert not any(KEY.encode() in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_standard_input(cli, cli_json) -> None:
    words = ("key", "add", "OpenAI", "--key-stdin", "--name", "eu", "--base-url", "https://eu.example/v1/")
    cli(*words, stdin=f"{KEY}\n")
    (stored,) = cli_json("key", "list", "--provider", "openai")
    assert (stored["name"], stored["base_url"]) == ("eu", "https://eu.example/v1")


def test_a_local_server_needs_an_address_and_no_key(cli, cli_json) -> None:
    cli("key", "add", "ollama", "--base-url", "http://10.0.0.2:11434")
    assert cli_json("key", "list")[0]["base_url"] == "http://10.0.0.2:11434"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["openai"], 2, "--key-env NAME or --key-stdin"),
        (["openai", "--key-env", "NOT_SET"], 3, "NOT_SET is not set"),
        (["openai", "--key-env", "A", "--key-stdin"], 2, "either"),
        (["openai", "--key-stdin"], 1, "empty"),
        (["opnai", "--key-stdin"], 3, "no provider 'opnai'"),
    ],
)
def test_what_is_missing_is_said(cli, words: list[str], code: int, said: str) -> None:
    assert said in cli("key", "add", *words, code=code).stderr


@pytest.mark.parametrize(
    ("provider", "key", "said"),
    [
        ("bedrock", KEY, "ACCESS:SECRET:SESSION"),
        ("bedrock", "AKIAABCDEFGHIJKLMNOP", "ACCESS:SECRET:SESSION"),
        ("bedrock", "AKIAABCDEFGHIJKLMNOP:", "ACCESS:SECRET:SESSION"),
        ("bedrock", '{"Credentials": "x"}', "access_key_id and secret_access_key"),
        ("bedrock", "{AccessKeyId", "starts like JSON"),
        ("vertex", KEY, "JSON of a service account"),
        ("vertex", "/home/me/account.json", "what is in the file, not its name"),
        ("vertex", '{"type": "service_account"}', "not the JSON key of a service account"),
        ("vertex", '{"type": "authorized_user", "refresh_token": "geheim"}', "print-access-token"),
    ],
)
def test_what_cannot_be_a_key_is_refused_with_the_form_it_has(
    cli, cli_json, provider: str, key: str, said: str
) -> None:
    error = cli("key", "add", provider, "--key-stdin", stdin=key, code=1).stderr
    assert said in error
    assert "geheim" not in error
    assert cli_json("key", "list") == []


@pytest.mark.parametrize(
    ("provider", "key", "more"),
    [
        ("bedrock", "ABSKabcdefgh", ()),
        ("bedrock", "AKIAABCDEFGHIJKLMNOP:abcdefghijklmnopqrstuvwxyz0123456789/+Ab", ()),
        ("bedrock", "ASIAABCDEFGHIJKLMNOP:abcdefghijklmnopqrstuvwxyz0123456789/+Ab:session==", ()),
        ("bedrock", '{"access_key_id": "AKIA", "secret_access_key": "x", "region": "eu-west-1"}', ()),
        ("bedrock", KEY, ("--base-url", "https://relay.example/bedrock")),
        ("vertex", "ya29.abc", ("--base-url", "https://us-east5-aiplatform.googleapis.com/v1")),
        ("vertex", "AIzaSyabcdefghijklmnop", ()),
        ("vertex", KEY, ("--base-url", "http://127.0.0.1:8099")),
    ],
)
def test_every_form_that_works_is_taken(cli, cli_json, provider: str, key: str, more: tuple[str]) -> None:
    cli("key", "add", provider, "--key-stdin", *more, stdin=key)
    assert len(cli_json("key", "list")) == 1


def test_disable_enable_remove(cli, cli_json) -> None:
    cli("key", "add", "groq", "--key-stdin", stdin=KEY)
    cli("key", "disable", "groq")
    assert cli_json("key", "list")[0]["enabled"] is False
    cli("key", "enable", "groq")
    assert cli_json("key", "list")[0]["enabled"] is True
    cli("key", "remove", "groq")
    assert cli_json("key", "list") == []
    assert "key add" in cli("key", "list").stdout


def test_weight_and_pool(cli, cli_json) -> None:
    cli("key", "add", "openai", "--key-stdin", "--weight", "3", "--pool", "team", stdin=KEY)
    (stored,) = cli_json("key", "list")
    assert (stored["weight"], stored["pool"]) == (3, "team")
    assert "team" in cli("key", "list").stdout
    assert "weight 5, in the pool 'team'" in cli("key", "set", "openai", "--weight", "5").stdout
    assert "in every pool" in cli("key", "set", "openai", "--pool", "").stdout
    (stored,) = cli_json("key", "list")
    assert (stored["weight"], stored["pool"]) == (5, "")
    assert cli_json("key", "set", "openai", "--pool", "a", "--weight", "1")["pool"] == "a"


def test_another_key_in_its_place(cli, cli_json) -> None:
    made = cli_json("key", "add", "openai", "--key-stdin", "--pool", "team", stdin=KEY)
    words = ("key", "set", "openai", "--key-stdin")
    changed = cli_json(*words, stdin="sk-proj-another-0123456789-zzzz")
    assert (changed["id"], changed["hint"], changed["pool"]) == (made["id"], "sk-...zzzz", "team")
    assert cli_json(*words, "--base-url", "https://relay.example/v1/", stdin=KEY)["base_url"] == (
        "https://relay.example/v1"
    )
    assert cli_json(*words, stdin=KEY)["base_url"] == "https://relay.example/v1", "it stays"
    assert cli_json(*words, "--base-url", "", stdin=KEY)["base_url"] is None


def test_a_local_server_without_a_key_may_move(cli, cli_json) -> None:
    cli("key", "add", "ollama", "--base-url", "http://127.0.0.1:11434/v1")
    moved = cli_json("key", "set", "ollama", "--base-url", "http://127.0.0.1:11435/v1")
    assert moved["base_url"] == "http://127.0.0.1:11435/v1"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "--weight or --pool"),
        (["--base-url", "https://relay.example/v1"], 1, "give the key as well as the base URL"),
        (["--key-env", "A", "--key-stdin"], 2, "give either"),
        (["--key-env", "NOT_SET"], 3, "NOT_SET is not set"),
        (["--key-stdin"], 1, "the key is empty"),
        (["--weight", "0"], 1, "a number from 1"),
        (["--pool", "1"], 1, "cannot be the name of a pool"),
        (["--name", "other", "--weight", "2"], 3, "no key 'other' for openai"),
    ],
)
def test_what_cannot_be_set_is_said(cli, words: list[str], code: int, said: str) -> None:
    cli("key", "add", "openai", "--key-stdin", stdin=KEY)
    assert said in cli("key", "set", "openai", *words, code=code).stderr
