import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.home import Home
from llm_intercept.store.migrate import connect
from llm_intercept.store.pools import BreakerRow, Changes, KeyRow, write_changes

KEY = "sk-proj-abcdefghijklmnopqrstuvwx1234"
NOW = 1_795_000_000_000_000
LATER = 4_000_000_000_000_000


@pytest.fixture
def keys(cli) -> None:
    for provider in ("openai", "anthropic", "groq"):
        cli("key", "add", provider, "--key-stdin", stdin=KEY)


EVERYTHING = [
    *("--to", "OpenAI/gpt-5@team*3", "--to", "groq/openai/gpt-oss-20b", "--longer", "gemini/gemini-2.5-pro"),
    *("--strategy", "weighted", "--model", "gpt-*", "--model", "o3", "--alias", "fast", "--tier", "small"),
    *("--project", "default", "--token", "lap*", "--dialect", "openai_chat", "--min-tokens", "60000"),
    *("--image", "--no-web-search", "--background", "--thinking"),
    *("--set", "temperature=0", "--set", 'reasoning={"effort": "low"}', "--set", "service_tier=flex"),
    *("--tries", "3", "--budget", "5", "--timeout-first-byte", "20", "--timeout-total", "0"),
]


def test_everything_that_can_be_said(cli, cli_json, keys) -> None:
    made = cli_json("route", "set", "all", *EVERYTHING)
    overrides = {"temperature": 0, "reasoning": {"effort": "low"}, "service_tier": "flex"}
    assert made["route"] == {
        "name": "all",
        "match": {
            "models": ["gpt-*", "o3"],
            "aliases": ["fast"],
            "tiers": ["small"],
            "projects": ["default"],
            "tokens": ["lap*"],
            "dialects": ["openai_chat"],
            "min_tokens": 60_000,
            "image": True,
            "web_search": False,
            "background": True,
            "thinking": True,
        },
        "strategy": "weighted",
        "targets": [
            {"provider": "openai", "model": "gpt-5", "pool": "team", "weight": 3, "overrides": overrides},
            {"provider": "groq", "model": "openai/gpt-oss-20b", "overrides": overrides},
        ],
        "longer": [{"provider": "gemini", "model": "gemini-2.5-pro", "overrides": overrides}],
        "tries": 3,
        "budget": 5.0,
        "timeouts": {"first_byte": 20.0, "total": 0.0},
    }
    assert (made["position"], made["enabled"], made["problem"]) == (1, True, "")
    assert made["warnings"] == [
        "there is no alias 'fast'",
        "no key of openai is in the pool 'team'; those without a pool are used",
        "no key for gemini is stored: llm-intercept key add gemini",
    ]
    assert cli_json("route", "show", "ALL")["route"] == made["route"]
    text = cli("route", "show", "all").stdout
    for said in (
        "model gpt-* or o3",
        "60,000 tokens or more",
        "images, no web search, background calls, thinking",
        "openai/gpt-5@team*3 with temperature 0",
        "5 s of waiting",
        "first_byte 20 s, total 0 s",
    ):
        assert said in text


def test_a_document_goes_out_and_in(cli, cli_json, keys, tmp_path: Path) -> None:
    made = cli_json("route", "set", "all", *EVERYTHING)
    cli("route", "remove", "all")
    path = tmp_path / "route.json"
    path.write_text(json.dumps(made["route"]))
    assert cli_json("route", "set", "all", "--from", str(path))["route"] == made["route"]
    short = {"targets": ["openai/gpt-5*2", "/gpt-5-mini"], "match": {"projects": ["default"]}}
    again = cli_json("route", "set", "all", "--from", "-", stdin=json.dumps(short))
    assert [target.get("model") for target in again["route"]["targets"]] == ["gpt-5", "gpt-5-mini"]


