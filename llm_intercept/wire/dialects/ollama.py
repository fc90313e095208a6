"""Ollama's own API: chat, generate, embed; streams are JSON lines."""

from llm_intercept.errors import Refusal, Reply
from llm_intercept.wire.facts import RequestFacts, common, words
from llm_intercept.wire.families.reply import json_reply
from llm_intercept.wire.fields import first_count, mapping, objects, parse_object, text
from llm_intercept.wire.reading import Payload, Reading, message_of
from llm_intercept.wire.usage import Usage


def refusal(refusal: Refusal, request_id: str) -> Reply:
    return json_reply(refusal, request_id, {"error": refusal.message, "code": refusal.code})


def read_request(body: bytes) -> RequestFacts:
    """Unlike everyone else Ollama streams unless told not to, except for embeddings."""
    payload = parse_object(body)
    embeds = "input" in payload or not ("messages" in payload or "prompt" in payload)
    streams = payload.get("stream") is not False and not embeds
    limit = mapping(payload.get("options")).get("num_predict")
    return common({**payload, "stream": streams}, limit, payload.get("messages"))


def prompt_text(body: bytes) -> str:
    payload = parse_object(body)
    names = ("system", "messages", "prompt", "suffix", "tools", "input")
    return words(*(payload.get(name) for name in names))


def read_error(status: int, body: bytes) -> tuple[str, str]:
    message = message_of(parse_object(body).get("error"))
    return f"http_{status}", message or text(body.decode("utf-8", "replace").strip(), 300)


def read_answer(reading: Reading, payload: Payload) -> None:
    """Chunks and whole answers look alike; only the last has counters."""
    reading.identify(None, payload.get("model"))
    message = mapping(payload.get("message"))
    reading.add(message.get("content") or message.get("thinking") or payload.get("response"))
    reading.add(payload.get("thinking"))
    for call in objects(message.get("tool_calls")):
        reading.add(words(call.get("function")))
    if payload.get("error"):
        reading.fail("error", message_of(payload["error"]))
    reading.usage.absorb(
        Usage(input=first_count(payload, "prompt_eval_count"), output=first_count(payload, "eval_count"))
    )
    if payload.get("done") is True:
        reading.finish_reason = text(payload.get("done_reason"), 60)
        reading.complete = True


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    read_answer(reading, payload)
