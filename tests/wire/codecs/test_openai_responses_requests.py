"""Requests: what each field becomes, what comes back to the same dialect, what is refused or noted."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.codecs import openai_responses as codec
from llm_intercept.wire.ir import (
    Cache,
    Format,
    Media,
    Message,
    Opaque,
    OpaqueTool,
    Reasoning,
    RefusalText,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

CAPTURES = Path(__file__).resolve().parents[4] / "shared" / "captures"
OWN = codec.NAME


def decode(**body: Any) -> Request:
    return codec.decode_request({"model": "gpt-5.2", "input": "hi", **body}, "", False)


def encode(request: Request, **target: Any) -> tuple[dict[str, Any], list[str]]:
    context = Context(target=Target(**target))
    return json.loads(json.dumps(codec.encode_request(request, context).body)), context.warnings


def foreign(*messages: Message, **members: Any) -> Request:
    return Request("gpt-5.2", messages or (Message("user", (Text("hi"),)),), **members)


def items(*found: dict[str, Any]) -> tuple[Message, ...]:
    return decode(input=list(found)).messages


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a": 1.0}'}
PNG = "data:image/png;base64,iVBO"

CONTENTS = [
    ({"type": "input_text", "text": "a"}, Text("a")),
    (
        {"type": "input_image", "image_url": PNG, "detail": "low"},
        Media("image", "image/png", "iVBO", detail="low"),
    ),
    ({"type": "input_image", "image_url": "https://x/y.png"}, Media("image", url="https://x/y.png")),
    ({"type": "input_image", "file_id": "file-1"}, Media("image", file_id="file-1")),
    ({"type": "input_file", "file_url": "https://x/y.pdf"}, Media("document", url="https://x/y.pdf")),
    (
        {"type": "input_file", "filename": "y.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        Media("document", "application/pdf", "JVBE", name="y.pdf"),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
        Media("audio", "audio/mpeg", "QQ==", extras={OWN: {"@audio": True}}),
    ),
    (
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        Text(
            "a",
            cache=Cache("1h"),
            extras={OWN: {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}},
        ),
    ),
    ({"type": "input_hologram", "x": 1}, Opaque(OWN, {"type": "input_hologram", "x": 1})),
]


@pytest.mark.parametrize(
    ("raw", "part"), CONTENTS, ids=lambda v: v.get("type") if isinstance(v, dict) else ""
)
def test_contents_both_ways(raw: dict[str, Any], part: Any):
    for told in (
        {"role": "user", "content": [raw, raw]},
        {**CALL, "type": "function_call_output", "output": [raw, raw]},
    ):
        request = decode(input=[told])
        found = request.messages[0].parts
        assert (found[0].parts if isinstance(found[0], ToolResult) else found) == (part, part)
        written = encode(request)[0]["input"][0]
        assert written.get("content", written.get("output")) == [raw, raw]


def test_string_input_is_a_user_message():
    assert decode().messages == (Message("user", (Text("hi"),)),)


def test_instructions_come_first_and_go_back():
    request = decode(instructions="Be terse.", input=[{"role": "developer", "content": "d"}])
    assert [(m.role, m.parts[0]) for m in request.messages] == [
        ("system", Text("Be terse.")),
        ("developer", Text("d")),
    ]
    body, _ = encode(request)
    assert body["instructions"] == "Be terse."
    assert body["input"] == [{"role": "developer", "content": "d"}]


def test_an_assistants_items_are_one_turn_and_results_another():
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    said = {"type": "message", "role": "assistant", "id": "msg_1", "phase": "commentary"}
    said["content"] = [{"type": "output_text", "text": "one", "annotations": []}]
    second = {**CALL, "id": "fc_2", "call_id": "call_2", "arguments": ""}
    outputs = [
        {"type": "function_call_output", "call_id": "call_1", "output": "1"},
        {"type": "function_call_output", "call_id": "call_2", "output": ""},
    ]
    turns = items(reasoning, said, CALL, second, *outputs, {"role": "user", "content": "go on"})
    assert [(turn.role, len(turn.parts)) for turn in turns] == [("assistant", 4), ("user", 2), ("user", 1)]
    thinking, text, first, empty = turns[0].parts
    assert isinstance(thinking, Thinking)
    assert (thinking.signature, thinking.origin, thinking.redacted, thinking.id) == (
        "gAAA",
        OWN,
        True,
        "rs_1",
    )
    assert text == Text("one", extras={OWN: {"@item": {"id": "msg_1", "phase": "commentary"}}})
    assert first == ToolCall("call_1", "f", '{"a": 1.0}', extras={OWN: {"id": "fc_1"}})
    assert isinstance(empty, ToolCall)
    assert empty.arguments == "{}"
    assert turns[1].parts == (ToolResult("call_1", (Text("1"),)), ToolResult("call_2"))


def test_messages_keep_their_boundaries():
    said = [{"role": "assistant", "content": text} for text in ("a", "b")]
    assert encode(decode(input=said))[0]["input"] == said


def test_summary_sections_are_one_text_and_several_again():
    sections = [{"type": "summary_text", "text": text} for text in ("**A**\n\na", "**B**\n\nb")]
    raw = {"type": "reasoning", "id": "rs_1", "summary": sections, "encrypted_content": "gAAA"}
    request = decode(input=[raw])
    (part,) = request.messages[0].parts
    assert isinstance(part, Thinking)
    assert (part.text, part.summary, part.redacted) == ("**A**\n\na\n\n**B**\n\nb", True, False)
    assert encode(request)[0]["input"] == [raw]


def test_reasoning_beside_its_summary_is_a_second_part():
    raw = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}]}
    raw |= {"content": [{"type": "reasoning_text", "text": "t"}], "encrypted_content": "gAAA"}
    request = decode(input=[raw])
    first, second = request.messages[0].parts
    assert isinstance(first, Thinking)
    assert isinstance(second, Thinking)
    assert (first.text, first.summary, first.signature) == ("s", True, "")
    assert (second.text, second.summary, second.signature) == ("t", False, "gAAA")
    assert encode(request)[0]["input"] == [raw]


def test_custom_calls_are_text():
    call = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** Begin"}
    output = {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}
    request = decode(input=[call, output])
    assert request.messages[0].parts == (ToolCall("c", "patch", "*** Begin", custom=True),)
    assert request.messages[1].parts == (ToolResult("c", (Text("ok"),), custom=True),)
    assert encode(request)[0]["input"] == [call, output]


@pytest.mark.parametrize(
    ("raw", "role"),
    [
        ({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}, "assistant"),
        ({"type": "mcp_call", "id": "mcp_1", "name": "n", "arguments": "{}", "output": "x"}, "assistant"),
        ({"type": "local_shell_call_output", "id": "l", "output": "done"}, "user"),
        ({"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}, "user"),
        ({"type": "additional_tools", "role": "developer", "tools": []}, "developer"),
    ],
    ids=lambda v: v["type"] if isinstance(v, dict) else v,
)
def test_items_without_a_word_stay_as_they_are(raw: dict[str, Any], role: str):
    request = decode(input=[raw, {"role": "user", "content": "x"}])
    assert request.messages[0].role == role
    assert request.messages[0].parts == (Opaque(OWN, raw, raw.get("output", "")),)
    assert encode(request)[0]["input"][0] == raw


def test_unknown_members_survive_everywhere():
    tool = {
        "type": "function",
        "name": "f",
        "parameters": {"type": "object"},
        "strict": True,
        "defer_loading": True,
    }
    custom = {
        "type": "custom",
        "name": "patch",
        "description": "d",
        "format": {"type": "grammar", "syntax": "lark"},
    }
    hosted = {"type": "mcp", "server_label": "docs", "server_url": "https://x"}
    message = {
        "type": "message",
        "role": "user",
        "id": "msg_u",
        "content": [{"type": "input_text", "text": "x", "new": 1}],
    }
    body = {
        "model": "gpt-5.2",
        "instructions": "i",
        "input": [message, {**CALL, "caller": {"type": "direct"}}],
        "tools": [tool, custom, hosted],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "f"}],
        },
        "parallel_tool_calls": False,
        "reasoning": {"effort": "xhigh", "summary": "detailed", "context": "all_turns"},
        "text": {"format": {"type": "json_object"}, "verbosity": "low", "new": 2},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 5,
        "truncation": "auto",
        "store": False,
        "previous_response_id": "resp_0",
        "prompt_cache_key": "k" * 80,
        "safety_identifier": "s",
        "service_tier": "flex",
        "metadata": {"a": "b"},
        "stream": True,
        "client_metadata": {"x": "y"},
    }
    written, warnings = encode(codec.decode_request(body, "", False), rejects=frozenset())
    assert written == body
    assert warnings == []


def test_controls_are_read():
    request = decode(
        reasoning={"effort": "none", "summary": None},
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
        include=["message.output_text.logprobs"],
        top_logprobs=3,
        temperature=0,
        user="u",
        safety_identifier="s",
        stream=True,
    )
    assert request.reasoning == Reasoning(enabled=False, effort="none")
    assert request.format == Format("schema", {"type": "object"}, "n", strict=True)
    assert request.sampling == Sampling(temperature=0, logprobs=True, top_logprobs=3)
    assert (request.user, request.stream) == ("u", True)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", ToolChoice("auto")),
        ("required", ToolChoice("required")),
        ("none", ToolChoice("none")),
        ({"type": "function", "name": "f"}, ToolChoice("named", "f")),
        ({"type": "custom", "name": "patch"}, ToolChoice("named", "patch")),
        ({"type": "web_search_preview"}, ToolChoice("auto")),
        ({"type": "mcp", "server_label": "docs"}, ToolChoice("auto")),
    ],
    ids=str,
)
def test_tool_choice_both_ways(choice: Any, told: ToolChoice):
    tools = [
        {"type": "function", "name": "f"},
        {"type": "custom", "name": "patch"},
        {"type": "web_search_preview"},
    ]
    request = decode(tools=tools, tool_choice=choice)
    assert request.tool_choice == told
    assert encode(request)[0]["tool_choice"] == choice


def test_allowed_tools_leave_the_others_out_elsewhere():
    tools = [{"type": "function", "name": name} for name in ("f", "g")] + [{"type": "web_search"}]
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    request = decode(tools=tools, tool_choice=allowed)
    assert [tool.name for tool in request.tools if isinstance(tool, Tool)] == ["g"]
    assert len(request.tools) == 1
    assert request.tool_choice == ToolChoice("required")
    body, _ = encode(request)
    assert [tool.get("name") for tool in body["tools"]] == ["f", "g", None]
    assert body["tool_choice"] == allowed


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        (
            {"input": [{"role": "user", "content": "x"}, {"type": "item_reference", "id": "msg_1"}]},
            "input[1]",
        ),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_the_provider_keeps_is_refused_elsewhere_only(body: dict[str, Any], field: str):
    with pytest.raises(Untranslatable) as caught:
        codec.check_translatable(body)
    assert caught.value.field == field
    written, _ = encode(decode(**body))
    name = field.partition("[")[0]
    assert written[name] == body[name]


def test_ordinary_requests_can_be_translated():
    codec.check_translatable(
        {"background": False, "previous_response_id": None, "input": "hi", "store": True}
    )


class TestForeign:
    """Requests of other dialects' clients."""

    def test_leading_system_texts_are_the_instructions(self):
        request = foreign(
            Message("system", (Text("a"), Text("b"))),
            Message("system", (Text("c"),)),
            Message("user", (Text("hi"),)),
            Message("system", (Text("late"),)),
            Message("user", (Text("go"),)),
        )
        body, warnings = encode(request)
        assert body["instructions"] == "a\n\nb\n\nc"
        assert [item["role"] for item in body["input"]] == ["user", "system", "user"]
        assert (body["store"], warnings) == (False, [])

    def test_system_alone_is_a_message(self):
        body, _ = encode(foreign(Message("system", (Text("a"),))))
        assert "instructions" not in body
        assert body["input"] == [{"role": "system", "content": "a"}]

    def test_results_and_texts_of_one_turn_keep_their_order(self):
        image = Media("image", "image/png", "iVBO")
        turn = Message(
            "user", (ToolResult("t1", (Text("a"), image)), ToolResult("t2", (Text("b"),)), Text("now"))
        )
        called = Message("assistant", (ToolCall("t1", "f"), ToolCall("t2", "f")))
        body, _ = encode(foreign(called, turn))
        assert body["input"][2:] == [
            {
                "type": "function_call_output",
                "call_id": "t1",
                "output": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": PNG}],
            },
            {"type": "function_call_output", "call_id": "t2", "output": "b"},
            {"role": "user", "content": "now"},
        ]

    def test_long_ids_are_fitted_alike_for_call_and_result(self):
        long = "x" * 900
        turns = Message("assistant", (ToolCall(long, "f"),)), Message("user", (ToolResult(long),))
        call, output = encode(foreign(*turns))[0]["input"]
        assert call["call_id"] == output["call_id"]
        assert len(call["call_id"]) <= 64

    def test_foreign_thinking_is_dropped_and_noted(self):
        said = Message("assistant", (Thinking("hm", "sig", "anthropic"), Text("hi")))
        body, warnings = encode(foreign(said, Message("user", (Text("x"),))))
        assert body["input"][0] == {"role": "assistant", "content": "hi"}
        assert warnings == ["thinking: of anthropic, not known to OpenAI responses"]

    def test_own_thinking_comes_home_through_another_dialect(self):
        parts = (Thinking("sum", "gAAA", OWN), Thinking("", "gBBB", OWN, redacted=True), ToolCall("c", "f"))
        body, warnings = encode(foreign(Message("assistant", parts), Message("user", (ToolResult("c"),))))
        assert body["input"][:2] == [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "sum"}],
                "encrypted_content": "gAAA",
            },
            {"type": "reasoning", "summary": [], "encrypted_content": "gBBB"},
        ]
        assert warnings == []

    def test_what_is_not_known_is_noted(self):
        request = foreign(
            Message("user", (Text("a", cache=Cache()), Opaque("anthropic", {"type": "search_result"}))),
            Message("assistant", (Text("b", ({"cited": 1},), extras={"anthropic": {}}),)),
            sampling=Sampling(top_k=1, seed=2, stop=("x",), max_tokens=1, temperature=0.5),
            tools=(OpaqueTool("anthropic", "web_search", {}), Tool("f")),
            service_tier="batch",
            metadata={"a": "b", "c": 1},
            extras={"anthropic": {"context_management": {"edits": [1]}, "thinking": None}},
        )
        body, warnings = encode(request, model="o3", rejects=frozenset(("temperature",)))
        assert {warning.partition(":")[0] for warning in warnings} == {
            "cache_control", "search_result", "citations", "top_k", "seed", "stop", "max_tokens",
            "temperature", "tools", "service_tier", "metadata", "context_management", "messages",
        }  # fmt: skip
        assert body["max_output_tokens"] == 16
        assert "temperature" not in body
        assert body["metadata"] == {"a": "b"}
        assert body["tools"] == [
            {
                "type": "function",
                "name": "f",
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            }
        ]

    def test_several_answers_are_refused(self):
        with pytest.raises(Untranslatable, match="n: "):
            encode(foreign(sampling=Sampling(n=2)))

    def test_long_users_and_keys_are_shortened(self):
        body, _ = encode(foreign(user="u" * 200, cache_key="k" * 65))
        assert len(body["user"]) <= 64
        assert len(body["prompt_cache_key"]) <= 64

    @pytest.mark.parametrize(
        ("asked", "model", "told", "noted"),
        [
            (Reasoning(enabled=True, budget=2_000), "gpt-5.2", {"effort": "low", "summary": "auto"}, False),
            (Reasoning(enabled=True, budget=31_999), "gpt-5.2", {"effort": "high", "summary": "auto"}, False),
            (Reasoning(enabled=True, adaptive=True), "gpt-6", {"effort": "medium", "summary": "auto"}, False),
            (Reasoning(effort="max"), "openai/gpt-5.2", {"effort": "xhigh"}, True),
            (Reasoning(effort="max"), "gpt-5.6-terra", {"effort": "max"}, False),
            (Reasoning(effort="minimal"), "gpt-5-mini", {"effort": "minimal"}, False),
            (Reasoning(effort="minimal"), "gpt-5.1", {"effort": "low"}, True),
            (Reasoning(effort="low"), "gpt-5-pro", {"effort": "high"}, True),
            (Reasoning(enabled=False), "gpt-5.1", {"effort": "none"}, False),
            (Reasoning(enabled=False), "gpt-5", {"effort": "minimal"}, True),
            (Reasoning(enabled=False), "o4-mini", None, True),
            (Reasoning(effort="high", visible=False), "o3", {"effort": "high"}, False),
            (Reasoning(effort="high", visible=True), "o3", {"effort": "high", "summary": "auto"}, False),
        ],
        ids=str,
    )  # fmt: skip
    def test_reasoning_in_the_models_own_words(self, asked: Reasoning, model: str, told: Any, noted: bool):
        body, warnings = encode(foreign(reasoning=asked), model=model, reasoning="effort")
        assert body.get("reasoning") == told
        assert bool(warnings) is noted

    def test_models_that_do_not_reason_are_not_asked_to(self):
        body, warnings = encode(foreign(reasoning=Reasoning(effort="high")), model="gpt-4o", reasoning="none")
        assert not {"reasoning", "include"} & set(body)
        assert warnings == ["reasoning: gpt-4o does not reason"]

    def test_formats(self):
        schema = Format("schema", {"type": "object"}, "a name!", strict=True)
        text = encode(foreign(format=schema, verbosity="low"))[0]["text"]
        assert text["verbosity"] == "low"
        assert text["format"]["schema"] == {"type": "object"}
        assert text["format"]["strict"] is True
        assert set(text["format"]["name"]) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
        )
        assert encode(foreign(format=Format("json")))[0]["text"] == {"format": {"type": "json_object"}}

    @pytest.mark.parametrize(
        ("part", "raw"),
        [
            (Media("document", text="words", name="a.txt"), {"type": "input_text", "text": "a.txt\n\nwords"}),
            (
                Media("document", "application/pdf", "JVBE"),
                {
                    "type": "input_file",
                    "filename": "document.pdf",
                    "file_data": "data:application/pdf;base64,JVBE",
                },
            ),
            (RefusalText("no"), {"type": "input_text", "text": "no"}),
            (
                Opaque("gemini", {"executableCode": {}}, "print(1)"),
                {"type": "input_text", "text": "print(1)"},
            ),
        ],
        ids=lambda v: type(v).__name__,
    )
    def test_parts_of_users(self, part: Any, raw: dict[str, Any]):
        assert encode(foreign(Message("user", (part, Text("?")))))[0]["input"][0]["content"][0] == raw

    def test_models_without_eyes_get_no_pictures(self):
        request = foreign(Message("user", (Media("image", url="https://x"), Text("?"))))
        body, warnings = encode(request, images=False)
        assert [item["text"] for item in body["input"][0]["content"]] == ["[image left out: https://x]", "?"]
        assert warnings == ["image: not taken by the model"]


