"""Anthropic's messages, message events and counters, as Anthropic itself, Bedrock and Vertex send them."""

from dataclasses import replace
from typing import Any

from llm_intercept.wire.fields import first_count, mapping, objects, text, total
from llm_intercept.wire.reading import Payload, Reading, message_of
from llm_intercept.wire.usage import Usage

NESTED = ("cache_creation", "server_tool_use", "output_tokens_details")


def note_usage(reading: Reading, usage: object) -> None:
    """Cumulative counters: the last non-null of each counts and nothing is added from event to event."""
    known = mapping(usage)
    if not known:
        return
    raw = reading.raw
    for name, value in known.items():
        if name in NESTED:
            told = {member: count for member, count in mapping(value).items() if count is not None}
            raw[name] = {**mapping(raw.get(name)), **told}
        elif value is not None:
            raw[name] = value
    tier = text(raw.get("service_tier"), 40) or None
    reading.usage = replace(_with_compactions(raw), service_tier=tier)


def _with_compactions(raw: dict[str, Any]) -> Usage:
    """The top level leaves out what compacting the context cost, which is charged as well.

    (An advisor's iterations are charged at another model's price; they are not ours to add.)
    """
    usage = _convention(raw)
    for iteration in objects(raw.get("iterations")):
        if iteration.get("type") == "compaction":
            usage = _added(usage, _convention(iteration))
    return usage


def _added(one: Usage, other: Usage) -> Usage:
    return Usage(
        input=total(one.input, other.input),
        output=total(one.output, other.output),
        cache_read=total(one.cache_read, other.cache_read),
        cache_write=total(one.cache_write, other.cache_write),
        cache_write_1h=total(one.cache_write_1h, other.cache_write_1h),
        reasoning=total(one.reasoning, other.reasoning),
        web_searches=one.web_searches,
    )


def _convention(raw: dict[str, Any]) -> Usage:
    """Anthropic's input excludes what the cache gave and took; ours includes it."""
    lifetimes = mapping(raw.get("cache_creation"))
    long = first_count(lifetimes, "ephemeral_1h_input_tokens")
    read = first_count(raw, "cache_read_input_tokens")
    written = first_count(raw, "cache_creation_input_tokens")
    if written is None:
        written = total(first_count(lifetimes, "ephemeral_5m_input_tokens"), long)
    plain = first_count(raw, "input_tokens")
    return Usage(
        input=None if plain is None else total(plain, read, written),
        output=first_count(raw, "output_tokens"),
        cache_read=read,
        cache_write=written,
        cache_write_1h=long,
        reasoning=first_count(mapping(raw.get("output_tokens_details")), "thinking_tokens"),
        web_searches=first_count(mapping(raw.get("server_tool_use")), "web_search_requests"),
    )


def read_message(reading: Reading, message: Payload) -> None:
    """A whole message, or the legacy `completion`, or an error."""
    if message.get("type") == "error":
        note_error(reading, message.get("error"))
        return
    reading.identify(message.get("id"), message.get("model"))
    reading.finish_reason = text(message.get("stop_reason"), 60) or reading.finish_reason
    note_usage(reading, message.get("usage"))
    reading.add(message.get("completion"))
    for block in objects(message.get("content")):
        reading.add(block.get("text") or block.get("thinking"))


def note_error(reading: Reading, error: object) -> None:
    reading.fail(mapping(error).get("type"), message_of(error))


def read_event(reading: Reading, event: Payload) -> None:
    """One event of a message stream."""
    kind = event.get("type")
    if kind == "content_block_delta":
        _delta(reading, mapping(event.get("delta")))
    elif kind == "message_delta":
        delta = mapping(event.get("delta"))
        reading.finish_reason = text(delta.get("stop_reason"), 60) or reading.finish_reason
        note_usage(reading, event.get("usage"))
    elif kind == "message_start":
        message = mapping(event.get("message"))
        reading.identify(message.get("id"), message.get("model"))
        note_usage(reading, message.get("usage"))
    elif kind == "message_stop":
        reading.complete = True
    else:
        _rare(reading, kind, event)


def _delta(reading: Reading, delta: Payload) -> None:
    piece = delta.get("text") or delta.get("partial_json") or delta.get("thinking")
    reading.add(piece)


def _rare(reading: Reading, kind: object, event: Payload) -> None:
    if kind == "content_block_start":
        block = mapping(event.get("content_block"))
        reading.add(block.get("text") or block.get("thinking"))
    elif kind == "error":
        note_error(reading, event.get("error"))
    elif kind == "completion":  # the legacy /v1/complete
        reading.identify(event.get("id"), event.get("model"))
        reading.add(event.get("completion"))
        if event.get("stop_reason"):
            reading.finish_reason = text(event.get("stop_reason"), 60)
            reading.complete = True
