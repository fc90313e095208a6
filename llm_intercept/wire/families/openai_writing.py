"""What the codecs of OpenAI's dialects write alike: counters, errors, the names of finish reasons, ids."""

import math
import re
from collections.abc import Mapping
from typing import Any

from llm_intercept.errors import STATUS_OF, Refusal
from llm_intercept.wire.families import openai
from llm_intercept.wire.families.failures import code_of, failure, retry_after
from llm_intercept.wire.fields import mapping, parse_object, text
from llm_intercept.wire.ir import Failure, Finish
from llm_intercept.wire.reading import message_of
from llm_intercept.wire.usage import Usage

FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "model_context_window_exceeded": "overflow",
    "insufficient_system_resource": "error",
    "network_error": "error",
    "error": "error",
}
# "length" is the only word of the dialect for an answer that is not all there.
FINISH_WORDS: dict[Finish, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "overflow": "length",
    "error": "length",
    "other": "stop",
}
TIERS = frozenset(("auto", "default", "flex", "scale", "priority", "fast"))
CONTEXT_WORDS = re.compile(r"context (length|window)", re.IGNORECASE)


def finish_of(word: object, called: bool, refused: bool = False) -> Finish:
    """Servers say `stop` although tools were called, and after a refusal."""
    found = FINISHES.get(word, "other") if isinstance(word, str) else "stop"
    if called and found in ("stop", "other"):
        return "tool_calls"
    return "refusal" if refused and found == "stop" else found


def counted(usage: Usage) -> dict[str, Any]:
    """`usage` as OpenAI words it; `cache_write_tokens` and `cost` are OpenRouter's."""
    inputs, outputs = usage.input or 0, usage.output or 0
    written: dict[str, Any] = {
        "prompt_tokens": inputs,
        "completion_tokens": outputs,
        "total_tokens": inputs + outputs,
    }
    read = {
        "cached_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "audio_tokens": usage.audio_input,
    }
    if known := {name: value for name, value in read.items() if value is not None}:
        written["prompt_tokens_details"] = known
    made = {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_output}
    if known := {name: value for name, value in made.items() if value is not None}:
        written["completion_tokens_details"] = known
    if usage.cost_nanos is not None:
        written["cost"] = usage.cost_nanos / 1e9
    return written


def tier_of(usage: Usage, own: bool) -> str | None:
    """The service tier in OpenAI's words, or as a provider of our `own` dialect said it."""
    if own:
        return usage.service_tier
    tier = "default" if usage.service_tier == "standard" else usage.service_tier
    return tier if tier in TIERS else None


def read_failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """An error answer of OpenAI or of one of its many followers."""
    error_type, message = openai.read_error(status, body)
    code, _ = code_of(mapping(parse_object(body).get("error")).get("code"))
    return failure(status, error_type, code, message, retry_after(headers))


def streamed_failure(error: object) -> Failure:
    """An `error` member inside a stream, where there is no status but perhaps in its code."""
    known = mapping(error)
    code, status = code_of(known.get("code"))
    status = status or code_of(known.get("status_code"))[1]
    return failure(status, text(known.get("type"), 200), code, message_of(error), None)


def write_failure(failure: Failure, request_id: str) -> tuple[int, Mapping[str, str], bytes]:
    kind = failure.kind if failure.kind in STATUS_OF else "upstream"
    code, message = failure.code or kind, failure.message
    if failure.kind == "overflow":
        kind, code = "invalid_request", "context_length_exceeded"
        if not CONTEXT_WORDS.search(message):
            message = f"This model's maximum context length was exceeded: {message}"
    wait = failure.retry_after if failure.retry_after is None else math.ceil(failure.retry_after)
    reply = openai.refuse(Refusal(kind, code, message, wait), request_id)
    return reply.status, dict(reply.headers), reply.body
