"""Embeddings and reranking in OpenAI's shape: OpenAI, Azure, Voyage, Mistral, Together, local servers."""

from llm_intercept.errors import Refusal, Reply
from llm_intercept.wire.facts import RequestFacts, words
from llm_intercept.wire.families import openai
from llm_intercept.wire.fields import mapping, parse_object
from llm_intercept.wire.reading import Payload, Reading


def refusal(refusal: Refusal, request_id: str) -> Reply:
    return openai.refuse(refusal, request_id)


def read_request(body: bytes) -> RequestFacts:
    return openai.facts(body)


def prompt_text(body: bytes) -> str:
    payload = parse_object(body)
    return words(payload.get("input"), payload.get("query"), payload.get("documents"))


def read_error(status: int, body: bytes) -> tuple[str, str]:
    return openai.read_error(status, body)


def read_answer(reading: Reading, payload: Payload) -> None:
    """Some rerankers put their usage into `meta`. What is embedded has no output tokens to speak of."""
    reading.identify(payload.get("id"), payload.get("model"))
    reading.usage.absorb(openai.usage(payload.get("usage") or mapping(payload.get("meta")).get("tokens")))
    if payload.get("error"):
        openai.note_error(reading, payload["error"])


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    read_answer(reading, payload)
