"""The dialect's name, its limits, and how values keep members that the IR has no word for.

Private notes among a value's `extras` (how the client had written it) begin with an underscore.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from llm_intercept.wire.codec import Context, Target
from llm_intercept.wire.fields import count
from llm_intercept.wire.ir import NO_EXTRAS, Cache, Extras, Tool
from llm_intercept.wire.toolids import fitted, restored

NAME = "openai_chat"
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CALL_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,40}")
SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")  # the only form that Mistral takes
NEVER = re.compile(r"(?!)")
NO_OWN: Mapping[str, Any] = {}
CONTENT = "_content"  # a note: the client wrote content as a list of parts
CACHED = "_cached"  # a note: the message has the `cache_control` of this part
FIELD = "_field"  # a note: the member that held the reasoning
RAW = "_raw"  # a note: the whole part, in a form that has no one spelling
DETAIL = "_detail"  # a note: what an entry of `reasoning_details` has beside its text
LIMIT = "_limit"  # a note: the client said `max_completion_tokens`
REASONING = "_reasoning"  # a note: what the client said in members that followers have added to
LEGACY = "_legacy"  # a note: written as `functions` and `function_call`


def rest(source: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The members without a word in the IR; nulls say nothing."""
    return {name: value for name, value in source.items() if name not in known and value is not None}


def extras(members: Mapping[str, Any]) -> Extras:
    return {NAME: members} if members else NO_EXTRAS


def own(value_extras: Extras) -> Mapping[str, Any]:
    """The members of our dialect, notes included."""
    return value_extras.get(NAME, NO_OWN) if value_extras else NO_OWN


def members(value_extras: Extras) -> dict[str, Any]:
    """The members to be written again, notes left out."""
    return {name: value for name, value in own(value_extras).items() if not name.startswith("_")}


def minted(*seed: object) -> str:
    """An id for a call that has none: the same one whenever the same conversation comes again."""
    return fitted(" ".join(str(part) for part in seed), NEVER, "call_")


def call_id(original: str, target: Target | None = None) -> str:
    """The id as this target takes it."""
    if target is None or not target.short_tool_ids:
        return fitted(original, CALL_ID, "call_")
    return original if SHORT_ID.fullmatch(original) else fitted(original, NEVER, "")[:9]


def sent_name(name: str) -> str:
    """A tool's name within the dialect's limits; `given_name` takes it back."""
    readable = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:39] if not TOOL_NAME.fullmatch(name) else ""
    return fitted(name, TOOL_NAME, f"{readable}_")


def given_name(name: str, context: Context) -> str:
    """The name that the client gave the tool which is called."""
    if context.request is None:
        return name
    return restored(name, (tool.name for tool in context.request.tools if isinstance(tool, Tool)))


def wants_legacy(context: Context) -> bool:
    """The client wrote `functions` and reads `function_call`."""
    tools = context.request.tools if context.request is not None else ()
    return bool(tools) and all(isinstance(tool, Tool) and LEGACY in own(tool.extras) for tool in tools)


def cache_of(source: Mapping[str, Any]) -> Cache | None:
    """`cache_control`, which OpenRouter and others have from Anthropic."""
    control = source.get("cache_control")
    if not isinstance(control, dict):
        return None
    ttl = control.get("ttl")
    return Cache(ttl) if isinstance(ttl, str) and ttl else Cache()


def arguments_of(value: object) -> str:
    """Arguments as JSON text: as it came, or of the object that some servers send."""
    if isinstance(value, str):
        return value if value.strip() else "{}"
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else "{}"


def whole(value: object) -> int | None:
    return count(value)


def number(value: object) -> float | None:
    """A number as it is written: an int stays one."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def string(value: object) -> str:
    return value if isinstance(value, str) else ""


ANSWER_ID = re.compile(r"(chatcmpl-|gen-)[A-Za-z0-9_.:\-]{1,120}")


def answer_id(original: str, context: Context) -> str:
    """An answer's id as clients know it; OpenRouter's is kept, it can be asked about."""
    return fitted(original, ANSWER_ID, "chatcmpl-") if original else f"chatcmpl-{context.mint(24)}"
