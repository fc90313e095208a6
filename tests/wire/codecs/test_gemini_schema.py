"""JSON Schema for Gemini: nothing that its parser refuses is left, and the SDK's own type agrees."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.wire.codecs.gemini.schema import cleaned
from llm_intercept.wire.codecs.gemini.schema_back import json_schema
from tests.wire.codecs.gemini_sdk import valid_schema


def one(schema: Any) -> Any:
    """What becomes of a property's schema."""
    return cleaned({"type": "object", "properties": {"p": schema}}).schema["properties"]["p"]


CASES: list[tuple[str, Any, Any]] = [
    ("plain", {"type": "string", "description": "d"}, {"type": "string", "description": "d"}),
    ("annotations", {"type": "string", "$comment": "c", "examples": ["a"]}, {"type": "string"}),
    ("nullable", {"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    (
        "several types",
        {"type": ["string", "number"], "description": "d", "minLength": 2},
        {"anyOf": [{"type": "string", "minLength": 2, "description": "d"}, {"type": "number"}]},
    ),
    ("const", {"const": "x"}, {"type": "string", "enum": ["x"]}),
    ("const number", {"const": 5}, {"type": "integer", "description": "Always 5."}),
    ("const boolean", {"const": True}, {"type": "boolean", "description": "Always true."}),
    ("enum", {"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
    ("enum of numbers", {"enum": [1, 2]}, {"type": "integer", "description": "One of: 1, 2."}),
    ("enum with null", {"enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
    ("enum with empty text", {"enum": ["", "a"]}, {"type": "string", "description": "One of: a."}),
    ("above", {"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
    ("above a fraction", {"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0}),
    (
        "below, draft 4",
        {"type": "integer", "maximum": 9, "exclusiveMaximum": True},
        {"type": "integer", "maximum": 8},
    ),
    ("unknown format", {"type": "string", "format": "uri"}, {"type": "string"}),
    ("known format", {"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
    ("anything", {}, {"type": "string"}),
    ("true", True, {"type": "string"}),
    ("list without items", {"type": "array"}, {"type": "array", "items": {"type": "string"}}),
    ("empty object", {"type": "object", "properties": {}}, {"type": "object"}),
    (
        "tuple",
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
    ),
    (
        "optional",
        {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "description": "d"},
        {"type": "string", "nullable": True, "description": "d"},
    ),
    (
        "oneOf",
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    ),
    (
        "allOf",
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
            ]
        },
        {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    ),
    (
        "required of nothing",
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "z"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    ),
    (
        "properties beside alternatives",
        {
            "type": "object",
            "properties": {"k": {"type": "string"}},
            "anyOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}],
        },
        {
            "anyOf": [
                {"type": "object", "properties": {"a": {"type": "string"}, "k": {"type": "string"}}},
                {"type": "object", "properties": {"b": {"type": "string"}, "k": {"type": "string"}}},
            ]
        },
    ),
    ("junk", {"type": 5, "enum": "x", "properties": None}, {"type": "object"}),
]


@pytest.mark.parametrize(("schema", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_cleaned(schema: Any, expected: Any):
    assert one(schema) == expected
    valid_schema(one(schema))


def test_properties_named_like_keywords_stay():
    schema = {"$schema": {"type": "string"}, "const": {"type": "string"}, "type": {"type": "integer"}}
    assert one({"type": "object", "properties": schema})["properties"] == schema


def test_references_are_put_in_place():
    point = {"type": "object", "properties": {"x": {"type": "integer", "exclusiveMinimum": 0}}}
    schema = {
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/P", "description": "first"},
            "b": {"items": {"$ref": "#/$defs/P"}},
        },
        "$defs": {"P": point},
    }
    found = cleaned(schema)
    inside = {"x": {"type": "integer", "minimum": 1}}
    assert found.schema["properties"]["a"] == {"type": "object", "description": "first", "properties": inside}
    assert found.schema["properties"]["b"]["items"]["properties"] == inside
    assert not found.dropped
    assert not found.cut


@pytest.mark.parametrize(
    ("reference", "cut"),
    [
        ("#", "#"),
        ("#/properties/p", "#/properties/p"),
        ("http://x/y", "http://x/y"),
        ("#/nowhere", "#/nowhere"),
    ],
)
def test_references_that_lead_nowhere_or_in_circles_are_cut(reference: str, cut: str):
    found = cleaned(
        {"type": "object", "properties": {"p": {"type": "object", "properties": {"q": {"$ref": reference}}}}}
    )
    assert found.cut == (cut,)
    valid_schema(found.schema)


def test_a_schema_that_explodes_is_bounded():
    levels = {
        f"L{i}": {"type": "object", "properties": {c: {"$ref": f"#/$defs/L{i + 1}"} for c in "abcd"}}
        for i in range(12)
    }
    found = cleaned({"$ref": "#/$defs/L0", "$defs": {**levels, "L12": {"type": "string"}}})
    assert "too large" in found.cut


def test_what_the_model_would_have_to_obey_is_reported():
    found = cleaned(
        {"type": "object", "properties": {"p": {"type": "object", "patternProperties": {}, "not": {}}}}
    )
    assert found.dropped == ("not", "patternProperties")


def test_alternatives_of_rules_alone_go():
    rules = {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    found = cleaned({"type": "object", "properties": {"a": {"type": "string"}}, **rules})
    assert found.schema == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert found.dropped == ("anyOf",)


def test_the_arguments_are_one_object():
    first = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "k": {"type": "string"}},
        "required": ["a", "k"],
    }
    second = {
        "type": "object",
        "properties": {"b": {"type": "string"}, "k": {"type": "string"}},
        "required": ["k"],
    }
    assert cleaned({"anyOf": [first, second]}).schema == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "k": {"type": "string"}, "b": {"type": "string"}},
        "required": ["k"],
    }


words = st.sampled_from(
    ["type", "properties", "items", "anyOf", "oneOf", "allOf", "enum", "const", "$ref", "not"]
)
others = st.sampled_from(
    ["required", "minimum", "exclusiveMinimum", "description", "format", "prefixItems", "nullable"]
)
leaves = st.sampled_from(
    ["string", "object", "null", "array", "#", "#/properties/a", 3, 2.5, True, None, "x"]
)
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(words, others, st.sampled_from(["a", "b"])), inner, max_size=4),
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(schemas)
def test_any_schema_comes_out_as_one_that_gemini_can_parse(schema: Any):
    result = cleaned({"type": "object", "properties": {"a": schema}}).schema
    assert_shape(result)


KNOWN = {
    *("type", "title", "description", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format"),
    *("minProperties", "maxProperties", "minimum", "maximum", "default", "nullable", "example", "enum"),
    *("propertyOrdering", "properties", "required", "items", "anyOf"),
}


def assert_shape(schema: Any) -> None:
    assert set(schema) <= KNOWN
    assert ("type" in schema) != ("anyOf" in schema)
    for inner in (*schema.get("anyOf", ()), *schema.get("properties", {}).values()):
        assert_shape(inner)
    if schema.get("type") == "array":
        assert_shape(schema["items"])
    assert set(schema.get("required", ())) <= set(schema.get("properties", {}))
    assert all(isinstance(value, str) and value for value in schema.get("enum", ()))


BACK: list[tuple[str, Any, Any]] = [
    ("capitals", {"type": "STRING"}, {"type": "string"}),
    (
        "numbers",
        {"type": 6, "properties": {"a": {"type": 3}}},
        {"type": "object", "properties": {"a": {"type": "integer"}}},
    ),
    ("nullable", {"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
    (
        "nullable enum",
        {"type": "STRING", "nullable": True, "enum": ["a"]},
        {"type": ["string", "null"], "enum": ["a", None]},
    ),
    (
        "snake case",
        {"any_of": [{"type": "STRING"}, {"type": "INTEGER"}]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    ),
    (
        "nullable choice",
        {"anyOf": [{"type": "STRING"}], "nullable": True},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
    ),
    (
        "counts are strings",
        {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": "2"},
        {"type": "array", "items": {"type": "number"}, "minItems": 2},
    ),
    (
        "own words",
        {"type": "STRING", "format": "enum", "enum": ["a"], "propertyOrdering": ["x"]},
        {"type": "string", "enum": ["a"]},
    ),
]


@pytest.mark.parametrize(("schema", "expected"), [c[1:] for c in BACK], ids=[c[0] for c in BACK])
def test_geminis_schema_as_json_schema(schema: Any, expected: Any):
    assert json_schema(schema) == expected
