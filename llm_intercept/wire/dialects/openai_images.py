"""Image generation and editing: token usage of the gpt-image models, partial images as events."""

from llm_intercept.errors import Refusal, Reply
from llm_intercept.wire.facts import RequestFacts, words
from llm_intercept.wire.families import openai
from llm_intercept.wire.fields import parse_object
from llm_intercept.wire.reading import Payload, Reading


def refusal(refusal: Refusal, request_id: str) -> Reply:
    return openai.refuse(refusal, request_id)


def read_request(body: bytes) -> RequestFacts:
    return openai.facts(body)


def prompt_text(body: bytes) -> str:
    return words(parse_object(body).get("prompt"))


def read_error(status: int, body: bytes) -> tuple[str, str]:
    return openai.read_error(status, body)


def read_answer(reading: Reading, payload: Payload) -> None:
    reading.identify(payload.get("id"), payload.get("model"))
    reading.usage.absorb(openai.usage(payload.get("usage")))
    if payload.get("error"):
        openai.note_error(reading, payload["error"])


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    """`image_generation.partial_image`, then `image_generation.completed`; `image_edit...` alike."""
    read_answer(reading, payload)
    kind = payload.get("type")
    if isinstance(kind, str):
        reading.content = reading.content or "partial_image" in kind
        reading.complete = reading.complete or kind.endswith(".completed")
