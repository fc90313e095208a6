"""Tools and the choice among them, both ways."""

from collections.abc import Iterable, Mapping

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_responses.content import note_cache
from llm_intercept.wire.codecs.openai_responses.items import string
from llm_intercept.wire.codecs.openai_responses.names import Flat, flat, namespace_of
from llm_intercept.wire.codecs.openai_responses.terms import (
    NAME,
    TARGET,
    Members,
    Raw,
    kept,
    own,
    rest,
    written,
)
from llm_intercept.wire.families.schemas import spelled_out
from llm_intercept.wire.fields import mapping, objects
from llm_intercept.wire.ir import OpaqueTool, Request, Tool, ToolChoice

WORDS = frozenset(("type", "name", "description", "parameters", "strict"))
ANY: Members = {"type": "object", "properties": {}}

type AnyTool = Tool | OpaqueTool


def decode_tools(raw: object, names: Flat) -> tuple[AnyTool, ...]:
    found: list[AnyTool] = []
    for tool in objects(raw):
        if tool.get("type") == "namespace":
            found.extend(_members(tool, names))
        else:
            found.append(_decode(tool, {}, string(tool.get("name"))))
    return tuple(found)


def _members(namespace: Raw, names: Flat) -> Iterable[AnyTool]:
    group = {name: value for name, value in namespace.items() if name != "tools"}
    for tool in objects(namespace.get("tools")):
        name = string(tool.get("name"))
        inside = {"@namespace": group, "@name": name}
        key = (string(namespace.get("name")), name)
        yield _decode(tool, inside, names.get(key) or flat(*key))


def _decode(raw: Raw, inside: Raw, name: str) -> AnyTool:
    kind, description = raw.get("type"), string(raw.get("description"))
    if kind == "custom" and name:
        form = mapping(raw.get("format"))
        grammar = rest(form, ("type",)) if form.get("type") == "grammar" else None
        left = rest(raw, (*WORDS, "format")) if grammar else rest(raw, WORDS)
        return Tool(name, description, None, extras=kept({**left, **inside}), grammar=grammar)
    if kind not in ("function", None) or not name:
        return OpaqueTool(NAME, string(kind) or "tool", {**raw, **inside})
    strict = raw.get("strict")
    return Tool(
        name,
        description,
        mapping(raw.get("parameters")) or ANY,
        strict if isinstance(strict, bool) else None,
        extras=kept({**rest(raw, WORDS), **inside}),
    )


def encode_tools(tools: Iterable[AnyTool], native: bool, context: Context) -> list[Raw]:
    """Tools of one namespace stand in one group again. Other dialects' tools are not strict by default."""
    found: list[Raw] = []
    group: Members = {}
    for tool in tools:
        raw = _encode(tool, native, context)
        inside = _namespace(tool)
        if raw is None:
            continue
        if inside and inside == group:
            found[-1]["tools"].append(raw)
        else:
            found.append({**inside, "tools": [raw]} if inside else raw)
        group = inside
    return found


def _namespace(tool: AnyTool) -> Members:
    if isinstance(tool, Tool):
        return namespace_of(tool)
    return mapping(tool.raw.get("@namespace")) if tool.dialect == NAME else {}


def _encode(tool: AnyTool, native: bool, context: Context) -> Raw | None:
    if isinstance(tool, OpaqueTool):
        if tool.dialect == NAME:
            return {name: value for name, value in tool.raw.items() if name[0] != "@"}
        context.warn(f"tools: {tool.kind} of {tool.dialect} is not known to {TARGET}")
        return None
    if tool.cache is not None:
        note_cache(context)
    raw: Raw = {"type": "custom" if tool.schema is None else "function"}
    raw["name"] = own(tool.extras).get("@name") or tool.name
    if tool.description:
        raw["description"] = tool.description
    if tool.schema is not None:
        raw["parameters"] = tool.schema if native else spelled_out(tool.schema, tool.name, context)
        if tool.strict is not None or not native:
            raw["strict"] = bool(tool.strict)
    if tool.grammar is not None:
        raw["format"] = {"type": "grammar", **tool.grammar}
    return {**raw, **written(tool.extras)}


def decode_choice(body: Members, tools: Iterable[AnyTool]) -> tuple[ToolChoice | None, Raw]:
    """The choice, and what of it has no word."""
    choice, parallel = body.get("tool_choice"), body.get("parallel_tool_calls")
    simultaneous = parallel if isinstance(parallel, bool) else None
    if isinstance(choice, dict):
        found, kept_choice = _chosen(choice, tools)
        return ToolChoice(found.mode, found.name, simultaneous), kept_choice
    if choice in ("required", "none", "auto"):
        return ToolChoice(choice, "", simultaneous), {}
    return (None if simultaneous is None else ToolChoice(parallel=simultaneous)), {}


def _chosen(choice: Raw, tools: Iterable[AnyTool]) -> tuple[ToolChoice, Raw]:
    kind = choice.get("type")
    if kind in ("function", "custom") and isinstance(choice.get("name"), str):
        name = _called(choice["name"], tools)
        return ToolChoice("named", name), ({"@choice": choice} if name != choice["name"] else {})
    if kind == "allowed_tools":
        required = choice.get("mode") == "required"
        return ToolChoice("required" if required else "auto"), {"@choice": choice}
    return ToolChoice(), {"@choice": choice}


def _called(name: str, tools: Iterable[AnyTool]) -> str:
    """The flat name of the tool that the client calls by this one."""
    known = [tool for tool in tools if isinstance(tool, Tool)]
    if any(tool.name == name for tool in known):
        return name
    return next((tool.name for tool in known if own(tool.extras).get("@name") == name), name)


def allowed(choice: Members, tools: tuple[AnyTool, ...]) -> tuple[AnyTool, ...]:
    """What `allowed_tools` leaves: elsewhere only the list itself can say it."""
    if choice.get("type") != "allowed_tools":
        return tools
    entries = objects(choice.get("tools"))
    names = {string(entry.get("name")) for entry in entries}
    kinds = {string(entry.get("type")) for entry in entries}
    return tuple(tool for tool in tools if _is_allowed(tool, names, kinds))


def _is_allowed(tool: AnyTool, names: set[str], kinds: set[str]) -> bool:
    if isinstance(tool, OpaqueTool):
        return tool.kind in kinds or string(tool.raw.get("server_label")) in names
    return tool.name in names or own(tool.extras).get("@name") in names


def encode_choice(request: Request, native: Members, context: Context) -> Raw:
    choice = request.tool_choice
    if choice is None:
        return {}
    raw: Raw = {}
    if choice.parallel is not None and "parallel_tool_calls" not in context.target.rejects:
        raw["parallel_tool_calls"] = choice.parallel
    if "tool_choice" in context.target.rejects:
        context.warn(f"tool_choice: not taken by {context.target.model or 'the model'}")
    elif request.tools or native:
        raw["tool_choice"] = native.get("@choice") or _written_choice(choice, request.tools)
    return raw


def _written_choice(choice: ToolChoice, tools: Iterable[AnyTool]) -> str | Mapping[str, str]:
    if choice.mode != "named":
        return choice.mode
    for tool in tools:
        if isinstance(tool, Tool) and tool.name == choice.name:
            kind = "custom" if tool.schema is None else "function"
            return {"type": kind, "name": own(tool.extras).get("@name") or tool.name}
    return {"type": "function", "name": choice.name}
