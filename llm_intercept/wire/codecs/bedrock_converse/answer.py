"""Whole answers. Converse gives them no id, no model and no time."""

from collections.abc import Mapping

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.bedrock_converse.blocks import Blocks
from llm_intercept.wire.codecs.bedrock_converse.parts import parts_of
from llm_intercept.wire.codecs.bedrock_converse.terms import (
    NAME,
    STOP_REASONS,
    Members,
    finish_of,
    own,
    stop_reason,
    string,
)
from llm_intercept.wire.families import aws, structured, unsaid
from llm_intercept.wire.fields import mapping, objects
from llm_intercept.wire.ir import Answer, Json, ToolCall
from llm_intercept.wire.usage import Usage

COUNTED = {"inputTokens", "outputTokens", "totalTokens", "cacheDetails", *aws.CACHE_READ, *aws.CACHE_WRITE}


def decode_answer(body: Mapping[str, Json]) -> Answer:
    message = mapping(mapping(body.get("output")).get("message"))
    parts = parts_of(message.get("content"))
    called = any(isinstance(part, ToolCall) for part in parts)
    answered = any(is_answer(block) for block in objects(message.get("content")))
    reason = body.get("stopReason")
    more = mapping(body.get("additionalModelResponseFields"))
    return Answer(
        id="",
        model="",
        parts=parts,
        finish=finish_of(reason, called, answered) if "output" in body or reason else "error",
        usage=aws.usage(body.get("usage")),
        stop_sequence=string(more.get("stop_sequence")),
        extras=_extras(body, string(reason)),
    )


def is_answer(block: Members) -> bool:
    return structured.is_answer(string(mapping(block.get("toolUse")).get("name")))


def _extras(body: Mapping[str, Json], reason: str) -> dict[str, Members]:
    left = {name: value for name, value in body.items() if name not in ("output", "usage", "stopReason")}
    return kept_of(left, body.get("usage"), reason)


def kept_of(left: Members, usage: object, reason: str) -> dict[str, Members]:
    """The extras of an answer: its members without a word here, and what else its usage and reason say."""
    counted = {name: value for name, value in mapping(usage).items() if name not in COUNTED}
    if counted:
        left["usage"] = counted
    if reason and reason not in STOP_REASONS.values():
        left["stopReason"] = reason  # two of its words are one of ours
    return {NAME: left} if left else {}


LACKING = frozenset(("reasoning", unsaid.WEB, unsaid.TIER, unsaid.STOPPED))


def encode_answer(answer: Answer, context: Context) -> Mapping[str, Json]:
    """`metrics` are the provider's own or none: nobody here has measured anything."""
    kept = own(answer.extras)
    if answer.logprobs:
        context.warn("logprobs: not known to Converse")
    unsaid.ended(answer.usage, answer.stop_sequence, LACKING, "Converse", context)
    called = any(isinstance(part, ToolCall) for part in answer.parts)
    message = {"content": Blocks(context).of(answer.parts), "role": "assistant"}
    body: dict[str, Json] = {
        "output": {"message": message},
        "stopReason": kept.get("stopReason") or stop_reason(answer.finish, called),
        "usage": usage_of(answer.usage, context.input_estimate) | mapping(kept.get("usage")),
    }
    return body | {name: value for name, value in kept.items() if name not in body}


def usage_of(usage: Usage, estimate: int | None) -> Members:
    """Input without what the cache gave and took. Three counters are always there: clients index them."""
    total = usage.input if usage.input is not None else estimate or 0
    apart = (usage.cache_read or 0) + (usage.cache_write or 0)
    made = usage.output or 0
    known: Members = {
        "inputTokens": max(0, total - apart),
        "outputTokens": made,
        "totalTokens": total + made,
    }
    if usage.cache_read is not None:
        known["cacheReadInputTokens"] = usage.cache_read
    if usage.cache_write is not None:
        known["cacheWriteInputTokens"] = usage.cache_write
    if usage.cache_write_1h:
        known["cacheDetails"] = _by_ttl(usage.cache_write or 0, usage.cache_write_1h)
    return known


def _by_ttl(written: int, hour: int) -> list[Members]:
    parts = (("1h", hour), ("5m", written - hour))
    return [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in parts if tokens > 0]
