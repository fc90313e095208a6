"""Schemas of tools' arguments as targets take them, where these refuse a whole request over one tool.

Anthropic's models and Bedrock's are told anything that is an object; OpenAI wants properties at the root
and an `items` for each array; none of them takes alternatives or a reference in place of the root.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from llm_intercept.wire.codec import Context
from llm_intercept.wire.fields import compact, items, mapping, objects
from llm_intercept.wire.ir import Json

type Schema = Mapping[str, Json]

_COMBINED = ("anyOf", "oneOf", "allOf")
_DEFINITIONS = ("$defs", "definitions")
_NAMED = ("properties", "patternProperties", *_DEFINITIONS)
_LISTS = (*_COMBINED, "prefixItems")
_INNER = ("items", "additionalProperties", "not")
_DEPTH = 60


def rooted(schema: Schema, name: str, context: Context) -> Schema:
    """An object at the root; `name` is the tool's."""
    if "$ref" in schema:
        schema = _followed(schema)
    if any(word in schema for word in _COMBINED):
        context.warn(f"tools: alternatives at the root of the schema of {name} were merged")
        schema = _merged(schema)
    return schema if schema.get("type") == "object" else {**schema, "type": "object"}


def _followed(schema: Schema) -> Schema:
    """What a reference within the document points at, with its definitions; others stay."""
    for _ in range(_DEPTH):
        pointer = schema.get("$ref")
        steps = pointer.split("/") if isinstance(pointer, str) else []
        if len(steps) != 3 or steps[0] != "#" or steps[1] not in _DEFINITIONS:
            return schema
        target = mapping(schema.get(steps[1])).get(steps[2])
        if not isinstance(target, dict):
            return schema
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return {key: value for key, value in schema.items() if key != "$ref"}


def _merged(schema: Schema) -> dict[str, Json]:
    """The properties of all alternatives are offered together."""
    properties: dict[str, Json] = {}
    required = items(schema.get("required"))
    for word in _COMBINED:
        for one in objects(schema.get(word)):
            properties.update(mapping(one.get("properties")))
            required = [*required, *items(one.get("required"))] if word == "allOf" else required
    properties.update(mapping(schema.get("properties")))
    rest = {key: value for key, value in schema.items() if key not in (*_COMBINED, "required")}
    new = {**rest, "type": "object", "properties": properties}
    names = list(dict.fromkeys(name for name in required if isinstance(name, str)))
    return {**new, "required": names} if names else new


def spelled_out(schema: Schema, name: str, context: Context) -> Schema:
    """Also with properties, `items` for each array, and `{}` where a schema says `true`: for OpenAI."""
    schema = rooted(schema, name, context)
    if "properties" not in schema:
        schema = {**schema, "properties": {}}
    return _completed(compact(schema)) or schema


@lru_cache(maxsize=1024)
def _completed(text: str) -> dict[str, Any] | None:
    """None if nothing is missing. The same schema gives the same answer, which nobody may change."""
    if '"array"' not in text and ":true" not in text:
        return None
    found: dict[str, Any] = _filled(orjson.loads(text), 0)
    return found


def _filled(schema: Json, depth: int) -> Json:
    if not isinstance(schema, dict) or depth > _DEPTH:
        return schema
    new = {key: _inner(key, value, depth) for key, value in schema.items()}
    kind = schema.get("type")
    if (kind == "array" or (isinstance(kind, list) and "array" in kind)) and "items" not in schema:
        new["items"] = {}
    return new


def _inner(key: str, value: Json, depth: int) -> Json:
    if key in _NAMED and isinstance(value, dict):
        return {name: {} if one is True else _filled(one, depth + 1) for name, one in value.items()}
    if key in _LISTS and isinstance(value, list):
        return [_filled(one, depth + 1) for one in value]
    return _filled(value, depth + 1) if key in _INNER else value