def test_what_is_set_again_is_written_anew(cli, cli_json, keys) -> None:
    cli("route", "set", "a", "--to", "openai/", "--model", "gpt-5", "--tries", "2")
    assert cli_json("route", "set", "a", "--to", "groq/")["route"] == {
        "name": "a",
        "targets": [{"provider": "groq"}],
    }


def test_order_and_switches(cli, cli_json, keys) -> None:
    assert "route set NAME" in cli("route", "list").stdout
    for name in "abc":
        cli("route", "set", name, "--to", "openai/")
    cli("route", "set", "d", "--to", "openai/gpt-5", "--position", "2")
    assert [row["name"] for row in cli_json("route", "list")] == ["a", "d", "b", "c"]
    assert cli_json("route", "move", "c", "1")["position"] == 1
    assert "disabled" in cli("route", "disable", "d").stdout
    assert cli_json("route", "enable", "d")["enabled"] is True
    assert "Removed the route a" in cli("route", "remove", "a").stdout
    assert [row["name"] for row in cli_json("route", "list")] == ["c", "d", "b"]
    text = cli("route", "list").stdout
    assert "openai/gpt-5" in text
    assert "anything" in text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "--to PROVIDER/MODEL"),
        (["--to", "gpt-5"], 1, "`/gpt-5` for the provider that was called"),
        (["--to", "*/gpt-5"], 1, "names one provider"),
        (["--to", "opnai/gpt-5"], 3, "did you mean 'openai'?"),
        (["--to", "zzz/gpt-5"], 3, "`llm-intercept provider list` shows all"),
        (["--to", "openai/", "--longer", "vertx/x"], 3, "did you mean 'vertex'?"),
        (["--to", "openai/", "--dialect", "antropic"], 1, "did you mean 'anthropic'?"),
        (["--to", "openai/", "--strategy", "random"], 2, "'random' is not one of"),
        (["--to", "openai/", "--tier", "huge"], 2, "'huge' is not one of"),
        (["--to", "openai/", "--tries", "0"], 1, "`tries` should be greater"),
        (["--to", "openai/", "--set", "temperature"], 2, "KEY=JSON"),
        (["--to", "openai/", "--set", "model=x"], 1, "cannot set `model`"),
        (["--to", "openai/", "--position", "0"], 1, "positions begin with 1"),
        (["--to", "openai/", "--from", "-"], 2, "either --from or"),
        (["--from", "missing.json"], 3, "missing.json cannot be read"),
    ],
)
def test_what_is_wrong_is_said(cli, cli_json, words: list[str], code: int, said: str) -> None:
    assert said in cli("route", "set", "r", *words, code=code).stderr
    assert cli_json("route", "list") == []


@pytest.mark.parametrize(
    ("document", "code", "said"),
    [
        ("{", 1, "is not JSON"),
        ("[]", 1, "no JSON object"),
        ('{"name": "other", "targets": ["openai/"]}', 1, "about the route 'other', not 'r'"),
        ('{"targets": ["openai/"], "extra": 1}', 1, "`extra` is not known"),
        ('{"targets": []}', 1, "`targets`"),
        ('{"targets": ["opnai/"]}', 3, "did you mean 'openai'?"),
    ],
)
def test_documents_that_are_no_route(cli, document: str, code: int, said: str) -> None:
    assert said in cli("route", "set", "r", "--from", "-", code=code, stdin=document).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "mistral/mistral-large-latest"], "no key for mistral is stored"),
        (["--to", "openai/gpt-55"], "no list knows a model 'gpt-55' of openai; did you mean 'gpt-5"),
        (["--to", "openai/gpt-5", "--project", "demmo"], "there is no project 'demmo'"),
        (["--to", "openai/gpt-5", "--token", "laptop"], "there is no token 'laptop'"),
        (["--to", "openai/gpt-5", "--alias", "fasst"], "there is no alias 'fasst'"),
        (["--to", "openai/gpt-5@team"], "no key of openai is in the pool 'team'; those without a pool are"),
    ],
)
def test_what_may_be_a_mistake_is_noted(cli, keys, words: list[str], said: str) -> None:
    assert said in cli("route", "set", "r", *words).stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--to", "openai/", "--project", "d*", "--token", "own:*", "--dialect", "openai_*"],
        ["--to", "sim/anything", "--to", "/gpt-5", "--to", "openai/gpt-5-mini"],
    ],
)
def test_nothing_is_noted_where_nothing_is_wrong(cli, keys, words: list[str]) -> None:
    assert "Note:" not in cli("route", "set", "r", *words).stderr


