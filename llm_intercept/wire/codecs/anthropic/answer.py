"""Whole answers, both ways, and the one table of finish reasons."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.anthropic import blocks_in, counters
from llm_intercept.wire.codecs.anthropic.blocks_out import AnswerBlocks
from llm_intercept.wire.codecs.anthropic.members import NAME, own
from llm_intercept.wire.families import structured
from llm_intercept.wire.ir import Answer, Finish, Json, ToolCall
from llm_intercept.wire.toolids import fitted

MESSAGE_ID = re.compile(r"msg_[A-Za-z0-9_-]{1,120}")
KNOWN = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence"})
MINTED = 24

FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "overflow",
}
REASONS: dict[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "stop_sequence": "stop_sequence",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "overflow": "model_context_window_exceeded",
    "error": "end_turn",
    "other": "end_turn",
}
REASON = "stop_reason"  # in the extras: a reason that the table does not give back


def finish_of(reason: object, answered: bool, called: bool) -> Finish:
    """`answered`: a tool that stands for the answer's schema was called; `called`: another was."""
    finish = FINISHES.get(reason, "other") if isinstance(reason, str) else "stop"
    return "stop" if finish == "tool_calls" and answered and not called else finish


def unknown_reason(reason: object) -> dict[str, Json]:
    """The reason itself where the table would give back another."""
    if not isinstance(reason, str) or REASONS[FINISHES.get(reason, "other")] == reason:
        return {}
    return {REASON: reason}


def reason_of(finish: Finish, mine: Mapping[str, Json], called: bool) -> str:
    """A call is a reason to stop, whatever the upstream calls it."""
    kept = mine.get(REASON)
    if isinstance(kept, str):
        return kept
    return "tool_use" if called and finish in ("stop", "other") else REASONS[finish]


def decode_answer(body: Mapping[str, Json]) -> Answer:
    content = body.get("content")
    parts = blocks_in.parts(content)
    answered = _answers(content)
    called = any(isinstance(part, ToolCall) for part in parts)
    extras = {name: value for name, value in body.items() if name not in KNOWN}
    extras.update(unknown_reason(body.get("stop_reason")))
    return Answer(
        blocks_in.string(body.get("id")),
        blocks_in.string(body.get("model")),
        parts,
        finish_of(body.get("stop_reason"), answered, called),
        counters.read(body.get("usage")),
        stop_sequence=blocks_in.string(body.get("stop_sequence")),
        extras={NAME: extras},
    )


def _answers(content: object) -> bool:
    blocks: Iterable[Any] = content if isinstance(content, list) else ()
    names = (block.get("name") for block in blocks if isinstance(block, dict))
    return any(isinstance(name, str) and structured.is_answer(name) for name in names)


def encode_answer(answer: Answer, context: Context) -> Mapping[str, Json]:
    mine = own(answer.extras)
    content = AnswerBlocks(context).written(answer.parts)
    called = any(block["type"] == "tool_use" for block in content)
    if answer.logprobs:
        unscored(context)
    return {
        "id": message_id(answer.id, context),
        "type": "message",
        "role": "assistant",
        "model": context.requested_model or answer.model,
        "content": content,
        "stop_reason": reason_of(answer.finish, mine, called),
        "stop_sequence": answer.stop_sequence or None,
        **{name: value for name, value in mine.items() if name not in ("usage", REASON)},
        "usage": counters.written(answer.usage, answer.extras, context.input_estimate),
    }


def unscored(context: Context) -> None:
    context.warn("logprobs: not known to Anthropic's clients; left out")


def message_id(original: str, context: Context) -> str:
    """Clients tell messages apart by their ids: one without any gets one of its own."""
    return fitted(original, MESSAGE_ID, "msg_") if original else "msg_" + context.mint(MINTED)
