"""Requests of chat completions: what is read, and what is written for which target."""

import json
from typing import Any

import pytest

from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.codecs import openai_chat
from llm_intercept.wire.codecs.openai_chat.terms import NAME
from llm_intercept.wire.ir import (
    Cache,
    Format,
    Media,
    Message,
    Opaque,
    OpaqueTool,
    Part,
    Reasoning,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

PIXEL = "iVBORw0KGgoAAAANSUhEUg=="


def read(**body: Any) -> Request:
    return openai_chat.decode_request({"model": "m", "messages": [], **body}, "", False)


def parts(content: Any, role: str = "user") -> tuple[Part, ...]:
    return read(messages=[{"role": role, "content": content}]).messages[0].parts


def write(request: Request, **target: Any) -> tuple[dict[str, Any], list[str]]:
    context = Context(Target(model="m", **target))
    body = openai_chat.encode_request(request, context).body
    return json.loads(json.dumps(body)), context.warnings


def said(*messages: Message, **target: Any) -> tuple[list[dict[str, Any]], list[str]]:
    body, warnings = write(Request("m", messages), **target)
    return body["messages"], warnings


def user(*found: Part) -> Message:
    return Message("user", found)


def assistant(*found: Part) -> Message:
    return Message("assistant", found)


CONTENTS: list[tuple[Any, Part]] = [
    ("hi", Text("hi")),
    ([{"type": "text", "text": "hi"}], Text("hi")),
    (
        [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}}],
        Media("image", "image/png", PIXEL, detail="low"),
    ),
    ([{"type": "image_url", "image_url": "https://x/y.png"}], Media("image", url="https://x/y.png")),
    (
        [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}],
        Media("audio", "audio/mpeg", "AAAA"),
    ),
    (
        [{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}}],
        Media("document", "application/pdf", "JVBE", name="a.pdf"),
    ),
    ([{"type": "file", "file": {"file_id": "file-1"}}], Media("document", file_id="file-1")),
    ([{"type": "new", "x": 1}], Opaque(NAME, {"type": "new", "x": 1})),
]


@pytest.mark.parametrize(("content", "part"), CONTENTS)
def test_content_is_read_and_written_again(content: Any, part: Part) -> None:
    request = read(messages=[{"role": "user", "content": content}])
    assert request.messages == (user(part),)
    body, warnings = write(request)
    assert not warnings
    assert openai_chat.decode_request(body, "", False).messages == request.messages


def test_tool_messages_become_results_of_one_user_message() -> None:
    request = read(
        messages=[
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
            {"role": "user", "content": "go on"},
        ]
    )
    results = ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),))
    assert request.messages == (user(*results), user(Text("go on")))


def test_legacy_functions_come_back_as_they_were() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a": 1}'}},
            {"role": "function", "name": "f", "content": "2"},
        ],
        "functions": [{"name": "f", "parameters": {"type": "object", "properties": {}}}],
        "function_call": {"name": "f"},
    }
    request = openai_chat.decode_request(body, "", False)
    call, result = request.messages[1].parts[0], request.messages[2].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert call.id == result.call_id != ""
    assert request.tool_choice == ToolChoice("named", "f")
    assert write(request) == (body, [])


def test_images_of_a_result_follow_in_a_user_message() -> None:
    image = Media("image", "image/png", PIXEL)
    first = ToolResult("a", (Text("seen"), image))
    called = assistant(ToolCall("a", "f"), ToolCall("b", "f"))
    (_, *messages), warnings = said(called, user(first, ToolResult("b", (Text("2"),))), user(Text("and?")))
    assert [message["role"] for message in messages] == ["tool", "tool", "user"]
    assert messages[0]["content"] == "seen"
    assert [item["type"] for item in messages[2]["content"]] == ["text", "image_url", "text"]
    assert warnings == ["tool result: image put into a user message after it"]


def test_a_failed_result_says_so_in_words() -> None:
    failed = ToolResult("a", (Text("no such file"),), is_error=True)
    (_, message), _ = said(assistant(ToolCall("a", "f")), user(failed))
    assert message["content"] == "Error: no such file"


