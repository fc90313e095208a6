"""Chat completions, as OpenAI defined them and most of the trade speaks them; extra counters included.

Groq puts the usage of a stream into `x_groq`; Azure begins with a chunk without choices.
"""

from llm_intercept.errors import Refusal, Reply
from llm_intercept.wire.facts import RequestFacts, words
from llm_intercept.wire.families import openai
from llm_intercept.wire.fields import mapping, objects, parse_object, text
from llm_intercept.wire.reading import Payload, Reading


def refusal(refusal: Refusal, request_id: str) -> Reply:
    return openai.refuse(refusal, request_id)


def read_request(body: bytes) -> RequestFacts:
    return openai.facts(body)


def prompt_text(body: bytes) -> str:
    payload = parse_object(body)
    return words(
        payload.get("messages"),
        payload.get("tools"),
        payload.get("functions"),
        payload.get("response_format"),
        payload.get("input"),
        payload.get("prompt"),
        payload.get("instructions"),
    )


def read_error(status: int, body: bytes) -> tuple[str, str]:
    return openai.read_error(status, body)


def read_answer(reading: Reading, payload: Payload) -> None:
    _note(reading, payload)
    for choice in objects(payload.get("choices")):
        _content(reading, mapping(choice.get("message")))
        reading.finish_reason = text(choice.get("finish_reason"), 60) or reading.finish_reason


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    for choice in payload.get("choices") or ():
        delta = choice.get("delta") or choice.get("message")
        if delta:
            _content(reading, delta)
        if choice.get("finish_reason"):
            reading.finish_reason = text(choice["finish_reason"], 60)
            reading.complete = True
    if payload.get("usage") or not reading.response_id or "error" in payload or "x_groq" in payload:
        _note(reading, payload)


def _note(reading: Reading, payload: Payload) -> None:
    reading.identify(payload.get("id"), payload.get("model"))
    reading.usage.absorb(openai.usage(payload.get("usage") or mapping(payload.get("x_groq")).get("usage")))
    reading.usage.service_tier = text(payload.get("service_tier"), 40) or reading.usage.service_tier
    error = payload.get("error") or mapping(payload.get("x_groq")).get("error")
    if error:
        openai.note_error(reading, error)


def _content(reading: Reading, message: Payload) -> None:
    """`reasoning_content` is DeepSeek's and others' name, `reasoning` OpenRouter's and Groq's."""
    content = message.get("content")
    if len(message) == 1 and isinstance(content, str):  # nearly every event of a stream
        reading.add(content)
        return
    if isinstance(content, list):  # Mistral's thinking models
        reading.add(words(content))
    else:
        reading.add(content)
    reading.add(message.get("reasoning_content") or message.get("reasoning") or message.get("refusal"))
    for call in message.get("tool_calls") or ():
        function = mapping(call.get("function"))
        reading.add(function.get("arguments") or function.get("name"))
    if message.get("function_call"):
        reading.add(mapping(message["function_call"]).get("arguments"))
    if message.get("audio"):
        reading.add(mapping(message["audio"]).get("transcript"))
