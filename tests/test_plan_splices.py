"""A call that another model of its own dialect answers leaves out what that one is known to refuse."""

from typing import Any

import orjson
import pytest

from llm_intercept import resources
from llm_intercept.exchange import Exchange
from llm_intercept.plan import Planner
from llm_intercept.policy.facts import Facts
from llm_intercept.policy.models import ModelMap
from llm_intercept.providers import Registry
from llm_intercept.settings import Settings
from llm_intercept.wire import splice
from llm_intercept.wire.codec import Target
from llm_intercept.wire.fit import fit
from tests.test_router import an_exchange

ALIASES = {
    "mistral": "mistral/mistral-large-latest",
    "deepseek": "deepseek/deepseek-chat",
    "groq": "groq/llama-3.3-70b-versatile",
    "reasons": "openai/o3",
    "claude": "anthropic/claude-opus-4-8",
    "older": "anthropic/claude-sonnet-4-5",
    "oss": "lmstudio/gpt-oss-20b",
    "unknown": "together/somebody/new-model",
    "codex": "openai/gpt-4o",
}
ASKED = [{"role": "user", "content": "a"}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
LONG_ID = "call_0123456789abcdef"
CALLED = [
    *ASKED,
    {
        "role": "assistant",
        "tool_calls": [{"id": LONG_ID, "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": LONG_ID, "content": "b"},
]


@pytest.fixture(scope="module")
def planner() -> Planner:
    settings = Settings.model_validate({"models": {"aliases": ALIASES}})
    registry = Registry(settings.providers)
    facts = Facts(registry.providers, resources.model_catalogue)
    models = ModelMap(settings.models, registry.providers, facts.known)
    return Planner(registry, models, facts, lambda: 1.0, lambda length: "x" * length)


def an_anthropic(model: str) -> Exchange:
    found = an_exchange(model)
    found.provider = Registry({}).providers["anthropic"]
    found.dialect, found.operation, found.path = "anthropic", "messages", "/v1/messages"
    return found


def sent(planner: Planner, exchange: Exchange, **members: Any) -> dict[str, Any]:
    """The body as it goes upstream."""
    body = orjson.dumps({"model": exchange.model, "messages": ASKED, **members})
    exchange.stream = members.get("stream") is True
    assert planner.plan(exchange, body) is None
    if exchange.upstream_body is not None:
        return dict(orjson.loads(exchange.upstream_body))
    return dict(orjson.loads(splice.set_top_level(body, exchange.splices)))


@pytest.mark.parametrize(
    ("model", "members", "left", "warned"),
    [
        ("mistral", {"seed": 1, "user": "u", "top_p": 1}, {"top_p": 1}, ["seed", "user"]),
        ("mistral", {"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}, []),
        ("mistral", {"seed": None}, {}, []),
        ("mistral", {"max_completion_tokens": 5}, {"max_tokens": 5}, []),
        ("mistral", {"max_completion_tokens": 5, "max_tokens": 6}, {"max_tokens": 5}, []),
        ("groq", {"logprobs": False, "temperature": 0.5}, {"temperature": 0.5}, []),
        ("groq", {"logprobs": True, "top_logprobs": 2}, {}, ["logprobs", "top_logprobs"]),
        ("reasons", {"temperature": 0.5, "max_tokens": 9}, {"max_completion_tokens": 9}, ["temperature"]),
        ("reasons", {"max_tokens": 10**9}, {"max_completion_tokens": 100_000}, ["max_tokens"]),
        ("oss", {"max_tokens": 9}, {"max_tokens": 9}, []),
        ("unknown", {"seed": 1, "logprobs": True}, {"seed": 1, "logprobs": True}, []),
        ("deepseek", {"response_format": {"type": "json_object"}, "seed": 2}, None, []),
    ],
)
def test_members_at_the_top(
    planner: Planner, model: str, members: dict[str, Any], left: dict[str, Any] | None, warned: list[str]
) -> None:
    exchange = an_exchange(model)
    found = sent(planner, exchange, **members)
    assert found.pop("messages") == ASKED
    assert found.pop("model") == ALIASES[model].partition("/")[2]
    assert found == (members if left is None else left)
    assert sorted(warning.partition(":")[0] for warning in exchange.warnings) == warned
    assert "body: written anew" not in exchange.changes


def test_the_rest_stays_byte_for_byte(planner: Planner) -> None:
    exchange = an_exchange("mistral")
    body = b'{ "seed" : 1,"model":"mistral" , "messages":[ {"role":"user","content":"\\u00e9"} ], "user":"u"}'
    assert planner.plan(exchange, body) is None
    kept = b'{ "model":"mistral-large-latest" , "messages":[ {"role":"user","content":"\\u00e9"} ]}'
    assert exchange.upstream_body == kept
    assert exchange.translation is None
    assert {"body: seed", "body: user"} <= set(exchange.changes)


@pytest.mark.parametrize(
    ("model", "members", "warning"),
    [
        ("deepseek", {"response_format": SCHEMA}, "response_format"),
        ("mistral", {"messages": [{**ASKED[0], "name": "joe"}]}, "messages.name"),
        ("reasons", {"reasoning_effort": "minimal"}, "reasoning"),
        ("codex", {"reasoning_effort": "low"}, "reasoning"),
    ],
)
def test_what_lies_deeper_is_written_anew(
    planner: Planner, model: str, members: dict[str, Any], warning: str
) -> None:
    exchange = an_exchange(model)
    found = sent(planner, exchange, **members, strange={"kept": 1})
    assert found["strange"] == {"kept": 1}
    assert "body: written anew" in exchange.changes
    assert [w.partition(":")[0] for w in exchange.warnings] == [warning]


def test_ids_of_calls_that_mistral_refuses(planner: Planner) -> None:
    messages = sent(planner, an_exchange("mistral"), messages=CALLED)["messages"]
    short = messages[1]["tool_calls"][0]["id"]
    assert len(short) == 9
    assert messages[2]["tool_call_id"] == short


@pytest.mark.parametrize(
    ("model", "members", "left", "warned"),
    [
        ("claude", {"temperature": 0.2, "top_k": 3}, {}, ["temperature", "top_k"]),
        ("older", {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}, ["top_p"]),
        ("older", {"max_tokens": 10**6}, {"max_tokens": 64_000}, ["max_tokens"]),
    ],
)
def test_anthropic_s_models(
    planner: Planner, model: str, members: dict[str, Any], left: dict[str, Any], warned: list[str]
) -> None:
    exchange = an_anthropic(model)
    found = sent(planner, exchange, **{"max_tokens": 9, **members})
    assert {name: found[name] for name in found.keys() - {"model", "messages"}} == {"max_tokens": 9, **left}
    assert sorted(warning.partition(":")[0] for warning in exchange.warnings) == warned


def test_thinking_in_the_form_that_the_model_takes(planner: Planner) -> None:
    budget = {"thinking": {"type": "enabled", "budget_tokens": 5000}, "max_tokens": 9000}
    assert sent(planner, an_anthropic("claude"), **budget)["thinking"]["type"] == "adaptive"
    older = sent(planner, an_anthropic("older"), thinking={"type": "adaptive"}, max_tokens=9000)
    assert older["thinking"]["type"] == "enabled"
    assert sent(planner, an_anthropic("older"), **budget)["thinking"] == budget["thinking"]


def test_a_body_that_cannot_be_written_anew_is_spliced(planner: Planner) -> None:
    """Several answers in one stream: the provider may say what it thinks of that."""
    exchange = an_exchange("codex")
    found = sent(planner, exchange, reasoning_effort="low", n=2, stream=True)
    assert (found["n"], found["reasoning_effort"]) == (2, "low")
    assert exchange.upstream_body is None


@pytest.mark.parametrize("said", [{}, {"stream_options": {"include_obfuscation": False}}])
def test_usage_that_the_client_did_not_ask_for_is_not_asked_for_here(
    planner: Planner, said: dict[str, Any]
) -> None:
    """`Dispatch` asks for it and has it hidden again; a chunk without choices breaks simple clients."""
    found = sent(planner, an_exchange("deepseek"), response_format=SCHEMA, stream=True, **said)
    assert found.get("stream_options") == said.get("stream_options")
    exchange = an_exchange("deepseek")
    exchange.asks_usage = True
    asks = {"stream_options": {"include_usage": True}}
    assert (
        sent(planner, exchange, response_format=SCHEMA, stream=True, **asks)["stream_options"]
        == asks["stream_options"]
    )


@pytest.mark.parametrize(
    ("dialect", "body", "deep"),
    [
        ("gemini", {"generationConfig": {"topK": 3}}, True),
        ("gemini", {"generationConfig": {"topP": 3, "topK": None}}, False),
        ("ollama", {"options": {"top_k": 3}}, True),
        ("bedrock_converse", {"inferenceConfig": {"temperature": 1}}, False),
        ("bedrock_invoke", {"top_k": 3}, False),
        ("openai_chat", [], False),
    ],
)
def test_dialects_with_members_inside(dialect: str, body: object, deep: bool) -> None:
    found = fit(dialect, orjson.dumps(body), Target(rejects=frozenset(("top_k",))))
    assert (found.deep, found.dropped, found.changes) == (deep, [], {})
