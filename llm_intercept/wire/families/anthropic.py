"""Anthropic's messages, message events and counters, as Anthropic itself, Bedrock and Vertex send them."""

from typing import Any

from llm_intercept.wire.fields import first_count, mapping, objects, text, total
from llm_intercept.wire.reading import Payload, Reading, message_of

COUNTERS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


def note_usage(reading: Reading, usage: object) -> None:
    """Cumulative counters: the last non-null of each counts and nothing is added from event to event."""
    known = mapping(usage)
    if not known:
        return
    raw = reading.raw
    raw.update({name: known[name] for name in COUNTERS if known.get(name) is not None})
    for name in ("cache_creation", "server_tool_use", "output_tokens_details"):
        members = mapping(known.get(name)).items()
        raw.update({f"{name}.{member}": value for member, value in members if value is not None})
    reading.usage.service_tier = text(known.get("service_tier"), 40) or reading.usage.service_tier
    _add_up(reading, raw)


def _add_up(reading: Reading, raw: dict[str, Any]) -> None:
    usage = reading.usage
    short = first_count(raw, "cache_creation.ephemeral_5m_input_tokens")
    long = first_count(raw, "cache_creation.ephemeral_1h_input_tokens")
    written = first_count(raw, "cache_creation_input_tokens")
    usage.cache_read = first_count(raw, "cache_read_input_tokens")
    usage.cache_write = total(short, long) if written is None else written
    usage.cache_write_1h = long
    plain = first_count(raw, "input_tokens")
    if plain is not None:
        usage.input = total(plain, usage.cache_read, usage.cache_write)
    usage.output = first_count(raw, "output_tokens")
    usage.reasoning = first_count(raw, "output_tokens_details.thinking_tokens")
    usage.web_searches = first_count(raw, "server_tool_use.web_search_requests")


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
