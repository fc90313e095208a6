"""Amazon Bedrock's InvokeModel: the model's own body, whole or in event stream chunks of base64.

Anthropic's bodies have their own events; the others differ only in the names of their counters.
What no body says, `amazon-bedrock-invocationMetrics` of the last chunk or the answer's headers do.
"""

from llm_intercept.errors import Refusal, Reply
from llm_intercept.wire.facts import RequestFacts, common, words
from llm_intercept.wire.families import anthropic, aws, chunks, openai
from llm_intercept.wire.fields import first_count, mapping, objects, parse_object, text, total
from llm_intercept.wire.reading import Payload, Reading
from llm_intercept.wire.usage import Usage

METRICS = "amazon-bedrock-invocationMetrics"


def refusal(refusal: Refusal, request_id: str) -> Reply:
    return aws.refuse(refusal, request_id)


def read_request(body: bytes) -> RequestFacts:
    """The model is in the path; limits have each vendor's own name."""
    payload = parse_object(body)
    nested = mapping(payload.get("textGenerationConfig")) or mapping(payload.get("inferenceConfig"))
    limits = (
        *("max_tokens", "maxTokens", "max_new_tokens", "maxTokenCount"),
        *("max_gen_len", "max_tokens_to_sample", "maxOutputTokens"),
    )
    return common(payload, first_count({**nested, **payload}, *limits), payload.get("messages"))


def prompt_text(body: bytes) -> str:
    payload = parse_object(body)
    names = (
        "system",
        "messages",
        "prompt",
        "inputText",
        "message",
        "chat_history",
        "texts",
        "tools",
        "query",
    )
    return words(*(payload.get(name) for name in names))


def read_error(status: int, body: bytes) -> tuple[str, str]:
    return aws.read_error(status, body)


def read_answer(reading: Reading, payload: Payload) -> None:
    if payload.get("type") in ("message", "error"):
        anthropic.read_message(reading, payload)
        return
    reading.identify(payload.get("id"), payload.get("model"))
    reading.usage.absorb(_usage(payload))
    _content(reading, payload)


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    if aws.note_exception(reading, event, payload.get("message")):
        return
    inner = chunks.opened(payload)
    kind = inner.get("type")
    if isinstance(kind, str) and kind != "completion":
        anthropic.read_event(reading, inner)
    else:
        _chunk(reading, inner)
    if METRICS in inner:
        _metrics(reading, aws.usage(inner[METRICS]))
        reading.complete = True


def _metrics(reading: Reading, metrics: Usage) -> None:
    """Anthropic's own counters know more (cache lifetimes); they are there when `raw` is."""
    if not reading.raw:
        reading.usage.absorb(metrics)


def _chunk(reading: Reading, inner: Payload) -> None:
    """Nova wraps each event in its name; the others send partial answers."""
    delta = mapping(mapping(inner.get("contentBlockDelta")).get("delta"))
    if delta:
        reading.add(delta.get("text") or words(mapping(delta.get("toolUse")).get("input")))
    elif "messageStop" in inner:
        reading.finish_reason = text(mapping(inner["messageStop"]).get("stopReason"), 60)
    elif "metadata" in inner:
        reading.usage.absorb(aws.usage(mapping(inner["metadata"]).get("usage")))
    else:
        reading.usage.absorb(_usage(inner))
        _content(reading, inner)


def _usage(payload: Payload) -> Usage:
    """Nova; Llama; Titan; and the OpenAI-like bodies of AI21, Mistral, DeepSeek and others."""
    known = mapping(payload.get("usage"))
    if "inputTokens" in known:
        return aws.usage(known)
    if known:
        return openai.usage(known)
    results = [first_count(result, "tokenCount") for result in objects(payload.get("results"))]
    generated = first_count(payload, "generation_token_count", "totalOutputTextTokenCount")
    return Usage(
        input=first_count(payload, "prompt_token_count", "inputTextTokenCount"),
        output=total(*results) if generated is None else generated,
    )


def _content(reading: Reading, payload: Payload) -> None:
    """Each vendor's place for text and for the reason why it ended."""
    parts = (
        *(payload, *objects(payload.get("results")), *objects(payload.get("outputs"))),
        *(*objects(payload.get("generations")), *objects(payload.get("choices"))),
        *objects(mapping(mapping(payload.get("output")).get("message")).get("content")),
    )
    for part in parts:
        for name in ("generation", "outputText", "text", "completion"):
            reading.add(part.get(name))
        reading.add(mapping(part.get("message") or part.get("delta")).get("content"))
        for name in ("stop_reason", "completionReason", "finish_reason", "stopReason"):
            reading.finish_reason = text(part.get(name), 60) or reading.finish_reason
