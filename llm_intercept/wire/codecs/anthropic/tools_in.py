"""Tools of a request: functions of the client, and tools that Anthropic runs or has trained for."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Untranslatable
from llm_intercept.wire.codecs.anthropic.members import NAME, beyond, cache_of, with_member
from llm_intercept.wire.fields import mapping
from llm_intercept.wire.ir import OpaqueTool, Tool, ToolChoice

KNOWN = frozenset({"name", "description", "input_schema", "strict", "cache_control"})
MODES = {"auto": "auto", "any": "required", "tool": "named", "none": "none"}


def tools(value: object) -> tuple[Tool | OpaqueTool, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Untranslatable("tools", "must be a list")
    return tuple(_tool(raw, f"tools[{at}]") for at, raw in enumerate(value))


def _tool(raw: object, path: str) -> Tool | OpaqueTool:
    if not isinstance(raw, dict):
        raise Untranslatable(path, "must be an object")
    kind = raw.get("type")
    if isinstance(kind, str) and kind != "custom":
        return OpaqueTool(NAME, kind, raw)
    return _custom(raw, path)


def _custom(raw: Mapping[str, Any], path: str) -> Tool:
    name, schema = raw.get("name"), raw.get("input_schema")
    if not isinstance(name, str) or not name:
        raise Untranslatable(f"{path}.name", "must be a name")
    cache, extras = cache_of(raw, beyond(raw, KNOWN))
    described = raw.get("description")
    if "description" in raw and not (isinstance(described, str) and described):
        extras = with_member(extras, "description", described)
    strict = raw.get("strict")
    return Tool(
        name,
        described if isinstance(described, str) else "",
        schema if isinstance(schema, dict) else {"type": "object", "properties": {}},
        strict if isinstance(strict, bool) else None,
        cache,
        extras,
    )


def choice(value: object) -> ToolChoice | None:
    raw = mapping(value)
    if not raw:
        return None
    mode = MODES.get(str(raw.get("type")))
    if mode is None:
        raise Untranslatable("tool_choice.type", f"{raw.get('type')!r} is not known")
    alone = raw.get("disable_parallel_tool_use")
    parallel = None if not isinstance(alone, bool) else not alone
    name = raw.get("name") if mode == "named" else ""
    return ToolChoice(mode, str(name or ""), parallel)  # type: ignore[arg-type]
