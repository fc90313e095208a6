"""Gemini's `Schema` (an OpenAPI 3.0 subset with types in capitals) as JSON Schema, for other targets."""

from functools import lru_cache
from typing import Any

import orjson

from llm_intercept.wire.codecs.gemini.shapes import proto
from llm_intercept.wire.fields import compact, mapping

# `$alt=json;enum-encoding=int` writes enumerations as numbers.
_NUMBERED = {1: "string", 2: "number", 3: "integer", 4: "boolean", 5: "array", 6: "object", 7: "null"}
_COUNTS = frozenset(("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"))
_LEFT = frozenset(("nullable", "propertyOrdering", "example", "format", "type", "ref", "defs"))
_DEPTH = 100


def json_schema(schema: object) -> dict[str, Any]:
    """The same schema gives the same answer, which is shared: nobody may change it."""
    return _json_schema(compact(schema))


@lru_cache(maxsize=1024)
def _json_schema(text: str) -> dict[str, Any]:
    return _node(orjson.loads(text), 0)


def _node(schema: object, depth: int) -> dict[str, Any]:
    source = proto(schema)
    if depth > _DEPTH:
        return {}
    out: dict[str, Any] = {}
    kind = _type(source.get("type"))
    nullable = source.get("nullable") is True
    if kind:
        out["type"] = [kind, "null"] if nullable and kind != "null" else kind
    if isinstance(source.get("format"), str) and source["format"] != "enum":
        out["format"] = source["format"]
    for name, value in source.items():
        if name not in _LEFT and value is not None:
            out[name] = _member(name, value, depth)
    if nullable:
        _also_null(out, kind)
    return out


def _type(value: object) -> str:
    if isinstance(value, int):
        return _NUMBERED.get(value, "")
    name = value.lower() if isinstance(value, str) else ""
    return "" if name == "type_unspecified" else name


def _member(name: str, value: Any, depth: int) -> Any:
    if name == "properties":
        return {key: _node(inner, depth + 1) for key, inner in mapping(value).items()}
    if name in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
        return [_node(inner, depth + 1) for inner in value]
    if name in ("items", "additionalProperties", "not") and isinstance(value, dict):
        return _node(value, depth + 1)
    if name in ("$defs", "definitions"):
        return {key: _node(inner, depth + 1) for key, inner in mapping(value).items()}
    # 64-bit numbers are strings in Google's JSON.
    return int(value) if name in _COUNTS and isinstance(value, str) and value.isdecimal() else value


def _also_null(out: dict[str, Any], kind: str) -> None:
    """Enumerations and choices have to name null themselves."""
    if isinstance(out.get("enum"), list) and None not in out["enum"]:
        out["enum"] = [*out["enum"], None]
    if not kind and isinstance(out.get("anyOf"), list):
        out["anyOf"] = [*out["anyOf"], {"type": "null"}]
