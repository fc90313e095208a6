"""Functions, Google's own tools, and which of them the model may or must call."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.codecs.gemini.schema import cleaned
from llm_intercept.wire.codecs.gemini.schema_back import json_schema
from llm_intercept.wire.codecs.gemini.shapes import NAME, kept, listed, own, proto, without
from llm_intercept.wire.families import freetext
from llm_intercept.wire.fields import mapping
from llm_intercept.wire.ir import Json, OpaqueTool, Request, Tool, ToolChoice
from llm_intercept.wire.toolids import fitted

# Newer models take colons and 128 characters; these all of them take.
FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_DECLARED = frozenset(("name", "description"))
_CONFIG = frozenset(("functionCallingConfig",))
_CALLING = frozenset(("mode", "allowedFunctionNames"))
_MODES = {0: "", 1: "AUTO", 2: "ANY", 3: "NONE"}
_TO_MODE = {"auto": "AUTO", "required": "ANY", "named": "ANY", "none": "NONE"}
_NEVER = re.compile(r"(?!)")
_FREE_TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def decode_tools(raw: object) -> tuple[Tool | OpaqueTool, ...]:
    found: list[Tool | OpaqueTool] = []
    for index, entry in enumerate(listed(raw)):
        for name, value in proto(entry).items():
            if name == "functionDeclarations":
                found.extend(_declared(item, index) for item in listed(value))
            elif value is not None:
                found.append(OpaqueTool(NAME, name, {name: value}))
    return tuple(found)


def _declared(entry: dict[str, Any], index: int) -> Tool:
    """The schema as Gemini had it stays in the extras: it says some things in its own way."""
    declaration = proto(entry)
    name = declaration.get("name")
    if not isinstance(name, str) or not name:
        raise Untranslatable(f"tools[{index}].functionDeclarations", "a function without a name")
    description = declaration.get("description")
    extras = kept(without(declaration, _DECLARED))
    schema = _schema(declaration)
    return Tool(name, description if isinstance(description, str) else "", schema, extras=extras)


def _schema(declaration: Mapping[str, Json]) -> Mapping[str, Json]:
    raw = declaration.get("parametersJsonSchema")
    if isinstance(raw, dict):
        return raw
    raw = declaration.get("parameters")
    schema = json_schema(raw) if isinstance(raw, dict) else {}
    return schema if schema.get("type") == "object" else {**schema, "type": "object"}


def decode_choice(config: Mapping[str, Json]) -> ToolChoice | None:
    calling = proto(config.get("functionCallingConfig"))
    names = [name for name in _strings(calling.get("allowedFunctionNames"))]
    match _mode(calling.get("mode")):
        case "ANY" if len(names) == 1:
            return ToolChoice("named", names[0])
        case "ANY":
            return ToolChoice("required")
        case "NONE":
            return ToolChoice("none")
        case "AUTO" | "VALIDATED":
            return ToolChoice("auto")
    return None


def _mode(value: object) -> str:
    return _MODES.get(value, "") if isinstance(value, int) else str(value or "").upper()


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def choice_extras(config: Mapping[str, Json]) -> dict[str, Any]:
    """What the choice alone does not say: VALIDATED, a choice of several names, other members."""
    extras = without(config, _CONFIG)
    calling = proto(config.get("functionCallingConfig"))
    rest = without(calling, _CALLING)
    names = _strings(calling.get("allowedFunctionNames"))
    if names and not (_mode(calling.get("mode")) == "ANY" and len(names) == 1):
        rest["allowedFunctionNames"] = names
    if _mode(calling.get("mode")) not in ("AUTO", "ANY", "NONE", ""):
        rest["mode"] = calling["mode"]
    if rest:
        extras["functionCallingConfig"] = rest
    return extras


def encode_tools(request: Request, context: Context) -> list[dict[str, Any]]:
    """All functions in one entry: several are taken only of models that search as well."""
    functions = [_function(tool, context) for tool in request.tools if isinstance(tool, Tool)]
    entries: list[dict[str, Any]] = []
    for tool in request.tools:
        if isinstance(tool, OpaqueTool):
            entries.extend(_provider_tool(tool, bool(functions), context))
        elif not any(entry.get("functionDeclarations") is functions for entry in entries):
            entries.append({"functionDeclarations": functions})
    return entries


def _provider_tool(tool: OpaqueTool, functions: bool, context: Context) -> Iterable[dict[str, Any]]:
    """Searching the web is the one thing that every provider has; Gemini does not mix it with functions."""
    if tool.dialect == NAME:
        yield dict(tool.raw)
    elif tool.kind.startswith("web_search") and not functions:
        yield {"googleSearch": {}}
    else:
        reason = "does not mix its search with functions" if "web_search" in tool.kind else "does not have it"
        context.warn(f"tools.{tool.kind}: dropped, Gemini {reason}")


def _function(tool: Tool, context: Context) -> dict[str, Any]:
    if tool.cache is not None:
        uncached(context)
    declaration: dict[str, Any] = {"name": function_name(tool.name)}
    if description := freetext.described(tool):
        declaration["description"] = description
    native = own(tool.extras)
    if "parameters" not in native and "parametersJsonSchema" not in native:
        _add_schema(declaration, tool, context)
    return {**declaration, **native}


def _add_schema(declaration: dict[str, Any], tool: Tool, context: Context) -> None:
    """A function without arguments has no schema: Gemini refuses an object without properties.

    Never as `parametersJsonSchema`: Gemini takes that, too, but refuses a call for members beside a `$ref`
    and for circles in what is required, and obeys no `const` or `pattern` in it.
    """
    schema = tool.schema
    if schema is None:
        context.warn(f"tools.{tool.name}: free text is an argument `input` for Gemini")
        schema = _FREE_TEXT
    if not schema.get("properties") and not schema.keys() & {"anyOf", "oneOf", "allOf", "$ref"}:
        return
    parameters = target_schema(schema, f"tools.{tool.name}", context)
    if parameters.get("properties"):
        declaration["parameters"] = parameters


def target_schema(schema: Mapping[str, Json], field: str, context: Context) -> dict[str, Any]:
    clean = cleaned(schema)
    if clean.dropped:
        context.warn(f"{field}: schema keywords not known to Gemini: {', '.join(clean.dropped)}")
    if clean.cut:
        context.warn(f"{field}: schema references cut: {', '.join(clean.cut)}")
    return clean.schema


def function_name(name: str) -> str:
    """A name that Gemini takes."""
    return fitted(name, FUNCTION_NAME, "tool_")


def client_name(name: str, request: Request | None) -> str:
    """The client's own name of a tool whose name the provider could not take: its digest tells."""
    names = [tool.name for tool in request.tools if isinstance(tool, Tool)] if request is not None else []
    if name in names:
        return name
    return next((known for known in names if fitted(known, _NEVER, "") == name[-24:]), name)


def encode_config(request: Request, context: Context) -> dict[str, Any]:
    """`toolConfig`. Without functions a choice among them is an error."""
    extras = dict(mapping(own(request.extras).get("toolConfig")))
    calling = mapping(extras.get("functionCallingConfig"))
    choice = request.tool_choice
    if choice is not None and any(isinstance(tool, Tool) for tool in request.tools):
        if choice.parallel is False:
            context.warn("parallel_tool_calls: Gemini cannot be kept from calling several at once")
        calling = {**_calling(choice), **calling}
    return {**extras, "functionCallingConfig": calling} if calling else extras


def _calling(choice: ToolChoice) -> dict[str, Any]:
    calling: dict[str, Any] = {"mode": _TO_MODE[choice.mode]}
    if choice.mode == "named":
        calling["allowedFunctionNames"] = [function_name(choice.name)]
    return calling


def uncached(context: Context) -> None:
    context.warn("cache_control: dropped, Gemini caches what requests have in common by itself")
