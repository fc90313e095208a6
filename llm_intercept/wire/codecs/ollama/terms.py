"""The dialect's name, and what both directions need: ids, arguments, times, members unknown to the IR."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from llm_intercept.wire.codec import Context
from llm_intercept.wire.fields import parse
from llm_intercept.wire.ir import NO_EXTRAS, Extras, Tool, ToolCall
from llm_intercept.wire.toolids import fitted, restored

NAME = "ollama"
CALL_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")
NEVER = re.compile(r"(?!)")
EPOCH = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")


def rest(source: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in source.items() if name not in known and value is not None}


def extras(members: Mapping[str, Any]) -> Extras:
    return {NAME: members} if members else NO_EXTRAS


def own(value_extras: Extras) -> Mapping[str, Any]:
    return value_extras.get(NAME, {}) if value_extras else {}


def string(value: object) -> str:
    return value if isinstance(value, str) else ""


def minted(*seed: object) -> str:
    """An id for a call that has none: the same one whenever the same conversation comes again."""
    return fitted(" ".join(str(part) for part in seed), NEVER, "call_")


def call_id(original: str) -> str:
    return fitted(original, CALL_ID, "call_")


def given_name(name: str, context: Context) -> str:
    """The name that the client gave the tool which is called."""
    if context.request is None:
        return name
    return restored(name, (tool.name for tool in context.request.tools if isinstance(tool, Tool)))


def text_of(arguments: object) -> str:
    """Arguments as JSON text, their members in order; some models send text already."""
    if isinstance(arguments, str):
        return arguments if arguments.strip() else "{}"
    return orjson.dumps(arguments).decode() if isinstance(arguments, dict) else "{}"


def object_of(call: ToolCall, context: Context) -> dict[str, Any]:
    """Arguments as the object that the dialect has; free text becomes its member `input`."""
    found = None if call.custom else parse(call.arguments or "{}")
    if isinstance(found, dict):
        return found
    context.warn(f"arguments of {call.name}: no JSON object, sent as `input`")
    return {"input": call.arguments}


def written_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_time(value: object) -> int:
    """Seconds since 1970 of `created_at`; 0 for what is no time."""
    found = EPOCH.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return 0
    try:
        return max(0, int(datetime.fromisoformat(found[1] + found[2]).timestamp()))
    except (ValueError, OverflowError):
        return 0
