"""`toolConfig`: the tools, and which of them must be called."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llm_intercept.wire.codecs.bedrock_converse.blocks import Blocks, cache_point, tool_name
from llm_intercept.wire.codecs.bedrock_converse.models import UNKNOWN
from llm_intercept.wire.codecs.bedrock_converse.parts import cache_of
from llm_intercept.wire.codecs.bedrock_converse.terms import NAME, Members, extras, own, string
from llm_intercept.wire.families import freetext, schemas, structured
from llm_intercept.wire.fields import mapping, objects
from llm_intercept.wire.ir import Format, Json, OpaqueTool, Request, Tool, ToolChoice

TEXT_INPUT: Mapping[str, Json] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
MODES = {"auto": "auto", "any": "required"}


def read_tools(config: Members) -> tuple[Tool | OpaqueTool, ...]:
    found: list[Tool | OpaqueTool] = []
    for raw in objects(config.get("tools")):
        cache = cache_of(raw["cachePoint"]) if "cachePoint" in raw else None
        last = found[-1] if found else None
        if cache is not None and isinstance(last, Tool) and last.cache is None:
            found[-1] = replace(last, cache=cache)
        else:
            found.append(_read_tool(raw))
    return tuple(found)


def _read_tool(raw: Members) -> Tool | OpaqueTool:
    spec = mapping(raw.get("toolSpec"))
    if not spec:
        kind = next(iter(raw), "")
        return OpaqueTool(NAME, string(mapping(raw.get(kind)).get("name")) or kind, raw)
    strict = spec.get("strict")
    return Tool(
        string(spec.get("name")),
        string(spec.get("description")),
        mapping(mapping(spec.get("inputSchema")).get("json")),
        strict if isinstance(strict, bool) else None,
        extras=extras(spec, "name", "description", "inputSchema", "strict"),
    )


def read_choice(config: Members) -> ToolChoice | None:
    choice = mapping(config.get("toolChoice"))
    if "tool" in choice:
        return ToolChoice("named", string(mapping(choice["tool"]).get("name")))
    if "any" in choice:
        return ToolChoice("required")
    return ToolChoice("auto") if "auto" in choice else None


def write_config(
    request: Request, blocks: Blocks, thinking: bool, answer: Format | None = None
) -> Members | None:
    """None without tools; a history with calls makes them necessary, and so does a forced `answer`."""
    tools = [item for tool in request.tools for item in _write_tool(tool, blocks)]
    if answer is not None:
        return _forced(tools, structured.tool(answer), request, blocks)
    if not any("cachePoint" not in tool for tool in tools):
        tools = _from_history(blocks)
    if not tools:
        return None
    choice = _write_choice(request.tool_choice, blocks, thinking) if request.tools else None
    return {"tools": tools} | ({"toolChoice": choice} if choice else {})


def _forced(tools: list[Members], answer: Tool, request: Request, blocks: Blocks) -> Members:
    """The answer as a call that has to be made; beside other tools, one call of any has to be made."""
    choices = (blocks.family or UNKNOWN).choices
    if request.tool_choice is not None and request.tool_choice.mode == "none":
        tools = []
    if tools or "named" not in choices:
        return {"tools": [*tools, *_write_tool(answer, blocks)], "toolChoice": {"any": {}}}
    return {"tools": _write_tool(answer, blocks), "toolChoice": {"tool": {"name": answer.name}}}


def _write_tool(tool: Tool | OpaqueTool, blocks: Blocks) -> list[Members]:
    if isinstance(tool, OpaqueTool):
        if tool.dialect == NAME:
            return [dict(tool.raw)]
        blocks.context.warn(f"tools: {tool.kind} of {tool.dialect} is not known to Converse")
        return []
    found: list[Members] = [{"toolSpec": _spec(tool, blocks)}]
    if tool.cache is not None and _caching(blocks):
        found.append(cache_point(tool.cache))
    return found


def _caching(blocks: Blocks) -> bool:
    taken = (blocks.family or UNKNOWN).caches_tools
    if not taken:
        model = blocks.context.target.model or "the model"
        blocks.context.warn(f"toolConfig: a cachePoint among the tools is not taken by {model}")
    return taken


def _spec(tool: Tool, blocks: Blocks) -> Members:
    name = tool_name(tool.name)
    if name != tool.name:
        blocks.context.warn(f"tools: {tool.name!r} is called {name!r} for Bedrock")
    spec: Members = {"name": name}
    if description := freetext.described(tool):
        spec["description"] = description
    spec["inputSchema"] = {"json": _schema(tool, blocks)}
    if tool.strict is not None and (blocks.family or UNKNOWN).schemas:
        spec["strict"] = tool.strict
    return spec | own(tool.extras)


def _schema(tool: Tool, blocks: Blocks) -> Mapping[str, Json]:
    if tool.schema is None:
        blocks.context.warn(f"tools: {tool.name} takes free text, asked for as its member `input`")
        return TEXT_INPUT
    return schemas.rooted(tool.schema, tool.name, blocks.context)


def _from_history(blocks: Blocks) -> list[Members]:
    """Converse refuses calls and results in the history when no tools are declared."""
    if not blocks.called and not blocks.answered:
        return []
    blocks.context.warn("toolConfig: supplied from the history, which has calls of tools")
    names: Sequence[str] = list(dict.fromkeys(blocks.called)) or ["unavailable"]
    return [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in names]


def _write_choice(choice: ToolChoice | None, blocks: Blocks, thinking: bool) -> Members | None:
    if choice is None:
        return None
    warn, model = blocks.context.warn, blocks.context.target.model or "the model"
    if choice.parallel is False:
        warn("tool_choice.parallel: parallel calls cannot be switched off in Converse")
    if choice.mode == "none":
        warn("tool_choice: Converse cannot forbid calls; the tools stay declared")
        return None
    if thinking and choice.mode != "auto":
        warn("tool_choice: with reasoning the model itself has to choose; sent as auto")
        return {"auto": {}}
    if choice.mode not in (blocks.family or UNKNOWN).choices:
        if choice.mode != "auto":
            warn(f"tool_choice: {choice.mode} is not taken by {model}")
        return None
    if choice.mode == "named":
        return {"tool": {"name": tool_name(choice.name)}}
    return {"auto": {}} if choice.mode == "auto" else {"any": {}}
