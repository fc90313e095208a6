"""Tools for Anthropic. Those that another provider runs itself cannot be had here."""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.anthropic.members import NAME, complete
from llm_intercept.wire.families import freetext, schemas
from llm_intercept.wire.ir import Json, Message, OpaqueTool, Request, Tool, ToolCall, ToolChoice

FREE_TEXT = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as text."}},
    "required": ["input"],
}
_TYPES = {"auto": "auto", "required": "any", "none": "none", "named": "tool"}


def tools(request: Request, context: Context) -> list[dict[str, Any]]:
    native = NAME in request.extras
    return [t for tool in request.tools if (t := _tool(tool, native, context)) is not None]


def _tool(tool: Tool | OpaqueTool, native: bool, context: Context) -> dict[str, Any] | None:
    if isinstance(tool, OpaqueTool):
        if tool.dialect == NAME:
            return dict(tool.raw)
        context.warn(f"tools: {tool.kind} is run by another provider ({tool.dialect}); left out")
        return None
    new: dict[str, Any] = {"name": tool.name}
    if description := freetext.described(tool):
        new["description"] = description
    new["input_schema"] = tool.schema if native else _schema(tool, context)
    if tool.strict is not None and (native or _takes_strict(tool.strict, context)):
        new["strict"] = tool.strict
    return complete(new, tool.cache, tool.extras)


def _takes_strict(strict: bool, context: Context) -> bool:
    if strict and not context.target.structured:
        context.warn("tools.strict: this model does not promise to keep to a schema; left out")
    return strict and bool(context.target.structured)


def _schema(tool: Tool, context: Context) -> Mapping[str, Json]:
    """An object's schema; free text is put into an object of one string."""
    if tool.schema is None:
        context.warn(f"tools: {tool.name} takes free text; it became a function with one string, `input`")
        return FREE_TEXT
    return schemas.rooted(tool.schema, tool.name, context)


def remembered(messages: Iterable[Message], context: Context) -> list[dict[str, Any]]:
    """Anthropic refuses calls in the history of a request without tools."""
    calls = (part for message in messages for part in message.parts if isinstance(part, ToolCall))
    names = dict.fromkeys(call.name for call in calls)
    if names:
        context.warn("tools: none given, but called in the history; declared again, not to be called")
    return [{"name": name, "input_schema": {"type": "object"}} for name in names]


def choice(request: Request, thinks: bool, context: Context) -> dict[str, Any] | None:
    """`tool_choice`, for a request that has tools."""
    wanted = request.tool_choice
    if wanted is None:
        return None
    if thinks and wanted.mode in ("required", "named"):
        context.warn("tool_choice: a call cannot be forced while the model thinks; auto instead")
        wanted = ToolChoice("auto", parallel=wanted.parallel)
    new: dict[str, Any] = {"type": _TYPES[wanted.mode]}
    if wanted.mode == "named":
        new["name"] = wanted.name
    if wanted.parallel is not None and wanted.mode != "none":
        new["disable_parallel_tool_use"] = not wanted.parallel
    return new
