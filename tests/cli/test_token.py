import pytest

from llm_intercept.policy.tokens import Wellformed, parse


@pytest.fixture(autouse=True)
def project(cli) -> None:
    cli("project", "create", "demo")


def test_the_token_is_all_of_standard_output(cli) -> None:
    result = cli("token", "create", "--project", "demo", "--name", "laptop")
    assert isinstance(parse(result.stdout.strip()), Wellformed)
    assert "not shown again" in result.stderr


def test_json(cli_json) -> None:
    made = cli_json("token", "create", "--project", "demo", "--name", "laptop", "--expires", "30d")
    assert set(made) == {"token", "id", "name", "project", "expires_at"}
    assert made["token"].startswith("lli_")
    assert (made["name"], made["project"]) == ("laptop", "demo")
    assert made["expires_at"].endswith("Z")


def test_an_aws_key_pair(cli, cli_json) -> None:
    made = cli_json("token", "create", "--project", "demo", "--name", "aws", "--aws")
    assert set(made) == {"access_key_id", "secret_access_key", "id", "name", "project", "expires_at"}
    assert made["expires_at"] is None
    text = cli("token", "create", "--project", "demo", "--name", "aws2", "--aws").stdout
    assert [line.partition("=")[0] for line in text.splitlines()] == [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ]


def test_list_and_revoke(cli, cli_json) -> None:
    made = cli_json("token", "create", "--project", "demo", "--name", "laptop", "--user", "ada")
    (listed,) = cli_json("token", "list", "--project", "demo")
    assert (listed["id"], listed["user"], listed["state"]) == (made["id"], "ada", "active")
    assert made["token"] not in cli("token", "list").stdout
    assert "Revoked laptop of demo" in cli("token", "revoke", "laptop").stdout
    assert cli_json("token", "list") == []
    assert cli_json("token", "list", "--all")[0]["state"] == "revoked"
    assert "No tokens yet" in cli("token", "list").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--name", "x"], 2, "--project"),
        (["--project", "demo"], 2, "--name"),
        (["--project", "nope", "--name", "x"], 3, "no project named 'nope'"),
        (["--project", "demo", "--name", "x", "--expires", "soon"], 1, "not a duration"),
    ],
)
def test_what_is_wrong_is_said(cli, words: list[str], code: int, said: str) -> None:
    assert said in cli("token", "create", *words, code=code).stderr


def create(cli_json, name: str, *words: str):
    return cli_json("token", "create", "--project", "demo", "--name", name, *words)


def test_restrictions(cli, cli_json) -> None:
    words = ["--allow-model", "gpt-4o-*", "--allow-model", "o3", "--allow-provider", "openai"]
    words += ["--allow-endpoint", "POST /v1/chat/*", "--allow-ip", "10.1.2.3/8", "--max-requests", "5"]
    words += ["--allow-origin", "https://*.example.com", "--limit-parameter", "temperature=min:0,max:1"]
    words += ["--limit-parameter", "stream=false", "--limit-parameter", "tier=auto,flex*,1"]
    create(cli_json, "laptop", *words)
    shown = cli_json("token", "show", "laptop")
    assert shown["policy"] == {
        "models": ["gpt-4o-*", "o3"],
        "providers": ["openai"],
        "endpoints": ["POST /v1/chat/*"],
        "parameters": {
            "temperature": {"min": 0, "max": 1},
            "stream": [False],
            "tier": ["auto", "flex*", 1],
        },
        "ips": ["10.0.0.0/8"],
        "origins": ["https://*.example.com"],
    }
    assert (shown["max_requests"], shown["remaining"], shown["requests"]) == (5, 5, 0)
    text = cli("token", "show", "laptop").stdout
    assert "models: gpt-4o-*, o3" in text
    assert "stream: false" in text
    changed = cli_json("token", "set", "laptop", "--allow-ip", "::1", "--max-requests", "0")
    assert changed["policy"]["ips"] == ["::1/128"]
    assert changed["policy"]["models"] == ["gpt-4o-*", "o3"]
    assert changed["max_requests"] is None
    changed = cli_json("token", "set", "laptop", "--unrestricted", "--allow-model", "x", "--user", "ada")
    assert (changed["policy"], changed["user"]) == ({"models": ["x"]}, "ada")
    assert changed["expires_at"] is None
    assert cli_json("token", "set", "laptop", "--expires", "1h")["expires_at"]
    assert cli_json("token", "set", "laptop", "--expires", "never")["expires_at"] is None
    assert "say what to change" in cli("token", "set", "laptop", code=2).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--limit-parameter", "max_tokens"], "NAME=max:NUMBER"),
        (["--limit-parameter", "max_tokens=max:many"], "'max_tokens=max:many' is no range"),
        (["--limit-parameter", "max_tokens=max:9,many"], "is no range"),
        (["--limit-parameter", "temperature=min:2,max:1"], "parameters.temperature: a range has"),
        (["--expires", ""], "is not a duration"),
        (["--allow-ip", "here"], "no address"),
        (["--allow-origin", "example.com"], "no origin"),
    ],
)
def test_restrictions_that_are_none(cli, words: list[str], said: str) -> None:
    assert said in cli("token", "create", "--project", "demo", "--name", "x", *words, code=1).stderr


