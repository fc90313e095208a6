import json
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.policy.failures import Failures

SET = ("failure", "set", "--project", "default")
SHOW = ("failure", "show", "--project", "default")


def only(**parts: dict[str, Any]) -> dict[str, Any]:
    """The document in which these parts are on and everything else is as it was."""
    made = Failures.model_validate({name: {"enabled": True, **fields} for name, fields in parts.items()})
    return made.model_dump(mode="json")


CHANGES = [
    (
        ["--error", "429=0.1", "--error", "500=0.05", "--retry-after", "9"],
        only(error_injection={"error_rates": {"429": 0.1, "500": 0.05}, "retry_after": 9}),
    ),
    (["--timeout", "5", "--timeout-rate", "0.2"], only(timeout={"seconds": 5, "rate": 0.2})),
    (["--timeout", "0"], only(timeout={"seconds": 0})),
    (["--hang"], only(timeout={})),
    (["--delay", "0.5-2"], only(response_delay={})),
    (["--delay", "3", "--cache-only"], only(response_delay={"min": 3, "max": 3, "cache_only": True})),
    (
        ["--block-ip", "10.0.0.0/8", "--block-ip", "::1", "--allow-ip", "10.*"],
        only(ip_filtering={"block": ["10.0.0.0/8", "::1"], "allow": ["10.*"]}),
    ),
    (["--rpm", "6"], only(rate_limiting={"requests_per_minute": 6})),
    (["--cut-after-events", "3"], only(stream={"cut_after_events": 3})),
    (["--cut-after-bytes", "0", "--stream-rate", "0"], only(stream={"cut_after_bytes": 0, "rate": 0})),
    (["--garble-at-event", "2"], only(stream={"garble_at_event": 2})),
    (["--slow-tokens", "5"], only(slow_tokens={"tokens": 5})),
    (["--seed", "0"], only() | {"seed": 0}),
]


@pytest.mark.parametrize(("options", "document"), CHANGES)
def test_set(cli_json, options: list[str], document: dict[str, Any]) -> None:
    assert cli_json(*SET, *options) == document
    assert cli_json(*SHOW) == document


def test_what_is_not_named_stays(cli_json) -> None:
    cli_json(
        *SET, "--error", "500=0.1", "--cut-after-events", "3", "--delay", "1", "--cache-only", "--seed", "7"
    )
    found = cli_json(*SET, "--cut-after-bytes", "9", "--off", "error_injection", "--not-cache-only")
    assert found == only(
        error_injection={"error_rates": {"500": 0.1}},
        stream={"cut_after_bytes": 9},
        response_delay={"min": 1, "max": 1},
    ) | {"error_injection": {"enabled": False, "error_rates": {"500": 0.1}, "retry_after": 1.0}, "seed": 7}
    assert cli_json(*SET, "--no-seed")["seed"] is None
    assert cli_json(*SET, "--timeout", "5")["timeout"]["seconds"] == 5
    assert cli_json(*SET, "--hang")["timeout"]["seconds"] is None


def test_from_a_file(cli, cli_json, tmp_path: Path) -> None:
    cli(*SET, "--hang")
    file = tmp_path / "chaos.json"
    file.write_text(json.dumps({"slow_tokens": {"enabled": True, "tokens": 2}}))
    assert cli_json(*SET, "--from", str(file)) == only(slow_tokens={"tokens": 2})
    shown = cli(*SHOW, "--json").stdout
    cli("project", "create", "demo")
    copied = cli_json("failure", "set", "--project", "demo", "--from", "-", "--seed", "7", stdin=shown)
    assert copied == json.loads(shown) | {"seed": 7}
    for text, said in (("{", "is not JSON"), ('{"x": 1}', "x: Extra inputs"), ("[]", "valid dictionary")):
        assert said in cli(*SET, "--from", "-", code=1, stdin=text).stderr


WRONG = [
    ([], "--error 500=0.1"),
    (["--timeout-rate", "0.5"], "--timeout-rate needs --timeout or --hang"),
    (["--stream-rate", "0.5"], "--stream-rate needs"),
    (["--cache-only"], "--cache-only needs --delay"),
    (["--delay", "1", "--off", "response_delay", "--cache-only"], "--cache-only needs --delay"),
    (["--timeout", "1", "--hang"], "either --timeout or --hang"),
    (["--cut-after-bytes", "1", "--cut-after-events", "1"], "either --cut-after-events or --cut-after-bytes"),
    (["--error", "429"], "is not like 429=0.1"),
    (["--delay", "soon"], "is not like 2 or 0.5-2"),
    (["--off", "everything"], "is not one of"),
]


@pytest.mark.parametrize(("options", "said"), WRONG)
def test_wrong_usage(cli, options: list[str], said: str) -> None:
    assert said in " ".join(cli(*SET, *options, code=2).stderr.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--error", "200=0.1"], "error_injection.error_rates.200: "),
        (
            ["--error", "500=0.6", "--error", "429=0.6"],
            "error_injection: the error rates are more than 1 together",
        ),
        (["--delay", "5-40"], "response_delay.max: "),
        (["--block-ip", "localhost"], "ip_filtering.block.0: 'localhost' is no address"),
    ],
)
def test_values_that_make_no_sense(cli, cli_json, options: list[str], said: str) -> None:
    assert said in cli(*SET, *options, code=1).stderr
    assert cli_json(*SHOW) == only()


@pytest.mark.parametrize("scope", [(), ("--project", "default", "--listener", "x")])
@pytest.mark.parametrize("command", ["set", "show", "reset"])
def test_one_scope(cli, command: str, scope: tuple[str, ...]) -> None:
    assert "--listener NAME or --project NAME" in cli("failure", command, *scope, code=2).stderr


@pytest.mark.parametrize("scope", ["listener", "project"])
def test_of_nobody(cli, scope: str) -> None:
    for words in (("set", "--hang"), ("show",), ("reset",)):
        said = cli("failure", words[0], f"--{scope}", "nobody", *words[1:], code=3).stderr
        assert f"there is no {scope} named 'nobody'" in said


def test_for_people(cli, cli_json) -> None:
    assert "Nothing is simulated" in cli("failure", "list").stdout
    assert "Nothing is simulated for the project default." in cli(*SHOW).stdout
    assert "50 % get 500" in cli(*SET, "--error", "500=0.5", "--seed", "7").stdout
    shown = cli(*SHOW).stdout
    assert "error_injection" in shown
    assert "seed" in shown
    assert "50 % get 500" in cli("failure", "list").stdout
    [entry] = cli_json("failure", "list")
    assert (entry["scope"], entry["name"], entry["failures"]["seed"]) == ("project", "default", 7)
    assert (
        "Removed the settings of the project default."
        in cli("failure", "reset", "--project", "default").stdout
    )
    assert "There were no settings for" in cli("failure", "reset", "--project", "default").stdout


def test_off_and_on_at_once_is_no_change(cli) -> None:
    assert "either --off stream, or" in cli(*SET, "--off", "stream", "--garble-at-event", "2", code=2).stderr
    assert "either --off timeout, or" in cli(*SET, "--off", "timeout", "--hang", code=2).stderr
    cli(*SET, "--off", "stream", "--hang")
