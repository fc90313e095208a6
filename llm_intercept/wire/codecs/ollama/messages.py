"""Messages, both ways. Results name their tool and, in newer versions, the call; older ones go by order."""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.codecs.ollama.terms import (
    NAME,
    call_id,
    extras,
    minted,
    object_of,
    own,
    rest,
    string,
    text_of,
)
from llm_intercept.wire.families.unseen import words
from llm_intercept.wire.fields import items, mapping, objects
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

KNOWN = frozenset(("role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"))
TYPES = {"/9j/": "image/jpeg", "iVBORw0KGgo": "image/png", "R0lGOD": "image/gif", "UklGR": "image/webp"}
type Json = dict[str, Any]


def read(raw: object) -> tuple[Message, ...]:
    if not isinstance(raw, list):
        raise Untranslatable("messages", "must be a list of messages")
    reader = _Reader()
    for position, item in enumerate(raw):
        if not isinstance(item, dict):
            raise Untranslatable(f"messages[{position}]", "must be an object")
        reader.read(position, item)
    reader.gather()
    return tuple(reader.found)


class _Reader:
    """Remembers the calls that have no result yet; results that follow one another are one message."""

    def __init__(self) -> None:
        self.found: list[Message] = []
        self._results: list[Part] = []
        self._open: list[ToolCall] = []

    def gather(self) -> None:
        if self._results:
            self.found.append(Message("user", tuple(self._results)))
            self._results = []

    def read(self, position: int, item: Mapping[str, Any]) -> None:
        role = item.get("role")
        if role == "tool":
            self._results.append(self._result(item))
            return
        self.gather()
        kept = extras(rest(item, KNOWN))
        if role == "assistant":
            parts = parts_of(item, position)
            self._open = [part for part in parts if isinstance(part, ToolCall)]
            self.found.append(Message("assistant", tuple(parts), extras=kept))
        elif role in ("user", "system"):
            self.found.append(Message(role, tuple(_spoken(item)), extras=kept))
        else:
            raise Untranslatable(f"messages[{position}].role", f"{role!r} is not a role of Ollama's chat")

    def _result(self, item: Mapping[str, Any]) -> ToolResult:
        name, identity = string(item.get("tool_name")), string(item.get("tool_call_id"))
        answered = self._answered(name, identity)
        if answered is not None:
            self._open.remove(answered)
            identity, name = identity or answered.id, name or answered.name
        kept = extras(rest(item, KNOWN))
        return ToolResult(identity or minted("result", name), tuple(_spoken(item)), name=name, extras=kept)

    def _answered(self, name: str, identity: str) -> ToolCall | None:
        if identity:
            return next((call for call in self._open if call.id == identity), None)
        return next((call for call in self._open if not name or call.name == name), None)


def parts_of(message: Mapping[str, Any], seed: object) -> list[Part]:
    """Reasoning, text, images and calls of an assistant's message."""
    parts: list[Part] = []
    if thinking := string(message.get("thinking")):
        parts.append(Thinking(thinking))
    parts += _spoken(message)
    parts += [call(item, seed, place) for place, item in enumerate(objects(message.get("tool_calls")))]
    return parts


def call(item: Mapping[str, Any], seed: object, place: object) -> ToolCall:
    inner = mapping(item.get("function"))
    name = string(inner.get("name"))
    identity = string(item.get("id")) or minted(seed, place, name)
    kept = extras(rest(item, ("id", "type", "function")))
    return ToolCall(identity, name, text_of(inner.get("arguments")), extras=kept)


def _spoken(item: Mapping[str, Any]) -> list[Part]:
    text = string(item.get("content"))
    parts: list[Part] = [Text(text)] if text else []
    return parts + [image(data) for data in items(item.get("images")) if isinstance(data, str)]


def image(data: str) -> Media:
    """The dialect does not say what kind of image it is: its first bytes do."""
    media_type = next((kind for start, kind in TYPES.items() if data.startswith(start)), "image/png")
    return Media("image", media_type, data)


def write(messages: Iterable[Message], context: Context) -> list[Json]:
    names: dict[str, str] = {}
    written: list[Json] = []
    for message in messages:
        written += _message(message, names, context)
    return written


def _message(message: Message, names: dict[str, str], context: Context) -> list[Json]:
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    others = [part for part in message.parts if not isinstance(part, ToolResult)]
    found = [_result(part, names, context) for part in results]
    if not others and results:
        return found
    role = "system" if message.role == "developer" else message.role
    written: Json = {"role": role, "content": "", **_said(others, role, context)}
    calls = [part for part in others if isinstance(part, ToolCall)]
    names.update((part.id, part.name) for part in calls)
    if calls:
        written["tool_calls"] = [call_item(part, context) for part in calls]
    if message.parts and written.keys() == {"role", "content"} and not written["content"]:
        return found  # nothing is left of it
    return [*found, {**written, **own(message.extras)}]


def call_item(part: ToolCall, context: Context, name: str = "") -> Json:
    inner = {"name": name or part.name, "arguments": object_of(part, context)}
    return {"id": call_id(part.id), "function": inner, **own(part.extras)}


def uncached(context: Context) -> None:
    context.warn("cache_control: Ollama has no cache breakpoints")


def _result(part: ToolResult, names: Mapping[str, str], context: Context) -> Json:
    if part.cache is not None:
        uncached(context)
    said = _said(part.parts, "tool", context)
    if part.is_error and not said["content"].lower().startswith("error"):
        said["content"] = f"Error: {said['content']}"
    name = part.name or names.get(part.call_id, "")
    written: Json = {"role": "tool", **said} | ({"tool_name": name} if name else {})
    return {**written, "tool_call_id": call_id(part.call_id), **own(part.extras)}


def _said(parts: Iterable[Part], role: str, context: Context) -> Json:
    """Text, reasoning and images of some parts."""
    texts: list[str] = []
    thoughts: list[str] = []
    images: list[str] = []
    for part in parts:
        match part:
            case Text(text) | RefusalText(text):
                texts.append(text)
            case Thinking():
                thoughts += _thought(part, context)
            case Media(kind="image", data=data) if data and context.target.images:
                images.append(data)
            case Media():
                texts += _medium(part, context)
            case Opaque():
                texts += _opaque(part, context)
        if getattr(part, "cache", None) is not None:
            uncached(context)
    said: Json = {"content": ("" if role == "assistant" else "\n\n").join(texts)}
    said |= {"thinking": "\n\n".join(thoughts)} if thoughts else {}
    return said | ({"images": images} if images else {})


def _thought(part: Thinking, context: Context) -> list[str]:
    if part.signature and part.origin not in ("", NAME):
        context.warn(f"thinking: signed by {part.origin}, dropped for {context.target.model or 'the model'}")
        return []
    return [part.text] if part.text else []


def _medium(part: Media, context: Context) -> list[str]:
    if part.kind == "document" and part.text:
        return [part.text]
    how = "URL" if part.url else "file id" if part.file_id else "data"
    context.warn(f"{part.kind}: Ollama takes none by {how} ({part.media_type or 'no type'})")
    return [words(part)]


def _opaque(part: Opaque, context: Context) -> list[str]:
    context.warn(f"{part.raw.get('type', 'part')}: only {part.dialect} knows it")
    return [part.text] if part.text else []
