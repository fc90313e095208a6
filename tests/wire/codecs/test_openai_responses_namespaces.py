"""Tools in namespaces: flat for every target, called by the client's own names again. Custom tools too."""

import json
from typing import Any

import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs import openai_responses as codec
from llm_intercept.wire.fold import unfold
from llm_intercept.wire.ir import Answer, Message, Part, Request, Text, Tool, ToolCall, ToolChoice
from tests.wire.codecs import responses_sdk as sdk


def function(name: str) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "description": name,
        "parameters": {"type": "object"},
        "strict": False,
    }


AGENTS = {
    "type": "namespace",
    "name": "agents",
    "description": "Sub-agents.",
    "tools": [function("spawn"), {"type": "custom", "name": "tell", "description": "free text"}],
}
DOCS = {"type": "namespace", "name": "mcp__docs", "description": "", "tools": [function("search")]}
DEFAULT = {"type": "namespace", "name": "functions", "description": "", "tools": [function("exec")]}
TOOLS = [
    function("shell"),
    AGENTS,
    DOCS,
    {"type": "web_search"},
    DEFAULT,
    {"type": "custom", "name": "patch"},
]


def decode(tools: list[dict[str, Any]] = TOOLS, **body: Any) -> Request:
    return codec.decode_request({"model": "m", "input": "hi", "tools": tools, **body}, "", False)


def names(request: Request) -> list[str]:
    return [tool.name for tool in request.tools if isinstance(tool, Tool)]


def test_flat_names():
    found = ["shell", "agents__spawn", "agents__tell", "mcp__docs__search", "exec", "patch"]
    assert names(decode()) == found


def test_they_stand_in_their_groups_again():
    assert json.loads(json.dumps(codec.encode_request(decode(), Context()).body))["tools"] == TOOLS


def test_two_groups_of_one_shape_stay_two():
    tools = [AGENTS, function("between"), {**AGENTS, "description": "Others."}]
    written = codec.encode_request(decode(tools), Context()).body["tools"]
    assert [tool["name"] for tool in written] == ["agents", "between", "agents"]


@pytest.mark.parametrize(
    "tools",
    [
        [function("a__b"), {**AGENTS, "name": "a", "tools": [function("b")]}],
        [{**AGENTS, "name": "n" * 50, "tools": [function("t" * 40), function("t" * 41)]}],
        [{**AGENTS, "name": "a.b", "tools": [function("c d")]}],
    ],
    ids=["taken", "long", "unfit"],
)
def test_flat_names_are_fit_and_free(tools: list[dict[str, Any]]):
    found = names(decode(tools))
    assert len(set(found)) == len(found)
    assert all(len(name) <= 64 and name.replace("_", "").isalnum() for name in found)
    assert found == names(decode(tools))


def test_history_and_choice_use_the_same_names():
    call = {
        "type": "function_call",
        "call_id": "c",
        "name": "spawn",
        "namespace": "agents",
        "arguments": "{}",
    }
    request = decode(input=[call], tool_choice={"type": "function", "name": "search"})
    (part,) = request.messages[0].parts
    assert isinstance(part, ToolCall)
    assert part.name == "agents__spawn"
    assert request.tool_choice == ToolChoice("named", "mcp__docs__search")
    body = codec.encode_request(request, Context()).body
    assert body["input"] == [call]
    assert body["tool_choice"] == {"type": "function", "name": "search"}


CALLS = [
    (ToolCall("c", "shell", '{"a":1}'), {"type": "function_call", "name": "shell", "arguments": '{"a":1}'}),
    (
        ToolCall("c", "agents__spawn", "{}"),
        {"type": "function_call", "name": "spawn", "namespace": "agents", "arguments": "{}"},
    ),
    (
        ToolCall("c", "exec", "{}"),
        {"type": "function_call", "name": "exec", "namespace": "functions", "arguments": "{}"},
    ),
    (
        ToolCall("c", "agents__tell", '{"input": "go\\non"}'),
        {"type": "custom_tool_call", "name": "tell", "namespace": "agents", "input": "go\non"},
    ),
    (ToolCall("c", "patch", '{"text":"p"}'), {"type": "custom_tool_call", "name": "patch", "input": "p"}),
    (ToolCall("c", "patch", "not json"), {"type": "custom_tool_call", "name": "patch", "input": "not json"}),
    (
        ToolCall("c", "patch", "raw", custom=True),
        {"type": "custom_tool_call", "name": "patch", "input": "raw"},
    ),
    (ToolCall("c", "unheard_of", ""), {"type": "function_call", "name": "unheard_of", "arguments": "{}"}),
]


@pytest.mark.parametrize(("call", "told"), CALLS, ids=lambda v: v.name if isinstance(v, ToolCall) else "")
def test_calls_come_back_as_the_client_named_them(call: ToolCall, told: dict[str, Any]):
    answer = Answer("msg_1", "m", (Text("so"), call), "tool_calls")
    context = Context(request=decode())
    whole = codec.encode_answer(answer, context)["output"][1]
    frames = sdk.frames(unfold(answer), context)
    sdk.check(frames)
    streamed = json.loads(frames[-1][1])["response"]["output"][1]
    added = next(json.loads(p)["item"] for n, p in frames if n.endswith("item.added") and b"_call" in p)
    for item in (whole, streamed):
        assert {name: item[name] for name in ("type", *told)} == {"type": item["type"], **told}
        assert item["call_id"] == "c"
        assert ("namespace" in item) is ("namespace" in told)
    assert [added[name] for name in told if name in ("type", "name", "namespace")] == [
        value for name, value in told.items() if name in ("type", "name", "namespace")
    ]
    (made,) = [item for item in sdk.accumulated(frames).output if item.type != "message"]
    assert made.to_dict()["name"] == told["name"]


def test_calls_from_history_keep_their_namespace_through_a_whole_loop():
    """Codex calls, answers, and sends both again: the target sees one name throughout."""
    request = decode()
    answer = Answer("a", "m", (ToolCall("toolu_1", "agents__spawn", '{"x":1}'),), "tool_calls")
    output = codec.encode_answer(answer, Context(request=request))["output"]
    result = {"type": "function_call_output", "call_id": output[0]["call_id"], "output": "done"}
    later = decode(input=[{"role": "user", "content": "hi"}, *output, result])
    call: Part = later.messages[1].parts[0]
    assert isinstance(call, ToolCall)
    assert (call.id, call.name, call.arguments) == ("toolu_1", "agents__spawn", '{"x":1}')
    assert later.messages[2].parts[0].call_id == "toolu_1"  # type: ignore[union-attr]
    assert isinstance(later.messages[0], Message)
