"""Who has the last word, who may speak after whom, and what has to be said at all, by target."""

from dataclasses import replace
from typing import Any

import pytest

from llm_intercept.policy.facts import Facts
from llm_intercept.providers import Registry
from llm_intercept.resources import model_catalogue
from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context
from llm_intercept.wire.families import structured
from llm_intercept.wire.ir import (
    Format,
    Message,
    Part,
    Reasoning,
    Request,
    Sampling,
    Text,
    ToolCall,
    ToolResult,
)

FACTS = Facts(Registry().providers, model_catalogue)
ASKED = Message("user", (Text("q"),))
BEGUN = Message("assistant", (Text('{"a":'),))
SYSTEM = Message("system", (Text("be kind"),))
CALLED = Message("assistant", (ToolCall("call_1", "f"),))
GO_ON = structured.GO_ON


def sent(target: str, provider: str, model: str, *messages: Message, **more: Any) -> tuple[Any, list[str]]:
    context = Context(target=FACTS.target(provider, model))
    body = codecs.get(target).encode_request(Request(model, messages, **more), context).body
    return body, context.warnings


def said(message: dict[str, Any]) -> tuple[str, Any]:
    content = message["content"]
    return message["role"], content if isinstance(content, str) else content[-1]["text"]


def user(*parts: Part) -> Message:
    return Message("user", parts)


def answered(*parts: Part) -> Message:
    return user(ToolResult("call_1", (Text("r"),)), *parts)


@pytest.mark.parametrize(
    ("target", "provider", "model", "last"),
    [
        ("anthropic", "anthropic", "claude-sonnet-4-5", ("assistant", '{"a":')),
        ("anthropic", "anthropic", "claude-opus-4-6", ("user", GO_ON)),
        ("anthropic", "anthropic", "claude-opus-4-8", ("user", GO_ON)),
        ("bedrock_converse", "bedrock", "us.anthropic.claude-opus-4-6-v1", ("user", GO_ON)),
        ("bedrock_converse", "bedrock", "amazon.nova-pro-v1:0", ("assistant", '{"a":')),
        ("bedrock_converse", "bedrock", "meta.llama3-3-70b-instruct-v1:0", ("user", GO_ON)),
    ],
)
def test_a_begun_answer_is_continued_or_asked_for(target: str, provider: str, model: str, last: Any) -> None:
    body, warnings = sent(target, provider, model, ASKED, BEGUN)
    assert said(body["messages"][-1]) == last
    assert any("begun answer" in warning for warning in warnings) is (last[0] == "user")


def test_a_model_that_thinks_does_not_continue() -> None:
    for target, provider, model in (
        ("anthropic", "anthropic", "claude-sonnet-4-5"),
        ("bedrock_converse", "bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ):
        body, _ = sent(target, provider, model, ASKED, BEGUN, reasoning=Reasoning(effort="low"))
        assert said(body["messages"][-1]) == ("user", GO_ON)


def test_a_turn_of_anthropic_s_own_client_is_left_as_it_is() -> None:
    """It may be a search under way, which the provider takes up again."""
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}]}
    body["messages"] = [*body["messages"], {"role": "assistant", "content": "so"}]  # type: ignore[misc]
    codec = codecs.get("anthropic")
    context = Context(target=FACTS.target("anthropic", "claude-opus-4-8"))
    written = codec.encode_request(codec.decode_request(body, "", False), context).body
    assert written["messages"] == body["messages"]


def mistral(*messages: Message) -> list[dict[str, Any]]:
    body, _ = sent("openai_chat", "mistral", "mistral-large-latest", *messages)
    found: list[dict[str, Any]] = body["messages"]
    return found


def roles(messages: list[dict[str, Any]]) -> list[str]:
    return [message["role"] for message in messages]


def test_mistral_hears_the_assistant_after_a_tool() -> None:
    """Claude Code's reminders stand beside results: «Unexpected role 'user' after role 'tool'»."""
    found = mistral(ASKED, CALLED, answered(Text("a reminder")))
    assert roles(found) == ["user", "assistant", "tool", "assistant", "user"]
    assert "prefix" not in found[-2]


def test_mistral_s_system_speaks_first_or_after_the_user() -> None:
    later = Message("system", (Text("be brief"),))
    assert roles(mistral(SYSTEM, ASKED, later, BEGUN, later, ASKED)) == [
        *("system", "user", "system", "assistant"),
        *("user", "user"),
    ]
    assert roles(mistral(ASKED, CALLED, answered(), later))[-3:] == ["tool", "assistant", "user"]
    assert roles(mistral(SYSTEM)) == ["user"]


