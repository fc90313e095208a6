"""Whole answers, both ways. Of several choices the first is translated, our dialect keeps the others."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_chat import thought
from llm_intercept.wire.codecs.openai_chat.citations import annotation
from llm_intercept.wire.codecs.openai_chat.media import media_item, parts_of
from llm_intercept.wire.codecs.openai_chat.messages_in import calls, is_legacy, legacy_call
from llm_intercept.wire.codecs.openai_chat.messages_out import call_item
from llm_intercept.wire.codecs.openai_chat.terms import (
    NAME,
    answer_id,
    extras,
    members,
    minted,
    own,
    rest,
    string,
    wants_legacy,
    whole,
)
from llm_intercept.wire.families import openai, unsaid
from llm_intercept.wire.families.leak import split
from llm_intercept.wire.families.openai_writing import FINISH_WORDS, counted, finish_of, tier_of
from llm_intercept.wire.fields import mapping, objects
from llm_intercept.wire.ir import (
    Answer,
    Media,
    Opaque,
    Part,
    RefusalText,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.usage import Usage

KNOWN = frozenset(["id", "object", "created", "model", "choices", "usage", "service_tier"])
KNOWN_OF_CHOICE = frozenset(["index", "message", "delta", "finish_reason", "logprobs"])
KNOWN_OF_MESSAGE = frozenset(
    [
        "role",
        "content",
        "refusal",
        "tool_calls",
        "function_call",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "annotations",
        "images",
        "audio",
    ]
)


def decode_answer(body: Mapping[str, Any]) -> Answer:
    choices = objects(body.get("choices"))
    first = next((c for c in choices if c.get("index") == 0), choices[0] if choices else {})
    message = mapping(first.get("message")) or mapping(first.get("delta"))
    identity = string(body.get("id"))
    parts = parts_of_answer(message, identity)
    called = any(isinstance(part, ToolCall) for part in parts)
    refused = any(isinstance(part, RefusalText) for part in parts)
    logprobs = mapping(first.get("logprobs"))
    return Answer(
        identity,
        string(body.get("model")),
        tuple(parts),
        finish_of(first.get("finish_reason"), called, refused)
        if first and not first.get("error")
        else "error",
        usage_of(body),
        whole(body.get("created")) or 0,
        logprobs=tuple(objects(logprobs.get("content"))),
        extras=extras(_kept(body, first, message, [c for c in choices if c is not first])),
    )


def usage_of(body: Mapping[str, Any]) -> Usage:
    usage = openai.usage(body.get("usage") or mapping(body.get("x_groq")).get("usage"))
    usage.service_tier = string(body.get("service_tier")) or None
    return usage


def _kept(
    body: Mapping[str, Any],
    first: Mapping[str, Any],
    message: Mapping[str, Any],
    others: list[dict[str, Any]],
) -> dict[str, Any]:
    notes = {
        "_choice": rest(first, KNOWN_OF_CHOICE),
        "_message": rest(message, KNOWN_OF_MESSAGE),
        "_usage": mapping(body.get("usage")),
        "_choices": others,
        "_refusal_logprobs": objects(mapping(first.get("logprobs")).get("refusal")),
    }
    return rest(body, KNOWN) | {name: value for name, value in notes.items() if value}


def parts_of_answer(message: Mapping[str, Any], identity: str) -> list[Part]:
    parts = thought.thoughts(message, asked=False)
    parts += _spoken(message, bool(parts))
    if refusal := string(message.get("refusal")):
        parts.append(RefusalText(refusal))
    parts += parts_of(message.get("images"))
    if isinstance(message.get("audio"), dict):
        parts.append(audio_part(message["audio"]))
    parts += calls(message, identity)
    called = mapping(message.get("function_call"))
    if called:
        parts.append(legacy_call(called, minted(identity, "function", called.get("name"))))
    return parts


def audio_part(audio: Mapping[str, Any]) -> Opaque:
    return Opaque(NAME, {"type": "audio", "audio": audio}, string(audio.get("transcript")))


def _spoken(message: Mapping[str, Any], thought_already: bool) -> list[Part]:
    content = message.get("content")
    cited = tuple(objects(message.get("annotations")))
    if isinstance(content, str):
        pieces = [(False, content)] if thought_already and content else split(content)
        return [Thinking(text) if thinking else _text(text, cited) for thinking, text in pieces]
    found = parts_of(content)
    return [Thinking(part.text) if isinstance(part, Thinking) else part for part in found]


def _text(text: str, cited: tuple[dict[str, Any], ...]) -> Text:
    return Text(text, cited, extras={NAME: {}}) if cited else Text(text)


LACKING = frozenset((unsaid.WRITTEN_1H, unsaid.WEB, unsaid.STOPPED))


def encode_answer(answer: Answer, context: Context) -> Mapping[str, Any]:
    kept = own(answer.extras)
    message = _message(answer, context)
    legacy = "function_call" in message
    choice = {
        "index": 0,
        "message": {**message, **kept.get("_message", {})},
        "logprobs": _logprobs(answer, kept),
        "finish_reason": finish_word(answer, legacy),
        **kept.get("_choice", {}),
    }
    written: dict[str, Any] = {
        "id": answer_id(answer.id, context),
        "object": "chat.completion",
        "created": answer.created or int(context.now),
        "model": context.requested_model or answer.model,
        "choices": [choice, *kept.get("_choices", ())],
    }
    if answer.usage.known:
        written["usage"] = written_usage(answer.usage, kept.get("_usage"))
    if (tier := tier_of(answer.usage, NAME in answer.extras)) is not None:
        written["service_tier"] = tier
    unsaid.ended(answer.usage, answer.stop_sequence, LACKING, "OpenAI chat", context)
    return {**written, **members(answer.extras)}


def finish_word(answer: Answer, legacy: bool) -> str:
    if legacy:
        return "function_call"
    refused = any(isinstance(part, RefusalText) for part in answer.parts)
    return "stop" if refused and answer.finish == "refusal" else FINISH_WORDS[answer.finish]


def _logprobs(answer: Answer, kept: Mapping[str, Any]) -> dict[str, Any] | None:
    refusal = kept.get("_refusal_logprobs")
    if not answer.logprobs and not refusal:
        return None
    return {"content": list(answer.logprobs) or None, "refusal": refusal}


def written_usage(usage: Usage, said: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """As the provider said it, unless the numbers have been changed since."""
    if said:
        read = openai.usage(said)
        read.service_tier = usage.service_tier
        if read == usage:
            return said
    return counted(usage)


def _message(answer: Answer, context: Context) -> dict[str, Any]:
    spoken = _Spoken(context)
    for part in answer.parts:
        spoken.add(part)
    refusal = "".join(part.text for part in answer.parts if isinstance(part, RefusalText))
    tool_calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    empty = None if tool_calls or refusal else ""
    message = {
        "role": "assistant",
        "content": spoken.text or empty,
        "refusal": refusal or None,
        **thought.answer(answer.parts),
        **spoken.beside,
    }
    if tool_calls and (wants_legacy(context) or is_legacy(tool_calls[0])):
        first = tool_calls[0]
        message["function_call"] = {"name": first.name, "arguments": first.arguments or "{}"}
    elif tool_calls:
        message["tool_calls"] = [call_item(part, context, answering=True) for part in tool_calls]
    return message


class _Spoken:
    """Collects the text of an answer, and what stands beside it in the message."""

    def __init__(self, context: Context) -> None:
        self.text = ""
        self.beside: dict[str, Any] = {}
        self._context = context

    def add(self, part: Part) -> None:
        match part:
            case Text():
                start = len(self.text)
                self.text += part.text
                self._cite(part, start)
            case Media():
                if (item := media_item(part, self._context)) is not None:
                    self.beside.setdefault("images", []).append(item)
            case Opaque():
                self._opaque(part)

    def _cite(self, part: Text, start: int) -> None:
        for citation in part.citations:
            if (item := annotation(citation, start, len(self.text), self._context)) is not None:
                self.beside.setdefault("annotations", []).append(item)

    def _opaque(self, part: Opaque) -> None:
        if part.dialect == NAME and part.raw.get("type") == "audio":
            self.beside["audio"] = part.raw.get("audio")
            return
        self._context.warn(f"{part.raw.get('type', 'part')}: only {part.dialect} knows it")
        self.text += part.text
