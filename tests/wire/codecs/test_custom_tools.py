"""OpenAI's custom tools with a grammar: each of its two spellings, and words for everyone else."""

from typing import Any

import orjson
import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context
from llm_intercept.wire.translation import Side, Translation

GRAMMAR = {"syntax": "lark", "definition": "start: WORD"}
CHAT = {
    "type": "custom",
    "custom": {
        "name": "patch",
        "description": "Edits files.",
        "format": {"type": "grammar", "grammar": GRAMMAR},
    },
}
RESPONSES = {
    "type": "custom",
    "name": "patch",
    "description": "Edits files.",
    "format": {"type": "grammar", **GRAMMAR},
}
ASKED: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [CHAT]},
    "openai_responses": {"model": "m", "input": "hi", "tools": [RESPONSES]},
}


def written(client: str, target: str) -> Any:
    request = codecs.get(client).decode_request(ASKED[client], "m", False)
    body = codecs.get(target).encode_request(request, Context(request=request)).body
    return orjson.loads(orjson.dumps(body))


@pytest.mark.parametrize(
    ("client", "target"),
    [
        ("openai_chat", "openai_chat"),
        ("openai_responses", "openai_responses"),
        ("openai_chat", "openai_responses"),
    ],
)
def test_the_grammar_is_said_as_openai_s_dialects_say_it(client: str, target: str) -> None:
    assert written(client, target)["tools"] == ASKED[target]["tools"]


def test_codex_s_patches_are_functions_for_chat_completions() -> None:
    """Of all who speak this dialect only OpenAI knows custom tools; the others refuse the whole call."""
    asked = {
        **ASKED["openai_responses"],
        "input": [
            {"role": "user", "content": "fix"},
            {"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": '*** "x"'},
            {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"},
        ],
        "tool_choice": {"type": "custom", "name": "patch"},
    }
    request = codecs.get("openai_responses").decode_request(asked, "m", False)
    context = Context(request=request)
    body = codecs.get("openai_chat").encode_request(request, context).body
    (tool,) = body["tools"]
    assert (tool["type"], tool["function"]["name"]) == ("function", "patch")
    assert "start: WORD" in tool["function"]["description"]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "patch"}}
    (call,) = body["messages"][1]["tool_calls"]
    assert call["function"] == {"name": "patch", "arguments": orjson.dumps({"input": '*** "x"'}).decode()}
    assert context.warnings == ["tools: patch takes free text; it became a function with one string, `input`"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_patch_comes_back_as_one(stream: bool) -> None:
    request = codecs.get("openai_responses").decode_request(ASKED["openai_responses"], "m", stream)
    relay = Translation(
        Side("openai_responses"), Side("openai_chat"), Context(request=request), stream=stream
    )
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "patch", "arguments": '{"input":"*** x"}'},
    }
    choice = {
        "index": 0,
        "message": {"role": "assistant", "tool_calls": [call]},
        "finish_reason": "tool_calls",
    }
    answer = relay.answer(orjson.dumps({"id": "c", "choices": [choice]}), "application/json")
    assert b'"type":"custom_tool_call"' in answer
    assert b'"input":"*** x"' in answer
    assert b'"function_call"' not in answer


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("target", ["anthropic", "bedrock_converse", "gemini", "ollama"])
def test_elsewhere_the_description_says_it(client: str, target: str) -> None:
    tools = orjson.dumps(written(client, target)).decode()
    assert "Edits files.\\n\\nThe input follows this lark grammar:\\nstart: WORD" in tools


def test_a_format_without_a_grammar_stays() -> None:
    plain = {**CHAT, "custom": {"name": "patch", "format": {"type": "text"}}}
    request = codecs.get("openai_chat").decode_request({**ASKED["openai_chat"], "tools": [plain]}, "m", False)
    body = codecs.get("openai_chat").encode_request(request, Context(request=request)).body
    assert body["tools"] == [plain]
