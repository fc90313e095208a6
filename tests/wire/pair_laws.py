"""Translating recorded answers between dialects, and what a client of the other dialect must find in them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.ir import Answer, Opaque, RefusalText, Request, Text, ToolCall
from llm_intercept.wire.translation import Side, Translation
from tests.wire import pair_oracles as oracles
from tests.wire.pair_oracles import Seen
from tests.wire.pair_sources import NAMES, Source, context

PAIRS = [(source, target) for source in NAMES for target in NAMES if source != target]
FRAMING = {"gemini": "sse-crlf"}
"""How streams are framed for clients; the other dialects have one way only."""
ASKED_FOR = "the-name-the-client-used"

# Our words -> what a client reads. One row for each dialect, from its documentation.
_SAME = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "stop",
    "stop_sequence": "stop",
    "overflow": "length",
}
_CHAT = {**_SAME, "content_filter": "content_filter", "refusal": "content_filter", "error": "length"}
FINISHES = {
    "openai_chat": {**_CHAT, "tool_calls": "tool_calls"},
    "openai_completions": _CHAT,
    "ollama": {**_SAME, "error": "length"},
    "openai_responses": {
        "length": "incomplete:max_output_tokens",
        "overflow": "incomplete:max_output_tokens",
        "content_filter": "incomplete:content_filter",
        "error": "failed",
    },
    "anthropic": {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "stop_sequence": "stop_sequence",
        "content_filter": "refusal",
        "refusal": "refusal",
        "pause": "pause_turn",
        "overflow": "model_context_window_exceeded",
    },
    "gemini": {
        "length": "MAX_TOKENS",
        "overflow": "MAX_TOKENS",
        "content_filter": "SAFETY",
        "refusal": "PROHIBITED_CONTENT",
        "pause": "CONTINUATION",
        "error": "MALFORMED_RESPONSE",
        "other": "OTHER",
    },
    "bedrock_converse": {
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "stop_sequence": "stop_sequence",
        "content_filter": "content_filtered",
        "refusal": "content_filtered",
        "overflow": "model_context_window_exceeded",
        "error": "malformed_model_output",
    },
}
OTHERWISE = {
    "openai_chat": "stop",
    "openai_completions": "stop",
    "ollama": "stop",
    "openai_responses": "completed",
    "anthropic": "end_turn",
    "gemini": "STOP",
    "bedrock_converse": "end_turn",
}


@dataclass
class Outcome:
    data: bytes
    context: Context


def translation(source: Source, target: str, *, stream: bool) -> Translation:
    """As if a client of `target` had sent what the recording's client asked for."""
    found = context(_request(source), requested_model=ASKED_FOR, input_estimate=7)
    client = Side(target, FRAMING.get(target, ""))
    return Translation(client, Side(source.dialect), found, stream=stream)


def _request(source: Source) -> Request | None:
    try:
        return source.request() if isinstance(source.body, dict) else None
    except Untranslatable:
        return None


def translated(
    source: Source, target: str, pieces: Iterable[bytes], *, stream: bool, encoding: str = ""
) -> Outcome:
    one = translation(source, target, stream=stream)
    relay = one.relay(source.recording.content_type, encoding)
    found = [out for piece in pieces for out in relay.feed(piece)]
    return Outcome(b"".join([*found, *relay.close()]), one.context)


def read(target: str, data: bytes, *, stream: bool) -> Seen:
    return (oracles.STREAMED if stream else oracles.WHOLE)[target](data)


def differences(answer: Answer, target: str, seen: Seen) -> list[str]:
    """What of the answer the other dialect's SDK did not find."""
    wanted = {
        "text": text_of(answer, target),
        "calls": calls_of(answer) if target != "openai_completions" else [],
        "finish": finish_of(answer, target),
        "usage": usage_of(answer, seen),
    }
    if target != "bedrock_converse":  # its answers name no model
        wanted["model"] = ASKED_FOR
    found = {name: getattr(seen, name) for name in wanted}
    return [f"{n}: {found[n]!r}, not {wanted[n]!r}" for n in wanted if found[n] != wanted[n]]


def text_of(answer: Answer, target: str) -> str:
    """Words of the model; what its provider's own tools said stands among them for other dialects."""
    texts = [p for p in answer.parts if isinstance(p, Text | RefusalText)]
    said = [p for p in answer.parts if isinstance(p, Opaque) and p.dialect != target]
    return "".join(part.text for part in answer.parts if part in texts or part in said)


def calls_of(answer: Answer) -> list[tuple[str, object]]:
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    return [(c.name, c.arguments if c.custom else json.loads(c.arguments)) for c in calls]


def finish_of(answer: Answer, target: str) -> str:
    spoken = answer.finish == "refusal" and any(isinstance(part, RefusalText) for part in answer.parts)
    if spoken and target == "openai_chat":
        return "stop"  # the words stand in `refusal`
    return FINISHES[target].get(answer.finish, OTHERWISE[target])


def usage_of(answer: Answer, seen: Seen) -> list[int | None]:
    """Counters that the SDK has no word for are None there. Without any, clients get the estimate."""
    usage = answer.usage
    if usage.input is None and usage.output is None:
        return seen.usage if seen.usage[:2] in ([7, 0], [0, 0], [None, 0], [None, None]) else [None] * 4
    output, cached = usage.output if usage.output is not None else seen.usage[1] and 0, usage.cache_read or 0
    reasoning = usage.reasoning or 0
    total = usage.input or 0
    # Counters that contradict each other: Grok on Azure counts more cached tokens than tokens, gateways to
    # Gemini leave thoughts out of the output. Where a dialect has them apart they stay apart.
    if cached > total and seen.usage[0] == cached:
        total = cached
    if output is not None and reasoning > output and seen.usage[1] == reasoning:
        output = reasoning
    apart: list[int | None] = [cached, reasoning]
    return [total, output, *(w if s else s for w, s in zip(apart, seen.usage[2:], strict=True))]
