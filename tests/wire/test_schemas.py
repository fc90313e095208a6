"""Schemas of tools, as MCP servers and frameworks really write them, for targets that are choosy."""

from typing import Any

import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context
from llm_intercept.wire.ir import Message, Request, Text, Tool

ITEM = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Item"}}}
EMPTY = {"type": "object", "properties": {}}
ONE_OF_TWO = {
    "anyOf": [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "properties": {"b": {"type": "string"}}},
    ]
}
BOTH = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}


def sent(target: str, schema: dict[str, Any]) -> tuple[Any, list[str]]:
    request = Request("m", (Message("user", (Text("q"),)),), (Tool("f", "does", schema),))
    context = Context()
    body = codecs.get(target).encode_request(request, context).body
    tool = body["toolConfig"]["tools"][0]["toolSpec"] if "toolConfig" in body else body["tools"][0]
    tool = tool.get("function", tool)
    found = tool.get("parameters") or tool.get("input_schema") or tool.get("inputSchema", {}).get("json")
    return found, context.warnings


@pytest.mark.parametrize("target", ["openai_chat", "openai_responses", "ollama"])
@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({}, EMPTY),
        ({"type": "object"}, EMPTY),  # «object schema missing properties»
        ({"properties": {"a": {"type": "string"}}}, {**EMPTY, "properties": {"a": {"type": "string"}}}),
        (
            {"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": ["array", "null"]}}},
            {
                "type": "object",
                "properties": {
                    "a": {"type": "array", "items": {}},
                    "b": {"type": ["array", "null"], "items": {}},
                },
            },
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"anyOf": [{"type": "array", "items": {"type": "array"}}]}},
            },
            {
                "type": "object",
                "properties": {"a": {"anyOf": [{"type": "array", "items": {"type": "array", "items": {}}}]}},
            },
        ),
        ({**EMPTY, "properties": {"a": True}}, {**EMPTY, "properties": {"a": {}}}),
        (
            {"$ref": "#/$defs/Item", "$defs": {"Item": ITEM}},
            {**ITEM, "$defs": {"Item": ITEM}},
        ),
        (ONE_OF_TWO, BOTH),
        (
            {**EMPTY, "properties": {"array": {"type": "string", "enum": ["array"], "default": True}}},
            {**EMPTY, "properties": {"array": {"type": "string", "enum": ["array"], "default": True}}},
        ),
    ],
)
def test_openai_gets_all_that_it_insists_on(target: str, schema: dict[str, Any], written: Any) -> None:
    assert sent(target, schema)[0] == written


@pytest.mark.parametrize("target", ["anthropic", "bedrock_converse", "openai_chat", "openai_responses"])
def test_alternatives_at_the_root_are_merged_and_said(target: str) -> None:
    assert sent(target, ONE_OF_TWO) == (
        BOTH,
        ["tools: alternatives at the root of the schema of f were merged"],
    )
    all_of = {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"required": ["b"]}], "required": ["c"]}
    assert sent(target, all_of)[0]["required"] == ["c", "a", "b"]


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": 3, "required": True},
        {"allOf": [{"properties": ["x"], "required": [{}]}, 4]},
        {"$ref": 7},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$ref": "#/$defs/a", "$defs": []},
        {"$ref": "https://example.com/schema.json"},
        {"type": ["object", "null"]},
    ],
)
@pytest.mark.parametrize(
    "target", ["anthropic", "bedrock_converse", "openai_chat", "openai_responses", "ollama"]
)
def test_nonsense_is_still_an_object(target: str, schema: dict[str, Any]) -> None:
    assert sent(target, schema)[0]["type"] == "object"


@pytest.mark.parametrize("target", ["openai_chat", "openai_responses"])
def test_a_client_of_the_same_dialect_is_taken_at_its_word(target: str) -> None:
    codec = codecs.get(target)
    inner = {"name": "f", "parameters": {"type": "object"}}
    tool = (
        {"type": "function", "function": inner} if target == "openai_chat" else {"type": "function", **inner}
    )
    body = {"model": "m", "messages": [], "input": "q", "tools": [tool]}
    request = codec.decode_request(body, "m", False)
    assert codec.encode_request(request, Context()).body["tools"] == [tool]