def test_order_of_text_and_calls() -> None:
    (message, _), _ = said(assistant(Text("one "), ToolCall("a", "f", '{"x":  1}'), Text("two")))
    assert message["content"] == "one two"
    assert message["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":  1}'}}
    ]


@pytest.mark.parametrize("identity", ["toolu_" + "x" * 60, "call|fc", "a b"])
def test_ids_fit_and_still_match(identity: str) -> None:
    talk = assistant(ToolCall(identity, "f")), user(ToolResult(identity, (Text("1"),)))
    for short in (False, True):
        (call, result), _ = said(*talk, short_tool_ids=short)
        fitted = call["tool_calls"][0]["id"]
        assert fitted == result["tool_call_id"]
        assert len(fitted) == 9 if short else len(fitted) <= 40


def test_long_names_of_tools_are_taken_back_for_the_client() -> None:
    name = "mcp.server/" + "x" * 70
    request = Request("m", (assistant(ToolCall("a", name)),), (Tool(name),), ToolChoice("named", name))
    body, _ = write(request)
    sent = body["tools"][0]["function"]["name"]
    assert len(sent) <= 64
    assert body["messages"][0]["tool_calls"][0]["function"]["name"] == sent
    assert body["tool_choice"]["function"]["name"] == sent
    answer = openai_chat.decode_answer(
        {"choices": [{"message": {"tool_calls": [{"id": "a", "function": {"name": sent}}]}}]}
    )
    message = openai_chat.encode_answer(answer, Context(request=request))["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == name


FOREIGN = Thinking("because", "SIG", "anthropic")


@pytest.mark.parametrize(
    ("part", "form", "message"),
    [
        (Thinking("because"), "content", {"reasoning_content": "because"}),
        (Thinking("because"), "effort", None),
        (FOREIGN, "content", None),
        (FOREIGN, "", None),
    ],
)
def test_thinking_of_earlier_turns(part: Thinking, form: str, message: dict[str, str] | None) -> None:
    (written, _), warnings = said(assistant(part, Text("so")), user(Text("and?")), reasoning=form)
    assert {"role": "assistant", "content": "so", **(message or {})} == written
    assert bool(warnings) is (message is None)


def test_deepseek_wants_the_member_on_every_tool_turn() -> None:
    (message, _), _ = said(assistant(ToolCall("a", "f")), reasoning="content")
    assert message["reasoning_content"] == ""


def test_a_tagged_signature_finds_its_origin_again() -> None:
    detail = {"type": "reasoning.text", "text": "because", "signature": "lli1.anthropic.SIG"}
    message = {"role": "assistant", "content": "so", "reasoning_content": "x", "reasoning_details": [detail]}
    assert read(messages=[message]).messages[0].parts == (FOREIGN, Text("so"))


def test_gemini_signatures_of_calls() -> None:
    google = {"google": {"thought_signature": "lli1.gemini.S"}}
    call = {
        "id": "a",
        "type": "function",
        "function": {"name": "f", "arguments": ""},
        "extra_content": google,
    }
    request = read(messages=[{"role": "assistant", "tool_calls": [call]}])
    assert request.messages[0].parts == (ToolCall("a", "f", "{}", "S", "gemini"),)
    google["google"]["thought_signature"] = "T"
    own = read(messages=[{"role": "assistant", "tool_calls": [call]}])
    assert own.messages[0].parts == (ToolCall("a", "f", "{}", "T", NAME),)
    assert write(own)[0]["messages"][0]["tool_calls"][0]["extra_content"] == google


CHOICES: list[tuple[Any, ToolChoice]] = [
    ("auto", ToolChoice()),
    ("required", ToolChoice("required")),
    ("none", ToolChoice("none")),
    ({"type": "function", "function": {"name": "f"}}, ToolChoice("named", "f")),
    (
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}},
        ToolChoice("required"),
    ),
]


@pytest.mark.parametrize(("raw", "choice"), CHOICES)
def test_tool_choice(raw: Any, choice: ToolChoice) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    request = read(tools=tools, tool_choice=raw)
    assert request.tool_choice == choice
    assert write(request)[0]["tool_choice"] == raw


