"""Which schemas of answers Claude can be held to, and what becomes of the others."""

from typing import Any

import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context, Target
from llm_intercept.wire.families.structured import fits, is_strict
from llm_intercept.wire.ir import Format, Message, Request, Text

TEXT = {"type": "string"}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
PLAIN = {"type": "object", "properties": {"a": TEXT, "b": {"$ref": "#/$defs/E"}, "c": {"$ref": "#/$defs/E"}}}
MAP = {"type": "object", "properties": {"by_name": {"type": "object", "additionalProperties": TEXT}}}
SCHEMAS: list[tuple[dict[str, Any], bool]] = [
    ({**PLAIN, "$defs": {"E": {"enum": ["x"]}}}, True),
    ({**NODE, "$defs": {"Node": TEXT}}, True),
    ({"type": "object", "properties": {}, "additionalProperties": False}, True),
    ({"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}, False),  # a circle
    (MAP, False),
    ({"type": "array", "items": {"anyOf": [TEXT, MAP]}}, False),
    ({"type": "object"}, False),
    ({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {}}}}, False),
]


@pytest.mark.parametrize(("schema", "whole"), SCHEMAS)
def test_a_schema_that_closing_would_change_does_not_fit(schema: dict[str, Any], whole: bool) -> None:
    assert fits(schema) is whole


@pytest.mark.parametrize(("schema", "whole"), SCHEMAS)
@pytest.mark.parametrize("target", ["anthropic", "bedrock_converse"])
def test_the_others_are_a_tool_s(target: str, schema: dict[str, Any], whole: bool) -> None:
    """Closed, a map of names to values could only be empty: tools take schemas as they are."""
    asked = Request("m", (Message("user", (Text("q"),)),), format=Format("schema", schema, "shape"))
    facts = Target(model="anthropic.claude-sonnet-4-5", structured=True)
    body = codecs.get(target).encode_request(asked, Context(target=facts)).body
    config = body.get("output_config") or body.get("outputConfig")
    assert bool(config) is whole
    assert bool(body.get("tools") or body.get("toolConfig")) is not whole


def test_an_empty_message_is_an_empty_text_for_openai_responses() -> None:
    talk = Message("user", ()), Message("user", (Text("q"),))
    body = codecs.get("openai_responses").encode_request(Request("m", talk), Context()).body
    assert [item["content"] for item in body["input"]] == ["", "q"]


SHUT = {"type": "object", "properties": {"a": TEXT}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SHUT, True),
        ({**SHUT, "properties": {"a": {"type": "array", "items": SHUT}}}, True),
        (
            {
                **SHUT,
                "properties": {"a": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/S"}]}},
                "$defs": {"S": SHUT},
            },
            True,
        ),
        ({**SHUT, "required": []}, False),
        ({**SHUT, "additionalProperties": True}, False),
        ({**SHUT, "properties": {"a": {**TEXT, "minLength": 1}}}, False),
        ({**SHUT, "properties": {"a": {}}}, False),
        ({**SHUT, "properties": {"a": {"type": "array"}}}, False),
        ({**SHUT, "required": [{}]}, False),
        (TEXT, False),
        (None, False),
    ],
)
@pytest.mark.parametrize("target", ["openai_chat", "openai_responses"])
def test_what_other_dialects_promise_openai_promises_too(target: str, schema: Any, strict: bool) -> None:
    """Anthropic, Gemini and Ollama keep to a schema without a word more; OpenAI only where it is strict."""
    assert is_strict(schema) is strict
    asked = Request("m", (Message("user", (Text("q"),)),), format=Format("schema", schema, "shape"))
    body = codecs.get(target).encode_request(asked, Context()).body
    form = body["response_format"]["json_schema"] if target == "openai_chat" else body["text"]["format"]
    assert form.get("strict", False) is strict