def test_a_pool_without_keys_is_noted(cli, keys) -> None:
    cli("key", "set", "openai", "--pool", "other")
    assert "no key of openai is in the pool 'team'" in cli("route", "set", "r", "--to", "openai/@team").stderr


@pytest.mark.parametrize("act", ["show", "remove", "enable", "disable"])
def test_what_does_not_exist(cli, act: str) -> None:
    assert "no route 'nope'" in cli("route", act, "nope", code=3).stderr


def explained(cli_json, *words: str) -> tuple[str, list[str]]:
    found = cli_json("route", "explain", *words)
    names = [f"{c['provider']}/{c['model']} {c['key']}" for c in found["candidates"]]
    return found["route"], names


def test_explain(cli, cli_json, keys) -> None:
    cli("route", "set", "long", "--min-tokens", "60000", "--to", "openai/gpt-5", "--longer", "groq/")
    cli("route", "set", "claude", "--model", "claude-*", "--to", "anthropic/", "--to", "openai/gpt-5")
    cli("token", "create", "--project", "default", "--name", "laptop")
    assert explained(cli_json, "claude-sonnet-4-5") == (
        "claude",
        ["anthropic/claude-sonnet-4-5 default", "openai/gpt-5 default"],
    )
    assert explained(cli_json, "claude-sonnet-4-5", "--tokens", "60000", "--token", "laptop")[0] == "long"
    assert explained(cli_json, "gpt-5") == ("", ["openai/gpt-5 default"])
    assert explained(cli_json, "gpt-5", "--own-key") == ("", ["openai/gpt-5 None"])
    found = cli_json("route", "explain", "claude-sonnet-4-5")
    assert found["passed_over"] == [{"route": "long", "because": "min_tokens"}]
    assert [c["reason"] for c in found["candidates"]] == ["first in order", "number 2 in order"]
    text = cli("route", "explain", "claude-sonnet-4-5").stdout
    assert "Not the route long: it is for longer prompts." in text
    assert "Route: claude" in text
    assert "first in order" in text
    assert "No route takes this call." in cli("route", "explain", "gpt-5").stdout
    long = cli_json("route", "explain", "gpt-5", "--tokens", "70000")["candidates"]
    assert [c["longer"] for c in long] == [False, True]


def test_explain_shows_what_is_left_alone(cli, cli_json, home: Path, keys) -> None:
    cli("key", "add", "openai", "--key-stdin", "--name", "second", stdin=KEY)
    write(home, cooling("openai", "default"))
    found = {c["key"]: c for c in cli_json("route", "explain", "gpt-5")["candidates"]}
    assert found["second"]["usable"] is True
    assert found["default"]["usable"] is False
    assert "429 rate_limit_error" in found["default"]["state"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["gpt-5", "--own-key", "--project", "default"], 2, "no --project and no --token"),
        (["gpt-5", "--project", "nope"], 3, "no project named 'nope'"),
        (["gpt-5", "--token", "nope"], 3, "no token 'nope'"),
        (["gpt-5", "--provider", "nope"], 3, "no provider 'nope'"),
        (["gpt-5", "--dialect", "nope"], 1, "openai_chat, anthropic"),
    ],
)
def test_what_cannot_be_explained(cli, words: list[str], code: int, said: str) -> None:
    assert said in cli("route", "explain", *words, code=code).stderr


