"""Tools and the choice among them, both ways; the `functions` of before as well."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_chat.media import mark
from llm_intercept.wire.codecs.openai_chat.terms import (
    LEGACY,
    NAME,
    cache_of,
    extras,
    members,
    own,
    rest,
    sent_name,
    string,
)
from llm_intercept.wire.families import freetext
from llm_intercept.wire.families.schemas import spelled_out
from llm_intercept.wire.fields import mapping, objects
from llm_intercept.wire.ir import OpaqueTool, Request, Tool, ToolChoice

KNOWN = ("type", "function", "custom")
FUNCTION = "_function"  # a note: what the inner object has beside what the IR knows
FREE_TEXT: Mapping[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as text."}},
    "required": ["input"],
}
EMPTY: Mapping[str, Any] = {"type": "object", "properties": {}}
MODES: dict[str, Literal["auto", "required", "none"]] = {
    "auto": "auto",
    "required": "required",
    "any": "required",
    "none": "none",
}


def tools(body: Mapping[str, Any]) -> tuple[Tool | OpaqueTool, ...]:
    found: list[Tool | OpaqueTool] = [_tool(item) for item in objects(body.get("tools"))]
    found += [_function(item, {LEGACY: True}) for item in objects(body.get("functions"))]
    return tuple(found)


def _tool(item: Mapping[str, Any]) -> Tool | OpaqueTool:
    kind = string(item.get("type")) or "function"
    inner = item.get(kind)
    kept = rest(item, KNOWN)
    if kind == "function" and isinstance(inner, dict):
        return _function(inner, kept)
    if kind == "custom" and isinstance(inner, dict):
        grammar = mapping(mapping(inner.get("format")).get("grammar")) or None
        if further := rest(inner, ("name", "description", "format" if grammar else "")):
            kept[FUNCTION] = further
        name, description = string(inner.get("name")), string(inner.get("description"))
        return Tool(name, description, None, None, cache_of(item), extras(kept), grammar)
    return OpaqueTool(NAME, kind, item)


def _function(inner: Mapping[str, Any], kept: dict[str, Any]) -> Tool:
    further = rest(inner, ("name", "description", "parameters", "strict"))
    schema = inner.get("parameters")
    strict = inner.get("strict")
    if further:
        kept = {**kept, FUNCTION: further}
    return Tool(
        string(inner.get("name")),
        string(inner.get("description")),
        schema if isinstance(schema, dict) else dict(EMPTY),
        strict if isinstance(strict, bool) else None,
        cache_of(kept),
        extras(kept),
    )


def choice(body: Mapping[str, Any]) -> tuple[ToolChoice | None, dict[str, Any]]:
    """The choice, and what of it the IR cannot hold."""
    raw = body.get("tool_choice", body.get("function_call"))
    parallel = body.get("parallel_tool_calls")
    parallel = parallel if isinstance(parallel, bool) else None
    if isinstance(raw, str) and raw in MODES:
        return ToolChoice(MODES[raw], parallel=parallel), {}
    if isinstance(raw, dict):
        return _chosen(raw, parallel)
    return (None if parallel is None else ToolChoice(parallel=parallel)), {}


def _chosen(raw: Mapping[str, Any], parallel: bool | None) -> tuple[ToolChoice | None, dict[str, Any]]:
    kind = string(raw.get("type"))
    name = string(mapping(raw.get(kind)).get("name")) or string(raw.get("name"))
    if kind == "allowed_tools":
        mode = string(mapping(raw.get("allowed_tools")).get("mode"))
        return ToolChoice(MODES.get(mode, "auto"), parallel=parallel), {"tool_choice": raw}
    if name:
        return ToolChoice("named", name, parallel), {}
    return (None if parallel is None else ToolChoice(parallel=parallel)), {"tool_choice": raw}


def write(request: Request, context: Context, body: dict[str, Any]) -> None:
    native = NAME in request.extras
    legacy = bool(request.tools) and all(_is_legacy(tool) for tool in request.tools)
    if legacy:
        body["functions"] = [_inner(tool, tool.schema) for tool in request.tools if isinstance(tool, Tool)]
    else:
        written = [item for tool in request.tools if (item := _write(tool, native, context)) is not None]
        if written:
            body["tools"] = written
    if not (legacy or "tools" in body):
        return  # a choice without tools is refused
    if request.tool_choice is not None:
        _write_choice(request, request.tool_choice, legacy, body)


def _is_legacy(tool: Tool | OpaqueTool) -> bool:
    return isinstance(tool, Tool) and LEGACY in own(tool.extras)


def _write(tool: Tool | OpaqueTool, native: bool, context: Context) -> dict[str, Any] | None:
    if isinstance(tool, OpaqueTool):
        if tool.dialect == NAME:
            return dict(tool.raw)
        context.warn(f"tools.{tool.kind}: run by the provider of {tool.dialect}, dropped")
        return None
    if tool.schema is None and not native:
        context.warn(f"tools: {tool.name} takes free text; it became a function with one string, `input`")
        tool = replace(tool, description=freetext.described(tool), schema=FREE_TEXT, grammar=None)
    kind = "custom" if tool.schema is None else "function"
    schema = tool.schema
    if schema is not None and not native:
        schema = spelled_out(schema, tool.name, context)
    item = {"type": kind, kind: _inner(tool, schema), **members(tool.extras)}
    mark(tool, item, context)
    return item


def _inner(tool: Tool, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    written: dict[str, Any] = {"name": sent_name(tool.name)}
    if tool.description:
        written["description"] = tool.description
    if schema is not None:
        written["parameters"] = schema
    if tool.strict is not None:
        written["strict"] = tool.strict
    if tool.grammar is not None:
        written["format"] = {"type": "grammar", "grammar": tool.grammar}
    return {**written, **own(tool.extras).get(FUNCTION, {})}


def _write_choice(request: Request, wanted: ToolChoice, legacy: bool, body: dict[str, Any]) -> None:
    named = {"name": sent_name(wanted.name)}
    if legacy:
        body["function_call"] = named if wanted.mode == "named" else wanted.mode
        return
    if wanted.parallel is not None:
        body["parallel_tool_calls"] = wanted.parallel
    if wanted.mode == "named":
        custom = NAME in request.extras and any(
            isinstance(t, Tool) and t.name == wanted.name and t.schema is None for t in request.tools
        )
        kind = "custom" if custom else "function"
        body["tool_choice"] = {"type": kind, kind: named}
    elif wanted.mode != "auto" or wanted.parallel is None:
        body["tool_choice"] = wanted.mode
