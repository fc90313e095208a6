"""The dialect's name, its ids, and how values keep members that the IR has no word for."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.ir import NO_EXTRAS, Extras
from llm_intercept.wire.toolids import fitted

NAME = "openai_completions"
ANSWER_ID = re.compile(r"(cmpl-|gen-)[A-Za-z0-9_.:\-]{1,120}")


def rest(source: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in source.items() if name not in known and value is not None}


def extras(members: Mapping[str, Any]) -> Extras:
    return {NAME: members} if members else NO_EXTRAS


def own(value_extras: Extras) -> Mapping[str, Any]:
    return value_extras.get(NAME, {})


def members(value_extras: Extras) -> dict[str, Any]:
    """The members to be written again; those that begin with an underscore are our own notes."""
    return {name: value for name, value in own(value_extras).items() if not name.startswith("_")}


def string(value: object) -> str:
    return value if isinstance(value, str) else ""


def number(value: object) -> float | None:
    """A number as it is written: an int stays one."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def answer_id(original: str, context: Context) -> str:
    return fitted(original, ANSWER_ID, "cmpl-") if original else f"cmpl-{context.mint(24)}"
