"""Why answers end, and what they cost: Google's words and counters and ours."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.dialects import gemini
from llm_intercept.wire.fields import mapping, text
from llm_intercept.wire.ir import Finish, Json
from llm_intercept.wire.reading import Reading
from llm_intercept.wire.usage import Usage

FINISHES: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "CONTINUATION": "pause",
}
REASONS: dict[Finish, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "stop_sequence": "STOP",
    "content_filter": "SAFETY",
    "refusal": "PROHIBITED_CONTENT",
    "pause": "OTHER",  # CONTINUATION comes with a token to go on with, and clients of some age cannot read it
    "overflow": "MAX_TOKENS",
    "error": "OTHER",
    "other": "OTHER",
}
_NUMBERED = {
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
    6: "LANGUAGE",
    7: "BLOCKLIST",
    8: "PROHIBITED_CONTENT",
    9: "SPII",
    10: "MALFORMED_FUNCTION_CALL",
}
_AFTER_CALLS = frozenset(("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"))
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"


def reason(value: object) -> str:
    """The word; with `enum-encoding=int` it is a number. "" while there is none."""
    if isinstance(value, int):
        return _NUMBERED.get(value, "OTHER" if value else "")
    word = text(value, 60)
    return "" if word == _UNSPECIFIED else word


def finish(word: str, calls: bool) -> Finish:
    """Gemini says STOP after function calls too. One of an unknown function the client can still answer."""
    found = FINISHES.get(word, "other")
    return "tool_calls" if calls and (found == "stop" or word in _AFTER_CALLS) else found


def usage(metadata: Mapping[str, Json]) -> Usage:
    reading = Reading()
    gemini.read_answer(reading, {"usageMetadata": metadata})
    return reading.usage


def encode_usage(counters: Usage, native: object) -> dict[str, Any]:
    """The client's provider's own, while it says the same; it has a breakdown by modality too."""
    if isinstance(native, dict) and usage(native) == counters:
        return native
    answered = counters.output
    if answered is not None and counters.reasoning is not None:
        answered = max(0, answered - counters.reasoning)
    known = {
        "promptTokenCount": counters.input,
        "candidatesTokenCount": answered,
        "cachedContentTokenCount": counters.cache_read,
        "thoughtsTokenCount": counters.reasoning,
        "totalTokenCount": (counters.input or 0) + (counters.output or 0) if counters.known else None,
        "promptTokensDetails": _audio(counters.input, counters.audio_input),
        "candidatesTokensDetails": _audio(answered, counters.audio_output),
        "cacheTokensDetails": _audio(counters.cache_read, counters.audio_cache_read),
        "serviceTier": counters.service_tier,
    }
    return {name: value for name, value in known.items() if value is not None}


def _audio(total: int | None, audio: int | None) -> list[dict[str, Any]] | None:
    if audio is None:
        return None
    rest = [{"modality": "TEXT", "tokenCount": max(0, total - audio)}] if total is not None else []
    return [*rest, {"modality": "AUDIO", "tokenCount": audio}]


def block_reason(payload: Mapping[str, Json]) -> str:
    """Why the prompt was refused; "" if it was not."""
    value = mapping(payload.get("promptFeedback")).get("blockReason")
    return str(value) if value else ""
