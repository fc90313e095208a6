"""Structured output for models that take no `outputConfig`, and schemas as Claude takes them.

The schema becomes a tool that the model has to call; its input is the answer's text. The tool's name
begins with a prefix that no other tool has, and the decoders turn a call of it into text, so nothing has
to be remembered. A schema that is no object is wrapped, under a prefix of its own.
"""

import re
from collections.abc import Mapping

from llm_intercept.wire.codecs.bedrock_converse.terms import Members, compact
from llm_intercept.wire.fields import parse_object
from llm_intercept.wire.ir import Format, Json

PREFIX = "lli_answer_"
WRAPPED = "lli_value_"
VALUE = "value"
WORDS = "Answer with one JSON object and nothing else: no words around it, no code fence."
_LONGEST = 64
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
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


def tool(form: Format) -> Members:
    """The `toolSpec` whose input is the answer."""
    schema = form.schema or {"type": "object"}
    whole = schema.get("type", "object") == "object"
    name = (PREFIX if whole else WRAPPED) + (_UNFIT.sub("_", form.name).strip("_") or "json")
    described = form.description or "The answer."
    return {
        "toolSpec": {
            "name": name[:_LONGEST],
            "description": f"{described} Call this tool to give the final answer; its input is the answer.",
            "inputSchema": {"json": {"type": "object", **schema} if whole else _wrapped(schema)},
        }
    }


def _wrapped(schema: Mapping[str, Json]) -> Members:
    """The schema inside an object's; its definitions stay at the root, where its references look."""
    definitions = {name: schema[name] for name in _DEFINITIONS if name in schema}
    inner = {name: value for name, value in schema.items() if name not in definitions}
    return {"type": "object", "properties": {VALUE: inner}, "required": [VALUE], **definitions}


def asked(form: Format) -> str:
    """The schema in words, where nothing can be forced."""
    return f"{WORDS} It follows this JSON schema:\n{compact(form.schema or {})}"


# What Claude's structured outputs refuse; it is told to the model in words instead.
_NOT_TAKEN = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
_NAMED = ("properties", *_DEFINITIONS)
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


def _renamed(name: str) -> str:
    return "anyOf" if name == "oneOf" else name


def _inner(name: str, value: Json) -> Json:
    if name in _NAMED and isinstance(value, dict):
        return {key: closed(inner) for key, inner in value.items()}
    if name in _LISTS and isinstance(value, list):
        return [closed(inner) for inner in value]
    return closed(value) if name in ("items", "not") else value
