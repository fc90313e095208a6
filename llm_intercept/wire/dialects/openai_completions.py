"""The legacy text completions of OpenAI and of everyone who still offers them."""

from llm_intercept.errors import Refusal, Reply
from llm_intercept.wire.facts import RequestFacts, words
from llm_intercept.wire.families import openai
from llm_intercept.wire.fields import objects, parse_object, text
from llm_intercept.wire.reading import Payload, Reading


def refusal(refusal: Refusal, request_id: str) -> Reply:
    return openai.refuse(refusal, request_id)


def read_request(body: bytes) -> RequestFacts:
    return openai.facts(body)


def prompt_text(body: bytes) -> str:
    payload = parse_object(body)
    return words(payload.get("prompt"), payload.get("suffix"))


def read_error(status: int, body: bytes) -> tuple[str, str]:
    return openai.read_error(status, body)


def read_answer(reading: Reading, payload: Payload) -> None:
    reading.identify(payload.get("id"), payload.get("model"))
    reading.usage.absorb(openai.usage(payload.get("usage")))
    for choice in objects(payload.get("choices")):
        reading.add(choice.get("text"))
        reading.finish_reason = text(choice.get("finish_reason"), 60) or reading.finish_reason
    if payload.get("error"):
        openai.note_error(reading, payload["error"])


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    read_answer(reading, payload)
    reading.complete = reading.complete or bool(reading.finish_reason)
