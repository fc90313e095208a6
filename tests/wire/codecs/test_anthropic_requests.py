"""Requests in Anthropic's dialect: what clients write becomes, and what providers are sent."""

from typing import Any

import pytest

from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.codecs import anthropic
from llm_intercept.wire.codecs.anthropic import envelope
from llm_intercept.wire.ir import (
    Cache,
    Media,
    Message,
    Opaque,
    OpaqueTool,
    Request,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)

USER = {"role": "user", "content": "hi"}
HI = Message("user", (Text("hi"),))


def decode(**members: Any) -> Request:
    return anthropic.decode_request({"model": "m", "max_tokens": 9, "messages": [USER], **members}, "", False)


def encode(request: Request, **target: Any) -> tuple[dict[str, Any], list[str]]:
    context = Context(target=Target(**target))
    return dict(anthropic.encode_request(request, context).body), context.warnings


def ask(*messages: Message, **members: Any) -> Request:
    return Request("m", messages or (HI,), **members)


def block(**members: Any) -> Any:
    """The part that a user's block becomes; it must come back as it was."""
    request = decode(messages=[{"role": "user", "content": [members]}])
    assert encode(request)[0]["messages"] == [{"role": "user", "content": [members]}]
    return request.messages[0].parts[0]


PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "aGk="}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"type": "image", "source": PNG}, Media("image", "image/png", data="aGk=")),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x/y"}},
            Media("image", url="https://x/y"),
        ),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, Media("image", file_id="f")),
        (
            {"type": "document", "source": PDF, "title": "t"},
            Media("document", "application/pdf", data="aGk=", name="t"),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            Media("document", "text/plain", text="words"),
        ),
        (
            {"type": "document", "source": PDF, "context": "c", "citations": {"enabled": True}},
            Media(
                "document",
                "application/pdf",
                data="aGk=",
                extras={"anthropic": {"context": "c", "citations": {"enabled": True}}},
            ),
        ),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text("a", cache=Cache("1h")),
        ),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, Thinking("hm", "s", "anthropic")),
        ({"type": "redacted_thinking", "data": "d"}, Thinking("", "d", "anthropic", redacted=True)),
        (
            {"type": "container_upload", "file_id": "f"},
            Opaque("anthropic", {"type": "container_upload", "file_id": "f"}),
        ),
    ],
)
def test_blocks(raw: dict[str, Any], expected: object) -> None:
    assert block(**raw) == expected


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (
            {
                "type": "search_result",
                "title": "T",
                "source": "u",
                "content": [{"type": "text", "text": "c"}],
            },
            "T u c",
        ),
        (
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {"type": "web_search_result", "title": "T", "url": "u", "encrypted_content": "E"}
                ],
            },
            "T u",
        ),
        (
            {
                "type": "bash_code_execution_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": {"type": "bash_code_execution_result", "stdout": "out", "stderr": "err"},
            },
            "out err",
        ),
        (
            {"type": "mcp_tool_result", "tool_use_id": "i", "content": [{"type": "text", "text": "r"}]},
            "r",
        ),
        ({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}, ""),
        ({"type": "block_of_tomorrow", "anything": [1]}, ""),
    ],
)
def test_blocks_of_anthropic_alone_stay_whole_and_say_what_they_can(raw: dict[str, Any], words: str) -> None:
    part = block(**raw)
    assert isinstance(part, Opaque)
    assert part.raw == raw
    assert part.text.split() == words.split()


def test_a_document_of_blocks_is_readable_and_stays_as_it_is() -> None:
    source = {
        "type": "content",
        "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
    }
    part = block(type="document", source=source)
    assert isinstance(part, Media)
    assert part.text == "one\ntwo"


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ("plain", 1),
        ("", 0),
        ([{"type": "text", "text": "a"}, {"type": "image", "source": PNG}], 2),
        (None, 0),
    ],
)
def test_tool_results_keep_their_form(content: object, count: int) -> None:
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True}
    if content is not None:
        result["content"] = content
    turns = [
        USER,
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}],
        },
        {"role": "user", "content": [result]},
    ]
    request = decode(messages=turns)
    assert encode(request)[0]["messages"] == turns
    part = request.messages[2].parts[0]
    assert isinstance(part, ToolResult)
    assert part.is_error
    assert len(part.parts) == count


