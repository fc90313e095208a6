"""Whole answers, both ways; the lines of a stream look alike."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.ollama.messages import call_item, parts_of
from llm_intercept.wire.codecs.ollama.terms import (
    extras,
    given_name,
    own,
    read_time,
    rest,
    string,
    written_time,
)
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.families.leak import split
from llm_intercept.wire.fields import first_count, mapping, objects
from llm_intercept.wire.ir import (
    Answer,
    Finish,
    Media,
    Opaque,
    Part,
    RefusalText,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.usage import Usage

KNOWN = frozenset(
    (
        *("model", "created_at", "message", "done", "done_reason", "prompt_eval_count", "eval_count"),
        *("logprobs", "error"),
    )
)
LACKING = frozenset(
    ("cache_read", "cache_write", "cache_write_1h", "reasoning", "web_searches", unsaid.TIER, unsaid.STOPPED)
)
DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


def decode_answer(body: Mapping[str, Any]) -> Answer:
    created = body.get("created_at")
    parts = _unleaked(parts_of(mapping(body.get("message")), created))
    called = any(isinstance(part, ToolCall) for part in parts)
    return Answer(
        "",
        string(body.get("model")),
        tuple(parts),
        "error" if "error" in body else finish_of(body.get("done_reason"), called),
        usage_of(body),
        read_time(created),
        logprobs=tuple(objects(body.get("logprobs"))),
        extras=extras(rest(body, KNOWN)),
    )


def _unleaked(parts: list[Part]) -> list[Part]:
    """Models whose reasoning the server does not know write it into the text."""
    if any(isinstance(part, Thinking) for part in parts):
        return parts
    found: list[Part] = []
    for part in parts:
        if isinstance(part, Text):
            found += [Thinking(text) if thinking else Text(text) for thinking, text in split(part.text)]
        else:
            found.append(part)
    return found


def usage_of(body: Mapping[str, Any]) -> Usage:
    return Usage(input=first_count(body, "prompt_eval_count"), output=first_count(body, "eval_count"))


def finish_of(reason: object, called: bool) -> Finish:
    """`stop` is said after calls as well."""
    if reason == "length":
        return "length"
    if reason in (None, "", "stop"):
        return "tool_calls" if called else "stop"
    return "other"


def encode_answer(answer: Answer, context: Context) -> Mapping[str, Any]:
    said: dict[str, str] = {"content": ""}
    for part in answer.parts:
        name, text = said_of(part, context)
        if text:
            glue = "\n\n" if name == "thinking" and name in said else ""
            said[name] = said.get(name, "") + glue + text
    message: dict[str, Any] = {"role": "assistant", **said}
    if images := [p.data for p in answer.parts if isinstance(p, Media) and p.kind == "image" and p.data]:
        message["images"] = images
    if calls := [part for part in answer.parts if isinstance(part, ToolCall)]:
        message["tool_calls"] = [answered(part, context) for part in calls]
    written = {**head(answer.model, answer.created, context), "message": message, "done": True}
    if answer.logprobs:
        written["logprobs"] = list(answer.logprobs)
    unsaid.ended(answer.usage, answer.stop_sequence, LACKING, "Ollama", context)
    return {**written, **tail(answer.finish, answer.usage), **own(answer.extras)}


def answered(call: ToolCall, context: Context) -> dict[str, Any]:
    unsaid.signed(call.signature, call.origin, "Ollama", context)
    return call_item(call, context, given_name(call.name, context))


def said_of(part: Part, context: Context) -> tuple[str, str]:
    """The member of the message that a part belongs to, and its text."""
    match part:
        case Text(text, citations):
            if citations:
                uncited(context)
            return "content", text
        case RefusalText(text):
            return "content", text
        case Thinking(text=text):
            unsaid.signed(part.signature, part.origin, "Ollama", context)
            return "thinking", text
        case Opaque():
            context.warn(f"{part.raw.get('type', 'part')}: only {part.dialect} knows it")
            return "content", part.text
        case Media() if part.kind != "image" or not part.data:
            context.warn(f"{part.kind}: Ollama has no place for it in an answer")
    return "content", ""


def uncited(context: Context) -> None:
    context.warn("citations: not known to Ollama")


def head(model: str, created: int, context: Context) -> dict[str, Any]:
    return {
        "model": context.requested_model or model,
        "created_at": written_time(created or context.now),
    }


def tail(finish: Finish, usage: Usage) -> dict[str, Any]:
    """What the last line says; clients with strict types want the durations as well."""
    reason = "length" if finish in ("length", "overflow", "error") else "stop"
    written: dict[str, Any] = {"done_reason": reason, **dict.fromkeys(DURATIONS, 0)}
    if usage.input is not None:
        written["prompt_eval_count"] = usage.input
    if usage.output is not None:
        written["eval_count"] = usage.output
    return written
