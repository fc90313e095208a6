"""Usage on Anthropic's wire: input without what the cache gave and took, lifetimes of what it took.

An answer of Anthropic's own keeps its counters as they were (`extras`), so that what has no word in our
convention (geography, iterations) comes back; for the others every counter that clients read is there.
"""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codecs.anthropic.members import own
from llm_intercept.wire.families import anthropic
from llm_intercept.wire.fields import mapping
from llm_intercept.wire.ir import Extras, Json
from llm_intercept.wire.reading import Reading
from llm_intercept.wire.usage import Usage

TIERS = ("standard", "priority", "batch")


def read(usage: object) -> Usage:
    """Our convention, of one usage object."""
    reading = Reading()
    anthropic.note_usage(reading, usage)
    return reading.usage


def written(usage: Usage, extras: Extras, estimate: int | None = None) -> dict[str, Json]:
    """The counters of an answer; as they came if they are Anthropic's own."""
    kept = mapping(own(extras).get("usage"))
    if kept:
        return {**_least(usage, estimate), **kept}
    return composed(usage, estimate)


def composed(usage: Usage, estimate: int | None = None) -> dict[str, Json]:
    read, written, long = usage.cache_read or 0, usage.cache_write or 0, usage.cache_write_1h or 0
    new: dict[str, Json] = {
        "input_tokens": plain_input(usage, estimate),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": max(0, written - long),
            "ephemeral_1h_input_tokens": long,
        },
        "output_tokens": usage.output or 0,
    }
    if usage.reasoning:
        new["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.web_searches:
        new["server_tool_use"] = {"web_search_requests": usage.web_searches, "web_fetch_requests": 0}
    if usage.service_tier in TIERS:
        new["service_tier"] = usage.service_tier
    return new


def plain_input(usage: Usage, estimate: int | None) -> int:
    if usage.input is None:
        return estimate or 0
    return max(0, usage.input - (usage.cache_read or 0) - (usage.cache_write or 0))


def _least(usage: Usage, estimate: int | None) -> dict[str, Json]:
    """What the official types insist on."""
    return {"input_tokens": plain_input(usage, estimate), "output_tokens": usage.output or 0}


def together(early: Usage | None, late: Usage) -> Usage:
    total = Usage()
    if early is not None:
        total.absorb(early)
    total.absorb(late)
    return total


def raw(source: Mapping[str, Any]) -> dict[str, Json]:
    """The usage member of a message or an event, as it stands."""
    return dict(mapping(source.get("usage")))
