"""Members of Anthropic's objects: those the neutral model has no word for, and cache breakpoints.

They stay in `extras["anthropic"]` under their own names. Three names there are ours: FORM ("string" where
the client wrote a content as a string), INSIDE (a system message that stood among the messages) and
OF_CALL (a redacted block that carries the signature of the tool call after it).
"""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.fields import parse
from llm_intercept.wire.ir import NO_EXTRAS, Cache, Extras, Json

NAME = "anthropic"
FORM = "lli.form"
INSIDE = "lli.inside"
OF_CALL = "lli.of_call"
OURS = frozenset({FORM, INSIDE, OF_CALL})
STRING: Extras = {NAME: {FORM: "string"}}
MARK: Extras = {NAME: {}}
"""Says that a value is Anthropic's own, where it has no other member to say it."""

EPHEMERAL = {"type": "ephemeral"}
_NOTHING: Mapping[str, Json] = {}


def own(extras: Extras) -> Mapping[str, Json]:
    """The members of this dialect."""
    return extras.get(NAME, _NOTHING) if extras else _NOTHING


def beyond(raw: Mapping[str, Any], known: frozenset[str]) -> Extras:
    """The members that are not known, as extras."""
    left = {name: value for name, value in raw.items() if name not in known}
    return {NAME: left} if left else NO_EXTRAS


def with_member(extras: Extras, name: str, value: Json) -> Extras:
    return {**extras, NAME: {**own(extras), name: value}}


def written(extras: Extras) -> dict[str, Json]:
    """The members of this dialect that go on the wire again."""
    return {name: value for name, value in own(extras).items() if name not in OURS}


def cache_of(raw: Mapping[str, Any], extras: Extras) -> tuple[Cache | None, Extras]:
    """The breakpoint of a block. What it says beyond its lifetime (`scope`) stays in the extras."""
    control = raw.get("cache_control")
    if not isinstance(control, dict):
        return None, extras
    cache = Cache("1h" if control.get("ttl") == "1h" else "5m")
    if control != cache_control(cache):
        extras = with_member(extras, "cache_control", control)
    return cache, extras


def cache_control(cache: Cache) -> dict[str, str]:
    return {**EPHEMERAL, "ttl": "1h"} if cache.ttl == "1h" else dict(EPHEMERAL)


def complete(block: dict[str, Json], cache: Cache | None, extras: Extras) -> dict[str, Json]:
    """The block with its breakpoint and with what else it had on the wire."""
    if cache is not None:
        block["cache_control"] = cache_control(cache)
    if extras:
        block.update(written(extras))
    return block


def as_object(arguments: str) -> dict[str, Json]:
    """Arguments as the object that Anthropic wants; what is no object is put into one."""
    if not arguments or arguments == "{}":
        return {}
    value = parse(arguments)
    if isinstance(value, dict):
        return value
    return {} if not arguments.strip() else {"arguments": arguments if value is None else value}
