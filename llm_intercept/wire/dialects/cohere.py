"""Cohere's own API: chat v1 and v2, embed, rerank.

`usage.tokens` counts what went through the model; `billed_units` leaves out Cohere's own prompt
around it and is what embeddings have alone.
"""

from llm_intercept.errors import Refusal, Reply
from llm_intercept.wire.facts import RequestFacts, common, words
from llm_intercept.wire.families.reply import json_reply
from llm_intercept.wire.fields import first_count, mapping, objects, parse_object, text
from llm_intercept.wire.reading import Payload, Reading, message_of
from llm_intercept.wire.usage import Usage


def refusal(refusal: Refusal, request_id: str) -> Reply:
    body = {"id": request_id, "message": refusal.message, "code": refusal.code}
    return json_reply(refusal, request_id, body)


def read_request(body: bytes) -> RequestFacts:
    payload = parse_object(body)
    return common(payload, payload.get("max_tokens"), payload.get("messages", payload.get("chat_history")))


def prompt_text(body: bytes) -> str:
    payload = parse_object(body)
    names = (
        "preamble",
        "messages",
        "chat_history",
        "message",
        "documents",
        "tools",
        "texts",
        "inputs",
        "query",
    )
    return words(*(payload.get(name) for name in names))


def read_error(status: int, body: bytes) -> tuple[str, str]:
    payload = parse_object(body)
    message = text(payload.get("message")) or message_of(payload.get("error"))
    return f"http_{status}", message or text(body.decode("utf-8", "replace").strip(), 300)


def read_answer(reading: Reading, payload: Payload) -> None:
    reading.identify(payload.get("id") or payload.get("generation_id"), payload.get("model"))
    reading.finish_reason = text(payload.get("finish_reason"), 60) or reading.finish_reason
    reading.usage.absorb(_usage(payload.get("usage") or payload.get("meta")))
    reading.add(payload.get("text"))
    for block in objects(mapping(payload.get("message")).get("content")):
        reading.add(block.get("text") or block.get("thinking"))


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    kind = payload.get("type") or payload.get("event_type")
    delta = mapping(payload.get("delta"))
    if kind in ("content-delta", "tool-plan-delta", "tool-call-delta"):
        _delta(reading, mapping(delta.get("message")))
    elif kind == "message-start":
        reading.identify(payload.get("id"), None)
    elif kind == "message-end":
        _end(reading, delta)
    elif kind in ("text-generation", "tool-calls-chunk"):  # v1
        reading.add(payload.get("text") or words(payload.get("tool_call_delta")))
    elif kind == "stream-end":  # v1
        read_answer(reading, {**mapping(payload.get("response")), "text": None})
        reading.finish_reason = text(payload.get("finish_reason"), 60)
        reading.complete = True


def _delta(reading: Reading, message: Payload) -> None:
    content = mapping(message.get("content"))
    reading.add(content.get("text") or content.get("thinking") or message.get("tool_plan"))
    if message.get("tool_calls"):
        reading.add(mapping(mapping(message["tool_calls"]).get("function")).get("arguments"))


def _end(reading: Reading, delta: Payload) -> None:
    reading.usage.absorb(_usage(delta.get("usage")))
    reading.finish_reason = text(delta.get("finish_reason"), 60)
    reading.complete = True
    if reading.finish_reason in ("ERROR", "ERROR_TOXIC", "ERROR_LIMIT"):
        reading.fail(reading.finish_reason, delta.get("error"))


def _usage(source: object) -> Usage:
    known = mapping(source)
    tokens, billed = mapping(known.get("tokens")), mapping(known.get("billed_units"))
    counted = {**billed, **tokens}
    return Usage(
        input=first_count(counted, "input_tokens"),
        output=first_count(counted, "output_tokens"),
        cache_read=first_count(known, "cached_tokens"),
        reasoning=first_count(counted, "reasoning_tokens"),
    )
