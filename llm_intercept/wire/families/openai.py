"""OpenAI's shapes, which most of the trade has adopted: errors, counters, request fields."""

from typing import Any

from llm_intercept.errors import Refusal, RefusalKind, Reply
from llm_intercept.wire.facts import RequestFacts, common
from llm_intercept.wire.families.reply import json_reply
from llm_intercept.wire.fields import count, first_count, mapping, nanos, parse_object, text, total
from llm_intercept.wire.reading import Reading, message_of
from llm_intercept.wire.usage import Usage

ERROR_TYPES: dict[RefusalKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "budget": "insufficient_quota",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "timeout": "timeout_error",
    "too_large": "invalid_request_error",
    "upgrade_required": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "internal": "server_error",
    "upstream": "server_error",
    "unavailable": "server_error",
}
_LONGEST = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def refuse(refusal: Refusal, request_id: str) -> Reply:
    error = {
        "message": refusal.message,
        "type": ERROR_TYPES[refusal.kind],
        "param": None,
        "code": refusal.code,
    }
    # The SDKs read the id of a failed call from this header.
    return json_reply(refusal, request_id, {"error": error}, ("x-request-id", request_id))


def read_error(status: int, body: bytes) -> tuple[str, str]:
    payload = parse_object(body)
    error = payload.get("error") or payload.get("errors") or payload
    if isinstance(error, str):
        return f"http_{status}", text(error)
    known = mapping(error)
    kind = text(known.get("type"), 200) or text(known.get("code"), 200) or f"http_{status}"
    message = (
        text(known.get("message")) or _detail(payload) or text(body.decode("utf-8", "replace").strip(), 300)
    )
    return kind, message


def _detail(payload: dict[str, Any]) -> str:
    """Mistral and FastAPI-based servers say `detail`: a sentence, or a list of objects with `msg`."""
    detail = payload.get("detail")
    if isinstance(detail, list) and detail:
        return text(mapping(detail[0]).get("msg"))
    return text(detail) or message_of(detail)


def note_error(reading: Reading, error: object) -> None:
    """An `error` member inside an answer or event."""
    known = mapping(error)
    reading.fail(known.get("type") or known.get("code"), message_of(error))


def usage(source: object) -> Usage:
    """Counters under any of the names that OpenAI and its followers use."""
    known = mapping(source)
    if not known:
        return Usage()
    inputs = _details(known, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    outputs = _details(known, "completion_tokens_details", "output_tokens_details", "output_token_details")
    reasoning = first_count(outputs, "reasoning_tokens")
    if reasoning is None:
        reasoning = first_count(known, "reasoning_tokens")
    return Usage(
        input=_input(known),
        output=_output(known, reasoning),
        cache_read=_cache_read(known, inputs),
        cache_write=_cache_write(known, inputs),
        reasoning=reasoning,
        audio_input=first_count(inputs, "audio_tokens"),
        audio_output=first_count(outputs, "audio_tokens"),
        audio_cache_read=first_count(mapping(inputs.get("cached_tokens_details")), "audio_tokens"),
        image_input=first_count(inputs, "image_tokens"),
        image_output=first_count(outputs, "image_tokens"),
        image_cache_read=first_count(mapping(inputs.get("cached_tokens_details")), "image_tokens"),
        web_searches=_web_searches(known),
        cost_nanos=_cost(known),
        service_tier=None,
    )


def _details(known: dict[str, Any], *names: str) -> dict[str, Any]:
    return next((found for name in names if (found := mapping(known.get(name)))), {})


def _input(known: dict[str, Any]) -> int | None:
    found = first_count(known, "prompt_tokens", "input_tokens")
    if found is None and first_count(known, "completion_tokens", "output_tokens") is None:
        return first_count(known, "total_tokens")  # Voyage: embeddings have nothing but a total
    return found


def _output(known: dict[str, Any], reasoning: int | None) -> int | None:
    """xAI counts reasoning beside `completion_tokens`, everyone else inside: the total tells."""
    output = first_count(known, "completion_tokens", "output_tokens")
    if output is None or not reasoning:
        return output
    beside = total(first_count(known, "prompt_tokens", "input_tokens"), output, reasoning)
    return output + reasoning if count(known.get("total_tokens")) == beside else output


def _cache_read(known: dict[str, Any], inputs: dict[str, Any]) -> int | None:
    """Spellings of: OpenAI; Moonshot and Together; DeepSeek; older Mistral; Perplexity's responses."""
    found = first_count(inputs, "cached_tokens", "cache_read_input_tokens")
    if found is not None:
        return found
    return first_count(known, "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")


def _cache_write(known: dict[str, Any], inputs: dict[str, Any]) -> int | None:
    """`cache_creation_input_tokens` is the Vercel gateway's, for Anthropic models behind it."""
    found = first_count(inputs, "cache_write_tokens")
    return first_count(known, "cache_creation_input_tokens") if found is None else found


def _web_searches(known: dict[str, Any]) -> int | None:
    for name in ("server_tool_use", "server_tool_use_details", "server_side_tool_usage_details"):
        found = first_count(mapping(known.get(name)), "web_search_requests", "web_search_calls")
        if found:
            return found
    return first_count(known, "num_search_queries")


def _cost(known: dict[str, Any]) -> int | None:
    """OpenRouter names its own price; with a key of the user's own, the upstream's comes on top."""
    cost = nanos(known.get("cost"))
    if cost is None or known.get("is_byok") is not True:
        return cost
    return total(cost, nanos(mapping(known.get("cost_details")).get("upstream_inference_cost")))


def facts(body: bytes) -> RequestFacts:
    payload = parse_object(body)
    # Which one counts where there are several is up to the provider.
    limits = [limit for name in _LONGEST if (limit := count(payload.get(name))) is not None]
    longest = max(limits, default=None)
    messages = payload.get("messages", payload.get("input"))
    return common(payload, longest, messages, text(mapping(payload.get("metadata")).get("session_id"), 200))
