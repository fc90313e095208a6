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