def test_many_at_once(cli, cli_json) -> None:
    made = create(cli_json, "ci", "--count", "3", "--expires", "1d")
    assert [token["name"] for token in made] == ["ci-1", "ci-2", "ci-3"]
    lines = cli("token", "create", "--project", "demo", "--name", "b", "--count", "2").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["b-1", "b-2"]
    assert all(isinstance(parse(line.split()[1]), Wellformed) for line in lines)
    assert (
        "already" in cli("token", "create", "--project", "demo", "--name", "b", "--count", "2", code=1).stderr
    )


def test_suspend_and_resume(cli, cli_json) -> None:
    for name in ("a", "b"):
        create(cli_json, name)
    assert "Suspended b of demo" in cli("token", "suspend", "a", "b").stdout
    assert [t["name"] for t in cli_json("token", "list", "--state", "suspended")] == ["a", "b"]
    assert [t["state"] for t in cli_json("token", "resume", "a")] == ["active"]
    assert [t["name"] for t in cli_json("token", "list", "--state", "active")] == ["a"]
    assert "No such tokens" in cli("token", "list", "--state", "exhausted").stdout
    cli("token", "revoke", "a", "--yes")
    for word in ("suspend", "resume"):
        assert "was revoked" in cli("token", word, "a", code=1).stderr


def test_refresh(cli, cli_json) -> None:
    made = create(cli_json, "laptop", "--expires", "1d")
    again = cli_json("token", "refresh", "laptop", "--overlap", "10m")
    assert again["id"] == made["id"]
    assert again["token"] != made["token"]
    assert cli_json("token", "show", "laptop")["overlap_until"]
    assert "former secret works until" in cli("token", "show", "laptop").stdout
    text = cli("token", "refresh", "laptop", "--expires", "2h").stdout.strip()
    assert isinstance(parse(text), Wellformed)
    assert cli_json("token", "show", "laptop")["overlap_until"] is None


def test_found_by_how_it_begins(cli, cli_json) -> None:
    made = create(cli_json, "laptop")
    create(cli_json, "server")
    for prefix in (made["token"], "lap"):
        assert [t["name"] for t in cli_json("token", "list", "--prefix", prefix)] == ["laptop"]


def test_revoking_several(cli, cli_json) -> None:
    for name in ("a", "b", "c", "d"):
        create(cli_json, name)
    assert "Revoke 2 tokens?" in cli("token", "revoke", "a", "b", stdin="n\n", code=1).stderr
    assert [t["state"] for t in cli_json("token", "revoke", "a", "b", "--yes")] == ["revoked"] * 2
    assert (
        "Revoke every token of demo?"
        in cli("token", "revoke", "--project", "demo", "--all", stdin="n\n", code=1).stderr
    )
    assert "Revoked c of demo" in cli("token", "revoke", "--project", "demo", "--all", "--yes").stdout
    assert "nothing to do" in cli("token", "revoke", "--project", "demo", "--all", "--yes").stdout
    assert cli_json("token", "list") == []


@pytest.mark.parametrize("words", [[], ["--all"], ["a", "--all", "--project", "demo"]])
def test_revoke_wants_to_know_which(cli, words: list[str]) -> None:
    assert "say which tokens" in cli("token", "revoke", *words, code=2).stderr


def test_no_longer_than_settings_allow(cli, cli_json) -> None:
    limits = {"LLM_INTERCEPT_TOKENS__MAX_LIFETIME": "7d", "LLM_INTERCEPT_TOKENS__DEFAULT_LIFETIME": "1d"}
    words = ("token", "create", "--project", "demo", "--name")
    assert (
        "7d at most (tokens.max_lifetime)" in cli(*words, "x", "--expires", "8d", code=1, env=limits).stderr
    )
    made = cli_json(*words, "x", env=limits)
    assert made["expires_at"]
    wrong = {**limits, "LLM_INTERCEPT_TOKENS__DEFAULT_LIFETIME": "9d"}
    assert "longer than max_lifetime" in cli(*words, "y", code=1, env=wrong).stderr