def test_custom_tools_and_calls() -> None:
    inner = {"name": "f", "description": "d", "format": {"type": "text"}}
    call = {"id": "a", "type": "custom", "custom": {"name": "f", "input": "free text"}}
    body = {
        "tools": [{"type": "custom", "custom": inner}],
        "tool_choice": {"type": "custom", "custom": {"name": "f"}},
        "messages": [{"role": "assistant", "content": None, "tool_calls": [call]}],
    }
    request = read(**body)
    assert isinstance(request.tools[0], Tool)
    assert request.tools[0].schema is None
    assert request.messages[0].parts == (ToolCall("a", "f", "free text", custom=True),)
    assert write(request)[0] == {"model": "m", **body}


def test_no_choice_without_tools() -> None:
    tools = (OpaqueTool("anthropic", "web_search_20250305", {}),)
    body, warnings = write(Request("m", (user(Text("hi")),), tools, ToolChoice("required", parallel=False)))
    assert body.keys() == {"model", "messages"}
    assert warnings == ["tools.web_search_20250305: run by the provider of anthropic, dropped"]


REASONING: list[tuple[Reasoning, str, dict[str, Any]]] = [
    (Reasoning(effort="high"), "effort", {"reasoning_effort": "high"}),
    (Reasoning(True, budget=31_999), "effort", {"reasoning_effort": "high"}),
    (Reasoning(True, budget=2_000), "effort", {"reasoning_effort": "low"}),
    (Reasoning(adaptive=True), "effort", {"reasoning_effort": "medium"}),
    (Reasoning(effort="high"), "none", {}),
    (Reasoning(False), "none", {}),
    (Reasoning(True, budget=8_000), "", {}),
    (Reasoning(effort="low"), "", {"reasoning_effort": "low"}),
    (
        Reasoning(effort="high", visible=False),
        "openrouter",
        {"reasoning": {"effort": "high", "exclude": True}},
    ),
    (Reasoning(True, budget=8_000), "openrouter", {"reasoning": {"max_tokens": 8_000}}),
    (Reasoning(False), "openrouter", {"reasoning": {"enabled": False}}),
    (Reasoning(True), "content", {"thinking": {"type": "enabled"}}),
    (Reasoning(False), "content", {"thinking": {"type": "disabled"}}),
    (Reasoning(effort="max"), "content", {"reasoning_effort": "max"}),
]


@pytest.mark.parametrize(("wanted", "form", "members"), REASONING)
def test_reasoning_in_the_form_of_the_target(wanted: Reasoning, form: str, members: dict[str, Any]) -> None:
    body, _ = write(Request("m", (user(Text("hi")),), reasoning=wanted), reasoning=form)
    assert {name: body[name] for name in body.keys() - {"model", "messages"}} == members


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"reasoning_effort": "low"}, Reasoning(effort="low")),
        ({"reasoning_effort": "none"}, Reasoning(False, "none")),
        ({"reasoning": {"max_tokens": 9, "exclude": True}}, Reasoning(budget=9, visible=False)),
        ({"reasoning": {"enabled": True, "new": 1}}, Reasoning(True)),
        ({"thinking": {"type": "enabled", "clear_thinking": False}}, Reasoning(True)),
    ],
)
def test_reasoning_is_read_and_written_again(body: dict[str, Any], wanted: Reasoning) -> None:
    request = read(**body)
    assert request.reasoning == wanted
    assert write(request)[0] == {"model": "m", "messages": [], **body}


@pytest.mark.parametrize(
    ("body", "form", "name"),
    [
        ({"max_tokens": 9}, "effort", "max_completion_tokens"),
        ({"max_tokens": 9}, "content", "max_tokens"),
        ({"max_completion_tokens": 9}, "", "max_completion_tokens"),
        ({"max_completion_tokens": 9}, "content", "max_tokens"),
    ],
)
def test_the_name_of_the_limit(body: dict[str, int], form: str, name: str) -> None:
    assert write(read(**body), reasoning=form)[0][name] == 9


