"""Of one schema without references and alternatives: its type, bounds, enumeration, words."""

from collections.abc import Mapping
from typing import Any

FORMATS = {
    "string": ("date-time", "enum"),
    "number": ("float", "double"),
    "integer": ("int32", "int64"),
}
_TYPES = frozenset(("string", "number", "integer", "boolean", "array", "object"))
_ABOUT = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "minimum": "number",
    "maximum": "number",
}
_ONLY = {
    "string": ("pattern", "minLength", "maxLength", "format"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "object": ("properties", "required", "minProperties", "maxProperties", "additionalProperties"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


OF_ONE_TYPE = frozenset(keyword for keywords in _ONLY.values() for keyword in keywords)


def inferred(source: Mapping[str, Any]) -> str:
    """Gemini wants a type everywhere; where none is given the other keywords tell, else it is text."""
    kind = source.get("type")
    if isinstance(kind, str) and kind.lower() in _TYPES:
        return kind.lower()
    for keyword, about in _ABOUT.items():
        if keyword in source:
            return about
    values = source["enum"] if isinstance(source.get("enum"), list) else [source.get("const")]
    return _type_of(next((value for value in values if value is not None), ""))


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "string"


def single_type(source: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """One alternative of a list of types: the keywords that speak of this type."""
    return {"type": kind, **{key: source[key] for key in _ONLY.get(kind, ()) if key in source}}


def bounded(out: dict[str, Any], source: Mapping[str, Any], kind: str) -> None:
    """Bounds that exclude their value: the next whole number, or the bound itself for fractions."""
    for exclusive, inclusive, step in (
        ("exclusiveMinimum", "minimum", 1),
        ("exclusiveMaximum", "maximum", -1),
    ):
        value = source.get(exclusive)
        if value is True:  # as drafts up to 4 wrote it
            value = source.get(inclusive)
        elif inclusive in source:
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            out[inclusive] = value + step if kind == "integer" else value


def enumerated(out: dict[str, Any], source: Mapping[str, Any], kind: str) -> None:
    """Enumerations are of non-empty strings; others are told in the description."""
    values = [source["const"]] if "const" in source else source.get("enum")
    if not isinstance(values, list) or not values:
        return
    if None in values:
        out["nullable"] = True
    real = [value for value in values if value is not None and value != ""]
    whole = len(real) + values.count(None) == len(values)
    if kind == "string" and real and whole and all(isinstance(value, str) for value in real):
        out["enum"] = real
        return
    words = ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in real)
    if words:
        told = f"Always {words}." if "const" in source else f"One of: {words}."
        out["description"] = " ".join(filter(None, (out.get("description"), told)))


def described(schema: dict[str, Any], description: object) -> dict[str, Any]:
    if isinstance(description, str) and description and not schema.get("description"):
        return {**schema, "description": description}
    return schema
