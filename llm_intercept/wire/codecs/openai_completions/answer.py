"""Whole answers, both ways. Of several choices the first is translated, our dialect keeps the others."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_completions import logprobs
from llm_intercept.wire.codecs.openai_completions.terms import (
    answer_id,
    extras,
    members,
    own,
    rest,
    string,
)
from llm_intercept.wire.families import openai, unsaid
from llm_intercept.wire.families.openai_writing import FINISH_WORDS, counted, finish_of
from llm_intercept.wire.fields import count, mapping, objects
from llm_intercept.wire.ir import Answer, Finish, Media, Opaque, Part, RefusalText, Text

KNOWN = frozenset(("id", "object", "created", "model", "choices", "usage"))
LACKING = frozenset((unsaid.WRITTEN_1H, unsaid.WEB, unsaid.TIER, unsaid.STOPPED))
KNOWN_OF_CHOICE = frozenset(("index", "text", "finish_reason", "logprobs"))


def decode_answer(body: Mapping[str, Any]) -> Answer:
    choices = objects(body.get("choices"))
    first = next((choice for choice in choices if choice.get("index") == 0), choices[0] if choices else {})
    text = string(first.get("text"))
    notes = {
        "_choice": rest(first, KNOWN_OF_CHOICE),
        "_choices": [choice for choice in choices if choice is not first],
        "_usage": mapping(body.get("usage")),
        "_logprobs": mapping(first.get("logprobs")),
    }
    kept = rest(body, KNOWN) | {name: value for name, value in notes.items() if value}
    return Answer(
        string(body.get("id")),
        string(body.get("model")),
        (Text(text),) if text else (),
        finish_of(first.get("finish_reason"), called=False) if choices else "error",
        openai.usage(body.get("usage")),
        count(body.get("created")) or 0,
        logprobs=logprobs.read(first.get("logprobs")),
        extras=extras(kept),
    )


def encode_answer(answer: Answer, context: Context) -> Mapping[str, Any]:
    kept = own(answer.extras)
    choice = {
        "text": "".join(words(part, context) for part in answer.parts),
        "index": 0,
        "logprobs": kept.get("_logprobs") or logprobs.write(answer.logprobs),
        "finish_reason": finish_word(answer.finish),
        **kept.get("_choice", {}),
    }
    written = {
        "id": answer_id(answer.id, context),
        "object": "text_completion",
        "created": answer.created or int(context.now),
        "model": context.requested_model or answer.model,
        "choices": [choice, *kept.get("_choices", ())],
    }
    if answer.usage.known:
        said = kept.get("_usage")
        written["usage"] = said if said and openai.usage(said) == answer.usage else counted(answer.usage)
    unsaid.ended(answer.usage, answer.stop_sequence, LACKING, "text completions", context)
    return {**written, **members(answer.extras)}


def uncited(context: Context) -> None:
    context.warn("citations: not known to text completions")


def finish_word(finish: Finish) -> str:
    """The dialect has no tools: a call is an end."""
    return "stop" if finish == "tool_calls" else FINISH_WORDS[finish]


def words(part: Part, context: Context) -> str:
    """What of a part is text for the client."""
    if isinstance(part, Text | RefusalText):
        if isinstance(part, Text) and part.citations:
            uncited(context)
        return part.text
    kind = part.kind if isinstance(part, Media) else type(part).__name__.lower()
    kind = str(part.raw.get("type") or kind) if isinstance(part, Opaque) else kind
    context.warn(f"{kind}: text completions give nothing but text")
    return part.text if isinstance(part, Opaque) else ""
