"""Calls and their results, in every order that clients have been seen to send them, for every target."""

from typing import Any

import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.families.settled import settled
from llm_intercept.wire.ir import Media, Message, Part, Text, ToolCall, ToolResult
from llm_intercept.wire.translation import Side, Translation
from tests.wire.codecs import amazon


def user(*parts: Part) -> Message:
    return Message("user", parts)


def calls(*ids: str) -> Message:
    return Message("assistant", tuple(ToolCall(name, f"f_{name}") for name in ids))


def result(name: str, text: str = "ok") -> ToolResult:
    return ToolResult(name, (Text(text),))


def settle(*messages: Message) -> tuple[list[Message], list[str]]:
    context = Context()
    return list(settled(messages, context)), context.warnings


ASKED = user(Text("q"))
SUPPLIED = ToolResult("b", (Text("The tool gave no result."),), True, "f_b")


def test_what_is_in_order_is_left_alone() -> None:
    talk = (
        ASKED,
        calls("a", "b"),
        user(result("b"), result("a"), Text("and")),
        calls("a"),
        user(result("a")),
    )
    context = Context()
    assert settled(talk, context) is talk
    assert context.warnings == []


def test_a_reminder_between_call_and_result_comes_after_them() -> None:
    reminder = Message("system", (Text("be brief"),))
    found, warnings = settle(ASKED, calls("a"), reminder, user(result("a"), Text("go on")))
    assert found == [ASKED, calls("a"), user(result("a")), reminder, user(Text("go on"))]
    assert warnings == ["messages: a tool result was put right after its call"]


def test_results_in_several_messages_are_one_turn() -> None:
    found, _ = settle(ASKED, calls("a", "b"), user(result("a")), user(result("b"), Text("go on")))
    assert found == [ASKED, calls("a", "b"), user(result("a"), result("b")), user(Text("go on"))]


def test_a_call_that_the_user_stopped_gets_a_result() -> None:
    found, warnings = settle(ASKED, calls("a", "b"), user(result("a"), Text("stop")))
    assert found == [ASKED, calls("a", "b"), user(result("a"), SUPPLIED, Text("stop"))]
    assert warnings == ["messages: a tool call had no result; an error result was supplied"]
    assert settle(ASKED, calls("b"), Message("assistant", (Text("so"),)))[0][2] == user(SUPPLIED)
    assert settle(ASKED, calls("b"))[0] == [ASKED, calls("b"), user(SUPPLIED)]


def test_results_without_calls_are_words() -> None:
    image = Media("image", "image/png", "iVBO")
    found, warnings = settle(user(ToolResult("x", (Text("rain"), image)), Text("so?")))
    assert found == [user(Text("[tool result] rain"), image, Text("so?"))]
    assert warnings == ["messages: a tool result without its call became text"]
    twice, _ = settle(ASKED, calls("a"), user(result("a"), result("a", "again")))
    assert twice[2] == user(result("a"), Text("[tool result] again"))


def test_an_id_that_is_used_again_belongs_to_the_latest_call() -> None:
    again = (calls("a"), user(result("a", "1")), calls("a"), Message("developer", ()), user(result("a", "2")))
    found, _ = settle(ASKED, *again)
    assert found[1:5] == [calls("a"), user(result("a", "1")), calls("a"), user(result("a", "2"))]


CLAUDE_CODE: dict[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "tools": [{"name": name, "input_schema": {"type": "object"}} for name in ("Read", "Bash")],
    "messages": [
        {"role": "user", "content": "fix it"},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}},
                {"type": "tool_use", "id": "toolu_2", "name": "Bash", "input": {}},
            ],
        },
        {"role": "system", "content": "a reminder"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_2", "content": "two"}]},
        {"role": "user", "content": "go on"},
    ],
}
"""A turn that was interrupted: one of two calls has a result, and the system speaks before it."""


def written(target: str) -> tuple[Any, list[str]]:
    context = Context()
    translation = Translation(Side("anthropic"), Side(target), context, stream=False)
    request = context.request = translation.client.decode_request(CLAUDE_CODE, "m", False)
    return translation.encode(request).body, context.warnings


@pytest.mark.parametrize("target", ["openai_chat", "openai_responses", "gemini", "bedrock_converse"])
def test_an_interrupted_turn_goes_everywhere(target: str) -> None:
    body, warnings = written(target)
    assert "messages: a tool call had no result; an error result was supplied" in warnings
    match target:
        case "openai_chat":
            roles = [message["role"] for message in body["messages"]]
            assert roles == ["user", "assistant", "tool", "tool", "system", "user"]
        case "openai_responses":
            kinds = [item.get("type", "message") for item in body["input"]]
            assert kinds[1:5] == ["function_call"] * 2 + ["function_call_output"] * 2
        case "gemini":
            parts = body["contents"][2]["parts"]
            assert ["functionResponse" in part for part in parts] == [True, True, False, False]
        case "bedrock_converse":
            assert amazon.faults(body) == []
            assert ["toolResult" in block for block in body["messages"][2]["content"]][:3] == [
                True,
                True,
                False,
            ]
