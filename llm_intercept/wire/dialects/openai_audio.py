"""Speech and transcription: usage in tokens where the model counts tokens (others bill by duration)."""

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
    payload = parse_object(body)
    return words(payload.get("input"), payload.get("instructions"))


def read_error(status: int, body: bytes) -> tuple[str, str]:
    return openai.read_error(status, body)


def read_answer(reading: Reading, payload: Payload) -> None:
    """`usage.type` is `tokens` or `duration`; seconds are no tokens and have none of their names."""
    reading.identify(payload.get("id"), payload.get("model"))
    reading.usage.absorb(openai.usage(payload.get("usage")))
    reading.add(payload.get("text"))
    if payload.get("error"):
        openai.note_error(reading, payload["error"])


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    """`transcript.text.delta` and `.done`; for speech `speech.audio.delta` and `.done`."""
    kind = payload.get("type")
    if kind == "transcript.text.delta":
        reading.add(payload.get("delta"))
        return
    reading.content = reading.content or kind == "speech.audio.delta"
    if isinstance(kind, str) and kind.endswith(".done"):
        reading.complete = True
    reading.usage.absorb(openai.usage(payload.get("usage")))
    if payload.get("error"):
        openai.note_error(reading, payload["error"])