def test_mistral_continues_what_is_marked() -> None:
    assert mistral(ASKED, BEGUN)[-1] == {"role": "assistant", "content": '{"a":', "prefix": True}


JSON = Format("json")


@pytest.mark.parametrize("words", ["q", "Answer in JSON.", "a json, please"])
def test_json_is_spoken_of(words: str) -> None:
    """«'messages' must contain the word 'json' in some form»; instructions do not count."""
    talk = (SYSTEM, Message("user", (Text(words),)))
    body, warnings = sent("openai_chat", "openai", "gpt-4o", *talk, format=JSON)
    added = words == "q"
    assert len(body["messages"]) == 2 + added
    assert (body["messages"][1] == {"role": "system", "content": structured.WORDS}) is added
    assert bool(warnings) is added
    body, _ = sent("openai_responses", "openai", "gpt-5.2", *talk, format=JSON)
    assert len(body["input"]) == 1 + added
    assert "json" in str(body["input"]).lower()


def test_json_of_the_instructions_is_said_in_the_input_too() -> None:
    told = Message("system", (Text("Speak JSON."),))
    body, _ = sent("openai_responses", "openai", "gpt-5.2", told, ASKED, format=JSON)
    assert body["instructions"] == "Speak JSON."
    assert "JSON" in str(body["input"])


def test_a_system_prompt_alone_is_a_conversation() -> None:
    body, warnings = sent("bedrock_converse", "bedrock", "amazon.nova-pro-v1:0", SYSTEM)
    assert said(body["messages"][0]) == ("user", "Please continue.")
    assert warnings == ["messages: Converse wants a turn of the user's; one was supplied"]


def test_blanks_are_no_text_for_anthropic() -> None:
    """«text content blocks must contain non-whitespace text»: many models say blanks before a call."""
    spoken = Message("assistant", (Text("\n\n"), ToolCall("call_1", "f")))
    body, _ = sent("anthropic", "anthropic", "claude-sonnet-4-5", ASKED, spoken, answered(Text(" ")))
    assert [block["type"] for block in body["messages"][1]["content"]] == ["tool_use"]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result"]


def test_mistral_gets_nothing_that_it_does_not_know() -> None:
    """«Extra inputs are not permitted»: it refuses a whole request for one member more."""
    more = Request("", (), sampling=Sampling(99, seed=7, top_k=3, logprobs=True, top_logprobs=2), stream=True)
    more = replace(more, user="u", cache_key="k", service_tier="auto", verbosity="low")
    asked = {
        name: getattr(more, name) for name in ("sampling", "stream", "user", "cache_key", "service_tier")
    }
    named = Message("user", (Text("q"),), name="Ann")
    body, warnings = sent(
        "openai_chat", "mistral", "mistral-large-latest", named, verbosity="low", format=SHAPE, **asked
    )
    assert body.keys() == {"model", "messages", "max_tokens", "stream", "response_format"}
    assert body["messages"] == [{"role": "user", "content": "q"}]
    dropped = {warning.partition(":")[0] for warning in warnings}
    assert dropped >= {"seed", "top_k", "logprobs", "user", "prompt_cache_key", "verbosity", "messages.name"}


SHAPE = Format("schema", {"type": "object", "properties": {"a": {"type": "string"}}}, "shape")


def test_deepseek_has_no_schemas_for_answers() -> None:
    body, warnings = sent("openai_chat", "deepseek", "deepseek-chat", ASKED, format=SHAPE)
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0] == {"role": "system", "content": structured.asked(SHAPE)}
    assert warnings == ["response_format: a schema is not taken here; said in the system prompt"]
    body, _ = sent("openai_chat", "openai", "gpt-4o", ASKED, format=SHAPE)
    assert body["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("provider", "model", "role"),
    [
        ("openai", "gpt-5", "developer"),
        ("openai", "gpt-4o", "system"),
        ("mistral", "magistral-medium-latest", "system"),
        ("vllm", "a-model-of-the-house", "system"),
        ("xai", "grok-4", "system"),
    ],
)
def test_developers_are_known_to_openai_s_models(provider: str, model: str, role: str) -> None:
    body, _ = sent("openai_chat", provider, model, Message("developer", (Text("be kind"),)), ASKED)
    assert roles(body["messages"]) == [role, "user"]