JUNK = [
    {},
    {"input": None, "tools": None, "text": None, "reasoning": None, "metadata": None},
    {"input": [None, 1, "x", {}, {"type": None}, {"role": 7, "content": 3}, {"type": "message"}]},
    {"input": [{"type": "reasoning"}, {"type": "function_call"}, {"type": "function_call_output"}]},
    {"input": [{"type": "reasoning", "summary": "x", "content": [1], "encrypted_content": 5}]},
    {
        "input": [
            {"role": "user", "content": [{"type": "input_image"}, {"type": "input_file"}, {"type": 5}, 7]}
        ]
    },
    {
        "tools": [
            {},
            {"type": "namespace"},
            {"type": "namespace", "name": "n", "tools": [{}, 3]},
            {"type": "function"},
        ]
    },
    {"tool_choice": {"type": "allowed_tools"}, "tools": "x"},
    {"tool_choice": 5, "parallel_tool_calls": "yes", "temperature": "hot", "max_output_tokens": True},
    {"text": {"format": {"type": "grammar", "x": 1}}, "include": "all", "instructions": ["x"]},
]


@pytest.mark.parametrize("body", JUNK, ids=lambda body: json.dumps(body)[:60])
def test_nonsense_is_read_and_written(body: dict[str, Any]):
    request = codec.decode_request(body, "from-path", False)
    assert request.model == "from-path"
    again, _ = encode(request)
    assert encode(codec.decode_request(again, "", False))[0] == again


@pytest.mark.skipif(not CAPTURES.exists(), reason="no captures beside the checkout")
@pytest.mark.parametrize("name", ["codex_http_responses.json", "codex_websocket_messages.json"])
def test_codex_gets_back_what_it_sent(name: str):
    for call in json.loads((CAPTURES / name).read_text()):
        body = call.get("body") or call.get("message") or {}
        if "input" in body and "response" not in body:
            written, warnings = encode(codec.decode_request(body, "", False))
            assert written["tools"] == body["tools"]
            assert {k: v for k, v in written.items() if k != "input"} == {
                k: v for k, v in body.items() if k != "input"
            }
            assert [item["id"] for item in written["input"]] == [item["id"] for item in body["input"]]
            assert warnings == []
