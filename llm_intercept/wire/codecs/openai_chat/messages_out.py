"""Messages of the IR -> a request. Results become tool messages, and what these cannot hold a user's."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_chat import thought
from llm_intercept.wire.codecs.openai_chat.media import media_item, text_item
from llm_intercept.wire.codecs.openai_chat.messages_in import is_legacy
from llm_intercept.wire.codecs.openai_chat.terms import (
    CONTENT,
    NAME,
    RAW,
    call_id,
    given_name,
    members,
    own,
    sent_name,
)
from llm_intercept.wire.families.unseen import words
from llm_intercept.wire.fields import compact
from llm_intercept.wire.ir import (
    Media,
    Message,
    Opaque,
    Part,
    RefusalText,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

type Json = dict[str, Any]


def write(messages: Iterable[Message], context: Context, native: bool = False) -> list[Json]:
    """`native`: the client speaks this dialect too, and knows what its server takes."""
    writer = _Writer(context, native)
    for message in messages:
        writer.add(message)
    writer.flush()
    return writer.written


class _Writer:
    """Holds back media of tool results until no further tool message can come."""

    def __init__(self, context: Context, native: bool) -> None:
        self.written: list[Json] = []
        self._native = native
        self._context = context
        self._held: list[Json] = []

    def flush(self) -> None:
        if self._held:
            self.written.append({"role": "user", "content": self._held})
            self._held = []

    def add(self, message: Message) -> None:
        if message.role == "user":
            self._user(message)
            return
        self.flush()
        written = self._assistant(message) if message.role == "assistant" else self._system(message)
        if written is not None:
            self.written.append(written)

    def _user(self, message: Message) -> None:
        spoken: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                self.written.append(self._result(part))
            else:
                spoken.append(part)
        if not spoken and message.parts:
            return
        content = self._content(spoken, message, "\n\n")
        if self._held:
            said = [{"type": "text", "text": content}] if isinstance(content, str) else content
            content = self._held + [item for item in said if item.get("text") != ""]
            self._held = []
        if content or not spoken:
            self.written.append(self._named({"role": "user", "content": content}, message))

    def _system(self, message: Message) -> Json | None:
        role: str = message.role
        if role == "developer" and not self._knows_developers():
            role = "system"  # which every model of OpenAI takes as well
        content = self._content(message.parts, message, "\n\n", joined=True)
        return (
            self._named({"role": role, "content": content}, message) if content or not message.parts else None
        )

    def _knows_developers(self) -> bool:
        form = self._context.target.reasoning
        return form in ("effort", "openrouter") or (self._native and form not in ("content", "none", "fixed"))

    def _named(self, written: Json, message: Message) -> Json:
        if message.name and "name" in self._context.target.rejects:
            self._context.warn(f"messages.name: not taken by {self._context.target.provider}")
        elif message.name:
            written["name"] = message.name
        return {**written, **members(message.extras)}

    def _content(
        self, parts: Iterable[Part], message: Message | ToolResult, glue: str, joined: bool = False
    ) -> str | list[Json]:
        """A string where that says the same, which more servers take; else the list of parts."""
        items = [item for part in parts if (item := self._item(part)) is not None]
        plain = all(item.keys() == {"type", "text"} and item["type"] == "text" for item in items)
        alone = len(items) < 2 or joined or self._context.target.reasoning == "content"
        if plain and alone and CONTENT not in own(message.extras):
            return glue.join(item["text"] for item in items)
        return items

    def _item(self, part: Part) -> Json | None:
        match part:
            case Text():
                return text_item(part, self._context)
            case Media():
                return _medium(part, self._context)
            case Opaque():
                return self._opaque(part)
            case Thinking() if RAW in own(part.extras):
                return dict(own(part.extras)[RAW])
            case RefusalText():
                return {"type": "refusal", "refusal": part.text}
        return None

    def _opaque(self, part: Opaque) -> Json | None:
        if part.dialect == NAME:
            return dict(part.raw)
        kind = part.raw.get("type", "part")
        self._context.warn(f"{kind}: only {part.dialect} knows it" + (", said in words" if part.text else ""))
        return {"type": "text", "text": part.text} if part.text else None

    def _result(self, part: ToolResult) -> Json:
        """A failed call is told in words: the dialect has no member for it."""
        media = [p for p in part.parts if isinstance(p, Media) and not p.text and RAW not in own(p.extras)]
        said = [p for p in part.parts if p not in media]
        content = self._content(said, part, "\n", joined=True)
        if part.is_error and isinstance(content, str) and not content.lower().startswith("error"):
            content = f"Error: {content}"
        if media:
            content = content or "The result follows in the next message."
            self._hold(part, media)
        name = {"name": sent_name(part.name)} if part.name else {}
        if is_legacy(part):
            return {"role": "function", **name, "content": content}
        identity = call_id(part.call_id, self._context.target)
        written: Json = {"role": "tool", "tool_call_id": identity, "content": content, **name}
        if part.cache is not None and self._context.target.reasoning != "openrouter":
            self._context.warn("cache_control: chat completions have no cache breakpoints")
        elif part.cache is not None:
            written["cache_control"] = {"type": "ephemeral"}
        return {**written, **members(part.extras)}

    def _hold(self, part: ToolResult, media: list[Media]) -> None:
        items = [_medium(medium, self._context) for medium in media]
        if items:
            kinds = " and ".join(sorted({medium.kind for medium in media}))
            self._context.warn(f"tool result: {kinds} put into a user message after it")
            identity = call_id(part.call_id, self._context.target)
            label = f"From the result of {part.name or 'tool call'} {identity}:"
            self._held += [{"type": "text", "text": label}, *items]

    def _assistant(self, message: Message) -> Json | None:
        parts = message.parts
        written: Json = {"role": "assistant"}
        shown = [] if self._native else [p for p in parts if isinstance(p, Media)]
        spoken = [p for p in parts if not isinstance(p, ToolCall | RefusalText) and p not in shown]
        content = self._content(spoken, message, "", joined=True)
        tool_calls = [p for p in parts if isinstance(p, ToolCall)]
        refusal = "".join(p.text for p in parts if isinstance(p, RefusalText))
        thinking = thought.ask(parts, self._context)
        self._show(shown)
        if parts and not (content or tool_calls or refusal or thinking):
            return None
        written["content"] = content if content or not (tool_calls or refusal) else None
        if refusal:
            written["refusal"] = refusal
        written |= thinking
        if tool_calls:
            self._calls(tool_calls, written)
        return self._named(written, message)

    def _plain(self, part: ToolCall) -> ToolCall:
        """Free text is known to OpenAI's own models only; others call a function with it."""
        if not part.custom or self._native:
            return part
        return replace(part, custom=False, arguments=compact({"input": part.arguments}))

    def _show(self, shown: list[Media]) -> None:
        """What the assistant showed: messages of its role take text only."""
        if shown:
            self._context.warn("messages: media of the assistant's put into a user message after it")
            label = {"type": "text", "text": "From your last answer:"}
            self._held += [label, *(_medium(part, self._context) for part in shown)]

    def _calls(self, tool_calls: list[ToolCall], written: Json) -> None:
        if len(tool_calls) == 1 and is_legacy(tool_calls[0]):
            first = tool_calls[0]
            written["function_call"] = {"name": first.name, "arguments": first.arguments}
            return
        written["tool_calls"] = [call_item(self._plain(part), self._context) for part in tool_calls]
        if any(part.cache is not None for part in tool_calls):
            self._context.warn("cache_control: chat completions have no cache breakpoints")
        if self._context.target.reasoning == "content":
            written.setdefault(thought.FIELDS[0], "")  # DeepSeek refuses tool turns without the member


def _medium(part: Media, context: Context) -> Json:
    """What cannot be shown is told of."""
    item = media_item(part, context)
    return {"type": "text", "text": words(part)} if item is None else item


def call_item(part: ToolCall, context: Context, answering: bool = False) -> Json:
    """A tool call; a signature (Gemini) travels in `extra_content`, to a client whatever its origin."""
    identity = call_id(part.id, None if answering else context.target)
    name = given_name(part.name, context) if answering else sent_name(part.name)
    kept = members(part.extras)
    if part.custom:
        inner = {"type": "custom", "custom": {"name": name, "input": part.arguments}}
    else:
        inner = {"type": "function", "function": {"name": name, "arguments": part.arguments or "{}"}}
    if part.signature and (answering or part.origin in ("", NAME)):
        extra = dict(kept.get("extra_content", {}))
        google = {**extra.get("google", {}), "thought_signature": thought.sealed(part.signature, part.origin)}
        kept["extra_content"] = {**extra, "google": google}
    return {"id": identity, **inner, **kept}
