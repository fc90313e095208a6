"""The file: what it may say, and what is said about what it may not."""

import json
from pathlib import Path

import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.sim.dialects import dialect_of
from llm_intercept.sim.routes import ROUTES
from llm_intercept.sim.scenario import Rule, load, parse
from llm_intercept.sim.script import Asked, Script

CALL = Asked("POST", "/v1/chat/completions", "openai_chat", "gpt-5", "sk-proj-0001")


def names(text: str, *calls: Asked) -> list[str]:
    """The names of the rules that the calls fall under."""
    script = Script(parse(text, "test"))
    chosen = [script.choose(call) for call in calls]
    return [rule.name if rule else "-" for rule in chosen]


@pytest.mark.parametrize(
    ("numbers", "taken"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"nth": 3}, [3]),
        ({"nth": [1, 4]}, [1, 4]),
        ({"first": 2}, [1, 2]),
        ({"from": 7}, [7, 8, 9]),
        ({"every": 4}, [4, 8]),
        ({"from": 3, "first": 2}, [3, 4]),
        ({"from": 2, "every": 3}, [4, 7]),
    ],
)
def test_which_calls_a_rule_takes(numbers: dict[str, int], taken: list[int]) -> None:
    rule = Rule.model_validate({"then": "hang", **numbers})
    assert [n for n in range(1, 10) if rule.takes(n)] == taken


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("path = '/v1/chat/*'", True),
        ("path = '*/messages'", False),
        ("method = 'post'", True),
        ("method = 'GET'", False),
        ("dialect = 'openai_*'", True),
        ("dialect = 'anthropic'", False),
        ("model = 'gpt-*'", True),
        ("model = 'gpt'", False),
        ("key = '0001'", True),
        ("key = 'good'", True),
        ("key = 'bad'", False),
    ],
)
def test_conditions(condition: str, met: bool) -> None:
    text = f"keys = {{good = '-0001', bad = '0002'}}\n[[rules]]\nname = 'it'\nthen = 'hang'\n{condition}\n"
    assert names(text, CALL) == ["it" if met else "-"]


def test_the_first_rule_that_fits_is_taken_and_every_rule_counts() -> None:
    text = """
    [[rules]]
    name = "first"
    nth = 1
    then = "refuse"
    [[rules]]
    name = "second"
    nth = [1, 2]
    then = "reset"
    [[rules]]
    name = "else"
    from = 4
    then = "error"
    """
    assert names(text, CALL, CALL, CALL, CALL) == ["first", "second", "-", "else"]


def test_counters() -> None:
    script = Script(parse("[[rules]]\nkey='1'\nfirst=1\nthen='error'\nstatus=503", "test"))
    other = Asked("GET", "/v1/models", "observe", "", "")
    for call in (CALL, CALL, other):
        script.choose(call)
    rule = {"key": "1", "first": 1, "then": "error", "status": 503}
    assert script.as_json() == {
        "calls": 3,
        "unruled": 2,
        "rules": [{"rule": 1, "matched": 2, "applied": 1, **rule}],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rules]]\nthen = 'explode'", "test, line 2: rules[1].then: Input should be 'answer'"),
        ("[[rules]]\nthen='hang'\n\n[[rules]]\nthen='error'\nstatus=42", "test, line 6: rules[2].status:"),
        ("[[rules]]\nstatus = 500", "test, line 1: rules[1].then: Field required"),
        ("[[rules]]\nthen='hang'\nafter='x'", "line 3: rules[1].after: there is no such field; a rule has"),
        ("[[rules]]\nthen='hang'\ntext='x'", "`text` does not go with `then = 'hang'`, which takes after_"),
        ("[[rules]]\nthen='drop'\nafter_bytes=1\nafter_events=1", "either `after_events` or `after_bytes`"),
        ("[[rules]\n", "test is not a scenario: "),
        ('{"rules": [', "test is not a scenario: "),
        ('{"rules": [{"then": "hang"}, {"then": 3}]}', "test: rules[2].then: Input should be"),
        ("[[rule]]", "test: rule: there is no such field; there are keys and rules"),
        ("[[rules]]\nthen='hang'\nnth=0", "test, line 3: rules[1].nth: calls are counted from 1"),
        ("[[rules]]\nthen='hang'\nnth=[1, 0]", "test, line 3: rules[1].nth: calls are counted from 1"),
        (
            "[[rules]]\nthen='hang'\ndialect='antropic'",
            "line 3: rules[1].dialect: there is no dialect 'antropic'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, "test")
    assert said in str(error.value)


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    document = {"keys": {"a": "1"}, "rules": [{"then": "answer", "text": "hi", "from": 2}]}
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps(document))
    toml = "keys = {a = '1'}\n[[rules]]\nthen = 'answer'\ntext = 'hi'\nfrom = 2"
    assert load(file) == parse(toml, "test")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/chat/completions", "openai_chat"),
        ("/openai/v1/chat/completions", "openai_chat"),
        ("/openai/deployments/gpt-5/chat/completions", "openai_chat"),
        ("/v1/completions", "openai_completions"),
        ("/v1/responses", "openai_responses"),
        ("/v1/embeddings", "openai_embeddings"),
        ("/v1/audio/speech", "openai_audio"),
        ("/v1/images/edits", "openai_images"),
        ("/v1/messages", "anthropic"),
        ("/v1/messages/count_tokens", "anthropic"),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/claude:rawPredict", "anthropic"),
        ("/v1beta/models/gemini-3:streamGenerateContent", "gemini"),
        ("/model/a.b/converse-stream", "bedrock_converse"),
        ("/model/a.b/invoke-with-response-stream", "bedrock_invoke"),
        ("/v2/chat", "cohere"),
        ("/api/chat", "ollama"),
        ("/v1/models", "observe"),
    ],
)
def test_the_dialect_of_a_path(path: str, dialect: str) -> None:
    assert dialect_of(path) == dialect


def test_every_path_with_a_model_has_a_dialect() -> None:
    unspoken = ("files", "moderations")
    for method, path, *_ in ROUTES:
        plain = path.replace("{prefix:.*}", "x/").replace("{model:.+}", "m").replace("{model}", "m")
        if method == "POST" and not plain.endswith(unspoken):
            assert dialect_of(plain) != "observe", path
