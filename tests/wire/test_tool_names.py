"""Names of tools that a target does not take: sent in another form, given back as the client knows them."""

import re
from typing import Any

import orjson
import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context
from llm_intercept.wire.families import toolnames
from llm_intercept.wire.ir import (
    Answer,
    Message,
    OpaqueTool,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_intercept.wire.translation import Side, Translation

LONG = "mcp__a_server_with_a_name_that_is_long__and_a_tool_whose_name_is_long_as_well"
NAMES = (LONG, "default_api:get.weather", "погода", "a b", "x" * 65)
DIALECTS = ("anthropic", "openai_chat", "openai_responses", "gemini", "bedrock_converse", "ollama")
STRICT = ("anthropic", "openai_chat", "openai_responses", "bedrock_converse")  # letters, digits, _ and -
NAMED = re.compile(r'"name": ?"([^"]*)"')


def asked(name: str) -> Request:
    talk = (
        Message("user", (Text("q"),)),
        Message("assistant", (ToolCall("call_1", name, "{}"),)),
        Message("user", (ToolResult("call_1", (Text("r"),), name=name),)),
    )
    return Request("m", talk, (Tool(name), OpaqueTool("x", "y", {})), ToolChoice("named", name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", STRICT)
def test_tools_calls_and_choice_have_one_name_that_is_taken(target: str, name: str) -> None:
    body = orjson.dumps(codecs.get(target).encode_request(asked(name), Context()).body).decode()
    found = NAMED.findall(body)
    assert len(found) >= 3
    assert len(set(found)) == 1, found
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", found[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("client", DIALECTS)
def test_the_client_gets_its_own_name_back(client: str, name: str) -> None:
    """Whole and streamed, of a provider that called the tool by the name that it was sent."""
    provider = "openai_chat" if client != "openai_chat" else "anthropic"
    context = Context(request=asked(name))
    called = Answer("i", "m", (ToolCall("call_2", toolnames.sent(name), "{}"),), "tool_calls")
    answer = orjson.dumps(dict(codecs.get(provider).encode_answer(called, Context())))
    for stream in (False, True):
        relay = Translation(Side(client), Side(provider), context, stream=stream)
        if client == "bedrock_converse" and stream:
            assert name.encode() in relay.answer(answer, "application/json")
            continue
        assert _names(relay.answer(answer, "application/json")) == {name}


def _names(answer: bytes) -> set[str]:
    return {name for name in NAMED.findall(answer.decode()) if name}


def test_names_that_fit_are_left_alone() -> None:
    request: Any = asked("get_weather")
    assert toolnames.fitting(request) is request
