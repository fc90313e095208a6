"""Amazon Bedrock's Converse and ConverseStream."""

from llm_intercept.errors import Refusal, Reply
from llm_intercept.wire.facts import RequestFacts, common, words
from llm_intercept.wire.families import aws
from llm_intercept.wire.fields import mapping, objects, parse_object, text
from llm_intercept.wire.reading import Payload, Reading


def refusal(refusal: Refusal, request_id: str) -> Reply:
    return aws.refuse(refusal, request_id)


def read_request(body: bytes) -> RequestFacts:
    """The model is in the path, and so is whether a stream is asked for."""
    payload = parse_object(body)
    limit = mapping(payload.get("inferenceConfig")).get("maxTokens")
    return common(payload, limit, payload.get("messages"))


def prompt_text(body: bytes) -> str:
    payload = parse_object(body)
    return words(payload.get("system"), payload.get("messages"), payload.get("toolConfig"))


def read_error(status: int, body: bytes) -> tuple[str, str]:
    return aws.read_error(status, body)


def read_answer(reading: Reading, payload: Payload) -> None:
    reading.usage.absorb(aws.usage(payload.get("usage")))
    reading.finish_reason = text(payload.get("stopReason"), 60) or reading.finish_reason
    for block in objects(mapping(mapping(payload.get("output")).get("message")).get("content")):
        _block(reading, block)


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    """`metadata`, with the usage, comes after `messageStop`."""
    if event == "contentBlockDelta":
        _block(reading, mapping(payload.get("delta")))
    elif event == "messageStop":
        reading.finish_reason = text(payload.get("stopReason"), 60)
        reading.complete = True
    elif event == "metadata":
        reading.usage.absorb(aws.usage(payload.get("usage")))
    else:
        aws.note_exception(reading, event, payload.get("message"))


def _block(reading: Reading, block: Payload) -> None:
    reading.add(block.get("text"))
    if "toolUse" in block:
        reading.add(words(mapping(block["toolUse"]).get("input")))
    if "reasoningContent" in block:
        thought = mapping(block["reasoningContent"])
        reading.add(thought.get("text") or mapping(thought.get("reasoningText")).get("text"))