def test_sampling_is_kept_dropped_and_limited() -> None:
    sampling = Sampling(9_000, 0.5, 0.9, 40, ("a", "b", "c", "d", "e"), 1, 0.1, 0.2, 1, True, 3)
    body, warnings = write(
        Request("m", (), sampling=sampling), rejects=frozenset({"temperature"}), max_output=4_096
    )
    assert body["stop"] == ["a", "b", "c", "d"]
    assert body["max_tokens"] == 4_096
    assert body["top_k"] == 40
    assert (body["logprobs"], body["top_logprobs"], body["n"], body["seed"]) == (True, 3, 1, 1)
    assert [warning.partition(":")[0] for warning in warnings] == ["temperature", "max_tokens", "stop"]
    assert write(Request("m", (), sampling=sampling), reasoning="effort")[1][0].startswith("top_k")


FORMATS: list[tuple[dict[str, Any], Format]] = [
    ({"type": "json_object"}, Format("json")),
    ({"type": "text"}, Format("text")),
    (
        {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}},
        Format("schema", {"type": "object"}, "n", strict=True),
    ),
]


@pytest.mark.parametrize(("raw", "form"), FORMATS)
def test_structured_output(raw: dict[str, Any], form: Format) -> None:
    assert read(response_format=raw).format == form
    assert write(read(response_format=raw))[0]["response_format"] == raw


def test_unknown_members_survive() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi", "new": 1}], "x": 2},
            {"role": "assistant", "content": "no", "prefix": True, "refusal": "I will not"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}, "y": 3}, "z": 4}],
        "logit_bias": {"1": 2},
        "provider": {"order": ["a"]},
        "verbosity": "low",
        "prompt_cache_key": "k",
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "user": "u",
        "response_format": {"type": "grammar", "grammar": "g"},
    }
    assert write(openai_chat.decode_request(body, "", False)) == (body, [])


def test_streams_always_ask_for_usage() -> None:
    assert write(read(stream=True))[0]["stream_options"] == {"include_usage": True}
    assert "stream_options" not in write(read(stream=True), rejects=frozenset({"stream_options"}))[0]
    assert read(stream=True, stream_options={"include_usage": True}).include_usage


def test_cache_marks_are_for_openrouter() -> None:
    system = Message("system", (Text("long", cache=Cache("1h")),))
    (message,), warnings = said(system, reasoning="openrouter")
    assert message["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert not warnings
    (message,), warnings = said(system)
    assert message["content"] == "long"
    assert warnings == ["cache_control: chat completions have no cache breakpoints"]


def test_what_other_dialects_know_is_warned_of() -> None:
    request = Request(
        "m",
        (
            user(
                Opaque("anthropic", {"type": "search_result"}, "found it"), Media("document", url="https://x")
            ),
        ),
        extras={"anthropic": {"context_management": {"edits": []}, "betas": ["a"]}},
        service_tier="standard_only",
        metadata={"user_id": "x" * 600},
        user="u" * 100,
    )
    body, warnings = write(request)
    said = [item["text"] for item in body["messages"][0]["content"]]
    assert said == ["found it", "[document left out: https://x]"]
    assert len(body["user"]) <= 64
    assert [warning.partition(":")[0] for warning in warnings] == [
        "search_result",
        "document",
        "service_tier",
        "metadata.user_id",
        "context_management",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "alien"}]}, "messages[0].role"),
    ],
)
def test_what_cannot_be_read(body: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as raised:
        openai_chat.decode_request(body, "m", False)
    assert raised.value.field == field


def test_several_answers_in_a_stream_are_refused() -> None:
    with pytest.raises(Untranslatable):
        write(read(n=2, stream=True))


def test_models_without_images_and_developers() -> None:
    messages, warnings = said(
        Message("developer", (Text("be brief"),)),
        user(Media("image", "image/png", PIXEL)),
        images=False,
        reasoning="none",
    )
    assert messages[0]["role"] == "system"
    assert "left out" in str(messages[1]["content"])
    assert len(warnings) == 1
