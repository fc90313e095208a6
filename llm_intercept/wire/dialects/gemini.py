"""Google's generateContent, of the Gemini API and of Vertex, streamed and not; embeddings and token counting.

`usageMetadata` comes with every chunk and is cumulative. Thoughts are counted beside the
candidates and the results of built-in tools beside the prompt: our usage adds both.
"""

import math

from llm_intercept.errors import Refusal, RefusalKind, Reply
from llm_intercept.wire.facts import RequestFacts, common, words
from llm_intercept.wire.families.reply import json_reply
from llm_intercept.wire.fields import count, first_count, mapping, objects, parse, text, total
from llm_intercept.wire.reading import Payload, Reading, message_of
from llm_intercept.wire.usage import Usage

STATUS_WORDS: dict[RefusalKind, str] = {
    "invalid_request": "INVALID_ARGUMENT",
    "authentication": "UNAUTHENTICATED",
    "budget": "RESOURCE_EXHAUSTED",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "timeout": "DEADLINE_EXCEEDED",
    "too_large": "INVALID_ARGUMENT",
    "upgrade_required": "FAILED_PRECONDITION",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "internal": "INTERNAL",
    "upstream": "UNAVAILABLE",
    "unavailable": "UNAVAILABLE",
}
# Words of statuses that no refusal of ours has.
OTHER_WORDS = {409: "ALREADY_EXISTS", 499: "CANCELLED", 501: "UNIMPLEMENTED"}
FINISH_WORDS = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
RPC = "type.googleapis.com/google.rpc."
_IMAGE, _AUDIO = ("IMAGE", 2), ("AUDIO", 4)  # enumerations may come as numbers


def refusal(refusal: Refusal, request_id: str) -> Reply:
    details: list[dict[str, object]] = [
        {"@type": f"{RPC}ErrorInfo", "reason": refusal.code, "domain": "llm-intercept"},
        {"@type": f"{RPC}RequestInfo", "requestId": request_id},
    ]
    if refusal.retry_after is not None:
        delay = f"{max(1, math.ceil(refusal.retry_after))}s"
        details.append({"@type": f"{RPC}RetryInfo", "retryDelay": delay})
    error = {
        "code": refusal.status,
        "message": refusal.message,
        "status": OTHER_WORDS.get(refusal.status, STATUS_WORDS[refusal.kind]),
        "details": details,
    }
    return json_reply(refusal, request_id, {"error": error})


def read_request(body: bytes) -> RequestFacts:
    """The model is in the path, and so is whether a stream is asked for."""
    payload = mapping(parse(body))
    config = mapping(payload.get("generationConfig") or payload.get("generation_config"))
    limit = config.get("maxOutputTokens", config.get("max_output_tokens"))
    return common({**payload, "n": config.get("candidateCount")}, limit, payload.get("contents"))


def prompt_text(body: bytes) -> str:
    payload = mapping(parse(body))
    return words(
        payload.get("systemInstruction") or payload.get("system_instruction"),
        payload.get("contents"),
        payload.get("content"),
        payload.get("requests"),
        payload.get("instances"),
        payload.get("tools"),
    )


def read_error(status: int, body: bytes) -> tuple[str, str]:
    """A stream without `alt=sse` wraps its error into an array."""
    document = parse(body)
    error = mapping(document[0] if isinstance(document, list) and document else document).get("error")
    kind = text(mapping(error).get("status"), 200) or f"http_{status}"
    return kind, message_of(error) or text(body.decode("utf-8", "replace").strip(), 300)


def read_answer(reading: Reading, payload: Payload) -> None:
    reading.identify(payload.get("responseId"), payload.get("modelVersion"))
    reading.usage.absorb(_usage(payload))
    for candidate in objects(payload.get("candidates")):
        _content(reading, mapping(candidate.get("content")))
        if candidate.get("finishReason"):
            reading.finish_reason = _finish(candidate["finishReason"])
            reading.complete = True
    blocked = mapping(payload.get("promptFeedback")).get("blockReason")
    if blocked:
        reading.finish_reason = text(blocked, 60)
        reading.complete = True
    if payload.get("error"):
        error = mapping(payload["error"])
        reading.fail(error.get("status") or error.get("code"), message_of(error))


def read_event(reading: Reading, event: str, payload: Payload) -> None:
    read_answer(reading, mapping(payload.get("response")) or payload)


def _content(reading: Reading, content: Payload) -> None:
    for part in objects(content.get("parts")):
        if "text" in part:
            reading.add(part["text"])
        elif "functionCall" in part:
            reading.add(words(part["functionCall"]) or "()")
        elif part:
            reading.content = reading.content or "thoughtSignature" not in part


def _finish(reason: object) -> str:
    """With `$alt=json;enum-encoding=int` enumerations are numbers."""
    if isinstance(reason, int):
        return FINISH_WORDS.get(reason, str(reason))
    return text(reason, 60)


def _usage(payload: Payload) -> Usage:
    known = mapping(payload.get("usageMetadata"))
    if not known:
        return _embedded(payload)
    thoughts = first_count(known, "thoughtsTokenCount")
    answered = first_count(known, "candidatesTokenCount", "responseTokenCount")
    return Usage(
        input=total(first_count(known, "promptTokenCount"), first_count(known, "toolUsePromptTokenCount")),
        output=total(answered, thoughts),
        cache_read=first_count(known, "cachedContentTokenCount"),
        reasoning=thoughts,
        audio_input=_of(_AUDIO, known.get("promptTokensDetails")),
        audio_output=_of(_AUDIO, known.get("candidatesTokensDetails")),
        audio_cache_read=_of(_AUDIO, known.get("cacheTokensDetails")),
        image_input=_of(_IMAGE, known.get("promptTokensDetails")),
        image_output=_of(_IMAGE, known.get("candidatesTokensDetails")),
        image_cache_read=_of(_IMAGE, known.get("cacheTokensDetails")),
        service_tier=text(known.get("serviceTier"), 40) or None,
    )


def _of(modality: tuple[str, int], details: object) -> int | None:
    """Only where the provider breaks down by modality and names this one."""
    return total(*(count(d.get("tokenCount")) for d in objects(details) if d.get("modality") in modality))


def _embedded(payload: Payload) -> Usage:
    """Vertex's `:predict` counts the tokens of each embedding."""
    counted = [
        first_count(mapping(mapping(p.get("embeddings")).get("statistics")), "token_count", "tokenCount")
        for p in objects(payload.get("predictions"))
    ]
    return Usage(input=total(*counted))
