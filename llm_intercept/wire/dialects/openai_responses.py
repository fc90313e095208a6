"""OpenAI's Responses API, and the events of its Realtime API, which are called alike."""

from llm_intercept.errors import Refusal, Reply
from llm_intercept.wire.facts import RequestFacts, words
from llm_intercept.wire.families import openai
from llm_intercept.wire.fields import mapping, objects, parse_object, text
from llm_intercept.wire.reading import Payload, Reading

# Events that end a response. Realtime has one for all outcomes.
FINAL = frozenset(
    f"response.{end}" for end in ("completed", "incomplete", "failed", "done", "cancelled", "canceled")
)
# Deltas that are bytes rather than words: a token was seen, but there is nothing to count.
NOT_TEXT = frozenset(("response.audio.delta", "response.output_audio.delta"))


def refusal(refusal: Refusal, request_id: str) -> Reply:
    return openai.refuse(refusal, request_id)


def read_request(body: bytes) -> RequestFacts:
    return openai.facts(body)


def prompt_text(body: bytes) -> str:
    payload = parse_object(body)
    return words(
        payload.get("instructions"), payload.get("input"), payload.get("tools"), mapping(payload.get("text"))
    )


def read_error(status: int, body: bytes) -> tuple[str, str]:
    return openai.read_error(status, body)


def read_answer(reading: Reading, payload: Payload) -> None:
    """A response object, whole or inside its final event."""
    reading.identify(payload.get("id"), payload.get("model"))
    reading.usage.absorb(openai.usage(payload.get("usage")))
    reading.usage.service_tier = text(payload.get("service_tier"), 40) or reading.usage.service_tier
    reading.finish_reason = _finish(payload) or reading.finish_reason
    if payload.get("error"):
        openai.note_error(reading, payload["error"])
    elif payload.get("status") == "failed":
        _failure(reading, mapping(payload.get("status_details")))
    if not reading.pieces:
        _collect(reading, payload)


def _finish(payload: Payload) -> str:
    """Why it is incomplete says more than that it is; Realtime puts both into `status_details`."""
    details = mapping(payload.get("incomplete_details")) or mapping(payload.get("status_details"))
    return text(details.get("reason"), 60) or text(payload.get("status"), 60)


def _failure(reading: Reading, details: Payload) -> None:
    openai.note_error(reading, details.get("error") or details)


def _collect(reading: Reading, payload: Payload) -> None:
    for item in objects(payload.get("output")):
        reading.add(item.get("arguments") or item.get("input"))
        for part in objects(item.get("content")):
            reading.add(part.get("text") or part.get("transcript") or part.get("refusal"))


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    kind = payload.get("type")
    if not isinstance(kind, str):
        _untyped(reading, payload)
    elif kind.endswith(".delta") and kind.startswith("response."):
        _delta(reading, kind, payload.get("delta"))
    elif kind in FINAL:
        read_answer(reading, mapping(payload.get("response")))
        reading.complete = True
    elif kind == "response.created":
        response = mapping(payload.get("response"))
        reading.identify(response.get("id"), response.get("model"))
    elif kind == "error":
        openai.note_error(reading, payload.get("error") or payload)


def _delta(reading: Reading, kind: str, delta: object) -> None:
    if kind in NOT_TEXT:
        reading.content = True
    else:
        reading.add(delta)


def _untyped(reading: Reading, payload: Payload) -> None:
    """Servers that break off with an error object instead of an event."""
    if payload.get("error"):
        openai.note_error(reading, payload["error"])
