"""The conversation as Anthropic wants it: roles, order, results beside their calls, ids, media."""

from typing import Any

import pytest

from llm_intercept.wire.codec import Context, Target
from llm_intercept.wire.codecs import anthropic
from llm_intercept.wire.ir import Media, Message, Request, Text, Thinking, Tool, ToolCall, ToolResult

USER = {"role": "user", "content": "hi"}
HI = Message("user", (Text("hi"),))
TOOL = Tool("look", "looks", {"type": "object", "properties": {"at": {"type": "string"}}})


def decode(messages: list[Any]) -> Request:
    return anthropic.decode_request({"model": "m", "max_tokens": 9, "messages": messages}, "", False)


def encode(request: Request, **target: Any) -> tuple[dict[str, Any], list[str]]:
    context = Context(target=Target(**target))
    return dict(anthropic.encode_request(request, context).body), context.warnings


def ask(*messages: Message, **members: Any) -> Request:
    return Request("m", messages or (HI,), **members)


def sent(*messages: Message, **members: Any) -> tuple[list[Any], list[str]]:
    body, warnings = encode(ask(*messages, **members))
    return body["messages"], warnings


CALL = Message("assistant", (ToolCall("toolu_1", "look", '{"at":"sea"}'),))
RESULT = Message("user", (ToolResult("toolu_1", (Text("waves"),)),))
WIRE_CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sea"}}
WIRE_RESULT = {
    "type": "tool_result",
    "tool_use_id": "toolu_1",
    "content": [{"type": "text", "text": "waves"}],
}


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def test_system_and_developer_at_the_start_are_the_prompt() -> None:
    body, warnings = encode(ask(Message("system", (Text("a"),)), Message("developer", (Text("b"),)), HI))
    assert body["system"] == [words("a"), words("b")]
    assert body["messages"] == [{"role": "user", "content": [words("hi")]}]
    assert warnings == []


def test_a_later_system_message_is_the_user_s_words() -> None:
    messages, warnings = sent(HI, CALL, Message("system", (Text("be brief"),)), RESULT, tools=(TOOL,))
    assert messages[2] == {"role": "user", "content": [WIRE_RESULT, words("be brief")]}
    assert any("system" in warning for warning in warnings)


def test_turns_of_one_role_are_one() -> None:
    messages, _ = sent(HI, HI, Message("assistant", (Text("a"),)), Message("assistant", (Text("b"),)), HI)
    assert [(m["role"], len(m["content"])) for m in messages] == [("user", 2), ("assistant", 2), ("user", 1)]


def test_results_come_first_and_each_call_has_one() -> None:
    calls = Message("assistant", (ToolCall("a", "look"), ToolCall("b", "look")))
    back = Message("user", (Text("see"), ToolResult("b", (Text("B"),))))
    messages, warnings = sent(HI, calls, back, tools=(TOOL,))
    kinds = [(b["type"], b.get("tool_use_id"), b.get("is_error")) for b in messages[2]["content"]]
    assert kinds == [("tool_result", "b", None), ("tool_result", "a", True), ("text", None, None)]
    assert any("no result" in warning for warning in warnings)


def test_a_call_at_the_end_gets_a_turn_for_its_result() -> None:
    messages, _ = sent(HI, CALL, tools=(TOOL,))
    assert messages[-1]["role"] == "user"
    assert messages[-1]["content"][0]["is_error"] is True


def test_a_result_without_its_call_becomes_words() -> None:
    messages, warnings = sent(RESULT)
    assert messages == [{"role": "user", "content": [words("[tool result] waves")]}]
    assert warnings == ["messages: a tool result without its call became text"]


def test_the_first_turn_is_the_user_s() -> None:
    messages, warnings = sent(Message("assistant", (Text("hello "),)))
    assert [m["role"] for m in messages] == ["user", "assistant"]
    assert messages[1]["content"] == [words("hello")]
    assert len(warnings) == 1


def test_empty_texts_are_left_out() -> None:
    messages, _ = sent(Message("user", (Text(""), Text("x"))), Message("assistant", (Text(""),)), HI)
    assert messages == [{"role": "user", "content": [words("x"), words("hi")]}]


def test_ids_are_fitted_the_same_for_call_and_result_and_never_twice() -> None:
    call, result = ToolCall("call:0", "look"), ToolResult("call:0", (Text("r"),))
    once = (Message("assistant", (call,)), Message("user", (result,)))
    messages, warnings = sent(HI, *once, *once, tools=(TOOL,))
    ids = [b.get("id") or b["tool_use_id"] for m in messages[1:] for b in m["content"]]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert all(i.startswith("toolu_") for i in ids)
    assert warnings == []


def test_calls_in_the_history_of_a_request_without_tools() -> None:
    body, warnings = encode(ask(HI, CALL, RESULT))
    assert body["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}
    assert len(warnings) == 1


def test_foreign_thinking_is_left_out_and_comes_back_to_its_origin() -> None:
    foreign = Message("assistant", (Thinking("hm", "sig", "gemini"), Text("x")))
    messages, warnings = sent(HI, foreign, HI)
    assert messages[1]["content"] == [words("x")]
    assert len(warnings) == 1
    tagged = {"type": "thinking", "thinking": "hm", "signature": "lli1.gemini.sig.with.dots"}
    request = decode([USER, {"role": "assistant", "content": [tagged]}])
    assert request.messages[1].parts == (Thinking("hm", "sig.with.dots", "gemini"),)


def test_a_call_s_own_signature_comes_back_to_it() -> None:
    content = [{"type": "redacted_thinking", "data": "lli1call.gemini.sig"}, WIRE_CALL]
    request = decode([USER, {"role": "assistant", "content": content}])
    expected = ToolCall("toolu_1", "look", '{"at":"sea"}', signature="sig", origin="gemini")
    assert request.messages[1].parts == (expected,)


@pytest.mark.parametrize(
    ("part", "target", "expected"),
    [
        (Media("audio", "audio/wav", data="x"), {}, "audio"),
        (Media("image", "image/png", data="x"), {"images": False}, "image"),
        (Media("image", file_id="f"), {}, "image"),
        (Media("document", "application/msword", data="x", name="cv"), {}, "document cv"),
    ],
)
def test_media_that_cannot_be_sent_are_named(part: Media, target: dict[str, Any], expected: str) -> None:
    body, warnings = encode(ask(Message("user", (part,))), **target)
    assert body["messages"][0]["content"][0]["text"].startswith(f"[{expected} left out")
    assert len(warnings) == 1


def test_text_documents_in_base64_are_text() -> None:
    messages, _ = sent(Message("user", (Media("document", "text/csv", data="YSxi"),)))
    assert messages[0]["content"][0]["source"] == {"type": "text", "media_type": "text/plain", "data": "a,b"}


@pytest.mark.parametrize("kind", ["image", "document"])
def test_a_host_that_fetches_nothing_is_told_what_was_left_out(kind: Any) -> None:
    """Claude at Google takes base64 alone."""
    shown = Message("user", (Text("see"), Media(kind, url="https://example.com/a")))
    body, warnings = encode(ask(shown), fetches=False)
    reason = "this host takes bytes only, and no URL"
    assert body["messages"][0]["content"][1] == words(f"[{kind} left out: {reason}]")
    assert warnings == [f"{kind}: {reason}; left out"]
    inline = Message("user", (Media(kind, "image/png" if kind == "image" else "application/pdf", "aGk="),))
    assert encode(ask(inline), fetches=False) == encode(ask(inline))