def test_arguments_keep_order_and_numbers() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"z": 1.0, "a": 2, "é": None}}
    request = decode(messages=[USER, {"role": "assistant", "content": [call]}])
    part = request.messages[1].parts[0]
    assert part == ToolCall("toolu_1", "look", '{"z":1.0,"a":2,"é":null}')
    assert encode(request)[0]["messages"][1]["content"] == [call]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"messages": "no"}, "messages"),
        ({"messages": ["no"]}, r"messages\[0\]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": 3}]}, "content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, r"content\[0\]"),
        ({"tools": [{"description": "no name"}]}, r"tools\[0\].name"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice"),
    ],
)
def test_what_cannot_be_read_is_named(members: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable, match=field):
        decode(**members)


def test_everything_at_the_top_comes_back() -> None:
    body: dict[str, Any] = {
        "model": "claude-opus-4-8",
        "max_tokens": 64000,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "scope": "global"}}],
        "messages": [USER, {"role": "system", "content": "now"}, {"role": "assistant", "content": "x"}, USER],
        "tools": [
            {"name": "f", "input_schema": {"type": "object"}, "strict": True, "defer_loading": True},
            {"name": "g", "type": "custom", "input_schema": {}, "input_examples": [{}], "description": ""},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {"type": "bash_20250124", "name": "bash"},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "output_config": {"effort": "xhigh", "task_budget": {"total": 5}},
        "context_management": {"edits": []},
        "mcp_servers": [{"type": "url", "url": "u", "name": "n"}],
        "container": "c",
        "metadata": {"user_id": "u", "more": 1},
        "service_tier": "standard_only",
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "stream": True,
        "betas": ["b"],
    }
    request = anthropic.decode_request(body, "", False)
    assert request.stream
    assert request.user == "u"
    assert request.tool_choice == ToolChoice("required", parallel=False)
    assert isinstance(request.tools[2], OpaqueTool)
    again, warnings = encode(request)
    assert again == body
    assert warnings == []


SCHEMA = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    "members",
    [
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "updates"}},
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "between_tools"}},
        {"output_config": {"effort": "low"}},
        {"output_config": {"format": SCHEMA}},
        {"output_config": {"format": {**SCHEMA, "name": "n"}}},
        {"output_format": SCHEMA},
    ],
)
def test_thinking_and_form_come_back(members: dict[str, Any]) -> None:
    body = {"model": "m", "max_tokens": 4000, "messages": [USER], **members}
    again, warnings = encode(anthropic.decode_request(body, "", False))
    assert again == body
    assert warnings == []


BODY = {"model": "m", "max_tokens": 9, "messages": [USER], "stream": True, "betas": ["b"]}


def test_envelopes() -> None:
    bedrock = envelope.for_bedrock(BODY)
    assert bedrock == {
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["b"],
        "max_tokens": 9,
        "messages": [USER],
    }
    vertex = envelope.for_vertex(BODY)
    assert vertex == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 9,
        "messages": [USER],
        "stream": True,
    }
    assert envelope.from_bedrock(bedrock, "m", True) == BODY
    assert envelope.from_vertex(vertex, "m", True) == {k: v for k, v in BODY.items() if k != "betas"}
    assert envelope.betas(BODY) == ("b",)
    assert "betas" not in envelope.for_anthropic(BODY)
    request = anthropic.decode_request(bedrock, "m", True)
    assert envelope.for_bedrock(encode(request)[0]) == bedrock


def test_max_tokens_is_supplied_and_clamped() -> None:
    assert encode(ask())[0]["max_tokens"] == 4096
    assert encode(ask(), max_output=777)[0]["max_tokens"] == 777
    body, warnings = encode(ask(sampling=Sampling(max_tokens=9000)), max_output=777)
    assert body["max_tokens"] == 777
    assert warnings == ["max_tokens: 9000 is more than the model gives; 777 asked for"]
