"""Answers that must be JSON, for models that take no schema for them; and schemas as Claude takes them.

The schema becomes a tool that the model has to call; its input is the answer's text. Nothing has to be
remembered for the way back: the tool's name begins with a prefix that no other tool has, and the
decoders turn every call of such a tool into text. A schema that is no object (a list, say) is wrapped,
because arguments of tools are objects; such a tool has a prefix of its own, and the value is taken out.
"""

import re
from collections.abc import Iterable, Mapping

from llm_intercept.wire.fields import compact, items, mapping, parse_object
from llm_intercept.wire.ir import Format, Json, Message, Text, Tool

PREFIX = "lli_answer_"
WRAPPED = "lli_value_"
VALUE = "value"
WORDS = "Answer with one JSON object and nothing else: no words around it, no code fence."
GO_ON = "Go on with your answer from where it ends. Do not repeat what you have said."
TELLING = "Call this tool to give the final answer; its input is the answer."
_LONGEST = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_DEFINITIONS = ("$defs", "definitions")


def is_answer(name: str) -> bool:
    return name.startswith((PREFIX, WRAPPED))


def is_wrapped(name: str) -> bool:
    return name.startswith(WRAPPED)


def spoken(name: str, arguments: str) -> str:
    """The answer's text, of the input of such a call."""
    if not is_wrapped(name):
        return arguments or "{}"
    inside = parse_object(arguments)
    return compact(inside[VALUE]) if VALUE in inside else arguments


def tool(form: Format) -> Tool:
    """The tool whose input is the answer."""
    schema: Mapping[str, Json] = form.schema or {"type": "object"}
    is_object = schema.get("type", "object") == "object" and ("properties" in schema or "type" in schema)
    schema = schema if is_object else _wrapped(schema)
    name = (PREFIX if is_object else WRAPPED) + (_NOT_IN_NAMES.sub("_", form.name).strip("_") or "json")
    told = f"{form.description or 'The answer.'} {TELLING}"
    return Tool(name[:_LONGEST], told, {"type": "object", **schema})


def _wrapped(schema: Mapping[str, Json]) -> dict[str, Json]:
    """The schema inside an object's; its definitions stay at the root, where its references look."""
    definitions = {name: schema[name] for name in _DEFINITIONS if name in schema}
    inner = {name: value for name, value in schema.items() if name not in definitions}
    return {"type": "object", "properties": {VALUE: inner}, "required": [VALUE], **definitions}


def mentioned(messages: Iterable[Message]) -> bool:
    """Whether JSON is spoken of: OpenAI and its followers refuse to be asked for it otherwise."""
    return any(isinstance(part, Text) and "json" in part.text.lower() for m in messages for part in m.parts)


def asked(form: Format) -> str:
    """The schema in words, where nothing can be forced."""
    return f"{WORDS} It follows this JSON schema:\n{compact(form.schema or {})}"


def described(form: Format) -> Mapping[str, Json] | None:
    """The schema with the description of the whole, for dialects that have no other place for it."""
    if form.schema and form.description:
        return {"description": form.description, **form.schema}
    return form.schema


# What Claude's structured outputs refuse (400); it is told to the model in words instead.
_NOT_TAKEN = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
_NAMED = ("properties", *_DEFINITIONS)
_DEEPEST = 100
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


def closed(schema: Json) -> Json:
    """Objects closed against members that they do not name, limits in words, `oneOf` as `anyOf`."""
    if not isinstance(schema, dict):
        return schema
    said = {name: schema[name] for name in _NOT_TAKEN if name in schema}
    if schema.get("minItems") not in (None, 0, 1):
        said["minItems"] = schema["minItems"]
    new = {_renamed(name): _inner(name, value) for name, value in schema.items() if name not in said}
    if schema.get("type") == "object" or "properties" in schema:
        new["additionalProperties"] = False
    if said:
        limits = ", ".join(f"{name}: {compact(value)}" for name, value in said.items())
        new["description"] = f"{schema.get('description', '')} ({limits})".strip()
    return new


def fits(schema: Json) -> bool:
    """Whether closing the schema leaves what it says: no maps of any members, no circles of references."""
    return _fits(schema, mapping(schema), ())


def _fits(schema: Json, root: Mapping[str, Json], active: tuple[str, ...]) -> bool:
    if not isinstance(schema, dict):
        return True
    pointer = schema.get("$ref")
    if isinstance(pointer, str):
        place, _, name = pointer.removeprefix("#/").partition("/")
        found = mapping(root.get(place)).get(name)
        return pointer not in active and _fits(found, root, (*active, pointer))
    if _is_map(schema) or len(active) > _DEEPEST:
        return False
    inner = [*mapping(schema.get("properties")).values(), schema.get("items"), schema.get("not")]
    inner += [one for name in _LISTS for one in items(schema.get(name))]
    return all(_fits(one, root, (*active, "")) for one in inner if one is not None)


def _is_map(schema: Mapping[str, Json]) -> bool:
    others = schema.get("additionalProperties")
    if others is not None:
        return bool(others) or others == {}
    return schema.get("type") == "object" and not schema.get("properties")


_STRICT = frozenset(
    (
        *("type", "description", "title", "enum", "const", "properties", "required", "items", "anyOf"),
        *("additionalProperties", "$ref", "$defs"),
    )
)


def is_strict(schema: Json) -> bool:
    """Whether OpenAI can hold its models to the schema: each object is closed and wants all its members."""
    return isinstance(schema, dict) and schema.get("type") == "object" and _strict(schema)


def _strict(schema: Json) -> bool:
    if not isinstance(schema, dict) or not schema.keys() <= _STRICT:
        return False
    named, kind = mapping(schema.get("properties")), schema.get("type")
    if kind == "array" and "items" not in schema:
        return False
    if (kind == "object" or named) and not _is_shut(schema, named):
        return False
    inner = [*named.values(), *mapping(schema.get("$defs")).values(), *items(schema.get("anyOf"))]
    inner += [schema["items"]] if "items" in schema else []
    return all(map(_strict, inner)) and bool(schema.keys() & {"type", "enum", "const", "anyOf", "$ref"})


def _is_shut(schema: Mapping[str, Json], named: Mapping[str, Json]) -> bool:
    wanted = schema.get("required", [])
    return schema.get("additionalProperties") is False and all(name in items(wanted) for name in named)


def _renamed(name: str) -> str:
    return "anyOf" if name == "oneOf" else name


def _inner(name: str, value: Json) -> Json:
    if name in _NAMED and isinstance(value, dict):
        return {key: closed(inner) for key, inner in value.items()}
    if name in _LISTS and isinstance(value, list):
        return [closed(inner) for inner in value]
    return closed(value) if name in ("items", "not") else value
