"""Operations without tokens of their own: model lists, files, batches, stored answers, whatever is not known.

Only errors are read from them. Refusals have OpenAI's shape, which most clients understand.
"""

from llm_intercept.errors import Refusal, Reply
from llm_intercept.wire.facts import RequestFacts
from llm_intercept.wire.families import openai
from llm_intercept.wire.reading import Payload, Reading


def refusal(refusal: Refusal, request_id: str) -> Reply:
    return openai.refuse(refusal, request_id)


def read_request(body: bytes) -> RequestFacts:
    return RequestFacts()


def prompt_text(body: bytes) -> str:
    return ""


def read_error(status: int, body: bytes) -> tuple[str, str]:
    return openai.read_error(status, body)


def read_answer(reading: Reading, payload: Payload) -> None:
    if payload.get("error"):
        openai.note_error(reading, payload["error"])


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    read_answer(reading, payload)