def test_explain_without_a_key(cli, keys) -> None:
    cli("route", "set", "r", "--to", "mistral/x")
    assert "No target has a key" in cli("route", "explain", "gpt-5").stdout


def test_a_test_needs_a_proxy(cli, keys, home: Path) -> None:
    cli("init")
    (home / "config.toml").write_text("port = 1\n")
    known = cli("route", "test", "gpt-5", code=1).stderr
    assert "start one with `llm-intercept up`" in known
    assert "Note:" not in known
    unknown = cli("route", "test", "saef", code=1).stderr
    assert "Note: there is no route 'saef', and no list knows such a model" in unknown


@pytest.mark.parametrize("words", [["--model", "claude-*"], ["--tier", "big"], ["--alias", "f*"]])
def test_a_test_of_a_route_for_several_models(cli, keys, words: list[str]) -> None:
    cli("route", "set", "many", *words, "--to", "openai/gpt-5")
    assert "name one with --model" in cli("route", "test", "many", code=2).stderr


def cooling(provider: str, credential: str, **values: Any) -> KeyRow:
    given = {
        "model": "",
        "cooling_until_us": LATER,
        "reason": "429 rate_limit_error",
        "headroom": json.dumps({"requests": {"limit": 1000, "remaining": 12, "reset": None}}),
        "seen_us": NOW,
    }
    return KeyRow(provider, credential, **(given | values))


def write(home: Path, *rows: KeyRow | BreakerRow) -> None:
    place = Home(home)
    place.ensure()
    changes = Changes()
    for row in rows:
        table: dict[Any, Any] = changes.keys if isinstance(row, KeyRow) else changes.breakers
        table[row.provider, row.credential, row.model] = row
    with closing(connect(place.usage_db)) as connection:
        write_changes(connection, changes, NOW)


def test_breakers(cli, cli_json, home: Path) -> None:
    assert "Nothing has failed" in cli("route", "breakers").stdout
    write(
        home,
        BreakerRow("openai", "default", "gpt-5", "open", 5, "503 overloaded", LATER, 1, NOW),
        BreakerRow("groq", "default", "llama", "closed", 0, "", 0, 0, NOW - 5),
        cooling("openai", "default"),
        cooling("anthropic", "work", cooling_until_us=0, reason="", headroom=""),
    )
    text = cli("route", "breakers").stdout
    for said in (
        "openai/gpt-5",
        "503 overloaded",
        "2096-10-02",
        "429 rate_limit_error",
        "12 of 1,000 requests",
    ):
        assert said in text
    found = cli_json("route", "breakers")
    assert {row["provider"] for row in found["breakers"]} == {"openai", "groq"}
    assert found["keys"][1]["headroom"]["requests"]["remaining"] == 12
    assert found["keys"][0]["headroom"] == {}
    some = cli_json("route", "breakers", "--provider", "OpenAI", "--model", "gpt-5", "--key", "default")
    assert [row["model"] for row in some["breakers"]] == ["gpt-5"]
    assert [row["credential"] for row in some["keys"]] == ["default"]
    none = cli_json("route", "breakers", "--provider", "openai", "--model", "o3")
    assert none["breakers"] == []


def asked(home: Path) -> set[tuple[str, str, str]]:
    with closing(connect(Home(home).control_db, readonly=True)) as connection:
        return set(connection.execute("SELECT provider, credential, model FROM breaker_resets"))


def test_resets_are_asked_for(cli, home: Path) -> None:
    cli("route", "breakers")
    said = cli("route", "breakers", "--reset", "--provider", "OpenAI", "--key", "work").stdout
    assert "reset provider openai, key work" in said
    assert asked(home) == {("openai", "work", "")}
    assert "reset everything" in cli("route", "breakers", "--reset").stdout
    assert asked(home) == {("openai", "work", ""), ("", "", "")}
    assert "no provider 'nope'" in cli("route", "breakers", "--provider", "nope", code=3).stderr
