"""The conversation: `contents` and `systemInstruction`, and what Gemini demands of their order."""

from dataclasses import replace
from typing import Any

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.codecs.gemini import reading, writing
from llm_intercept.wire.codecs.gemini.ids import HistoryIds, sent
from llm_intercept.wire.codecs.gemini.shapes import (
    MODEL_ROLES,
    NAME,
    inner,
    kept,
    listed,
    own,
    proto,
    without,
)
from llm_intercept.wire.codecs.gemini.signatures import BYPASS
from llm_intercept.wire.codecs.gemini.tools import function_name, uncached
from llm_intercept.wire.families.unseen import words
from llm_intercept.wire.fields import parse
from llm_intercept.wire.ir import (
    Media,
    Message,
    Opaque,
    Part,
    RefusalText,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

_CONTENT = frozenset(("role", "parts"))
_RESULT = frozenset(("functionResponse",))
_FORMS = frozenset(("response", "parts"))  # what says how the client wrote these
_BLANK = " "  # Gemini wants something, and no empty text


def decode(raw: object) -> list[Message]:
    """Neighbours of one role are one message, as Gemini itself takes them."""
    ids = HistoryIds()
    found: list[Message] = []
    for index, item in enumerate(listed(raw)):
        message = _message(item, index, ids)
        if found and found[-1].role == message.role:
            before = found.pop()
            message = replace(before, parts=before.parts + message.parts)
        found.append(message)
    return found


def _message(item: dict[str, Any], index: int, ids: HistoryIds) -> Message:
    content = proto(item)
    parts = tuple(reading.parts(content.get("parts"), ids))
    for part in parts:
        if isinstance(part, ToolCall) and not part.name:
            raise Untranslatable(f"contents[{index}].parts", "a function call without a name")
    return Message(_role(content.get("role")), parts, extras=kept(without(content, _CONTENT)))


def _role(name: object) -> Role:
    if isinstance(name, str) and name in MODEL_ROLES:
        return "assistant"
    return "system" if name == "system" else "user"


def decode_system(raw: object) -> list[Message]:
    """A content, a list of parts, or just the text."""
    if isinstance(raw, str):
        return [Message("system", (Text(raw),))] if raw else []
    held = proto(raw).get("parts") if isinstance(raw, dict) and "parts" in raw else raw
    parts = tuple(reading.parts(held, HistoryIds()))
    return [Message("system", parts)] if parts else []


class Contents:
    """Builds `contents` message by message, and `systemInstruction` of what the system said first."""

    def __init__(self, context: Context) -> None:
        self.system: list[dict[str, Any]] = []
        self._contents: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}  # of functions, by the id of the call
        self._context = context

    def add(self, message: Message) -> None:
        if message.role in ("system", "developer"):
            self._system(message)
            return
        role = "model" if message.role == "assistant" else "user"
        parts = self._parts(role, own(message.extras))
        for part in message.parts:
            self._part(part, parts)

    def finished(self) -> list[dict[str, Any]]:
        contents = [content for content in self._contents if content["parts"]]
        for before, content in zip([None, *contents], contents, strict=False):
            if before is not None and content["role"] == "user":
                _responses_first(content["parts"])
            if content["role"] == "model" and self._context.target.reasoning == "level":
                self._sign(content["parts"])
        if not contents or _starts_with_call(contents[0]):
            contents.insert(0, {"role": "user", "parts": [{"text": _BLANK}]})
        return contents

    def _parts(self, role: str, extras: Any) -> list[dict[str, Any]]:
        """Where parts of this role go: neighbours of one role are one content."""
        if not self._contents or self._contents[-1]["role"] != role:
            self._contents.append({"role": role, "parts": [], **extras})
        parts: list[dict[str, Any]] = self._contents[-1]["parts"]
        return parts

    def _system(self, message: Message) -> None:
        """Later words of the system keep their place: there they make sense, and caches stay valid."""
        target = self.system
        if self._contents:
            self._context.warn("messages: what the system says in mid-conversation is a text of the user")
            target = self._parts("user", {})
        for part in message.parts:
            words = part.text if isinstance(part, Text | Opaque | RefusalText) else ""
            if isinstance(part, Text) and part.cache is not None:
                uncached(self._context)
            if words:
                target.append(writing.text(part) if isinstance(part, Text) else {"text": words})
            elif not isinstance(part, Text):
                self._context.warn("system: Gemini takes only text here, the rest is dropped")

    def _part(self, part: Part, parts: list[dict[str, Any]]) -> None:
        match part:
            case Text() | Media() | ToolCall() | ToolResult() if part.cache is not None:
                uncached(self._context)
        match part:
            case Text():
                parts.extend([writing.text(part)] if part.text or own(part.extras) else ())
            case Thinking():
                self._thinking(part, parts)
            case ToolCall():
                parts.append(self._call(part))
            case ToolResult():
                self._result(part, parts)
            case Media():
                blob = writing.media(part, self._context)
                parts.append({"text": words(part)} if blob is None else blob)
            case RefusalText():
                parts.append({"text": part.text or _BLANK})
            case Opaque():
                parts.extend(self._opaque(part))

    def _thinking(self, part: Thinking, parts: list[dict[str, Any]]) -> None:
        """Only Gemini's own thoughts: it refuses signatures that it did not make."""
        if part.origin != NAME:
            self._context.warn(f"thinking: dropped, it is {part.origin or 'another model'}'s")
        elif writing.signs_text(part, parts[-1] if parts else None):
            parts[-1]["thoughtSignature"] = part.signature
        else:
            parts.append(writing.thought(part, part.signature))

    def _call(self, part: ToolCall) -> dict[str, Any]:
        name = function_name(part.name)
        self._names[part.id] = name
        signature = part.signature if part.origin == NAME else ""
        return writing.call(part, sent(part.id), name, signature, self._context)

    def _result(self, part: ToolResult, parts: list[dict[str, Any]]) -> None:
        name = self._names.get(part.call_id) or function_name(part.name or "unknown")
        said, seen = self._told(part)
        inside: dict[str, Any] = {"id": sent(part.call_id), "name": name}
        native = inner(part.extras, "functionResponse")
        inside["response"] = _response("\n".join(said), part.is_error, native.get("response"))
        inside.update(without(native, _FORMS))
        if inside["id"] is None:
            del inside["id"]
        out = {"functionResponse": inside, **without(own(part.extras), _RESULT)}
        parts.append(out)
        if seen and (native.get("parts") or self._takes_media(part)):
            inside["parts"] = seen
        else:
            parts.extend(seen)

    def _told(self, part: ToolResult) -> tuple[list[str], list[dict[str, Any]]]:
        """Texts, and what can be shown; of any other medium that it was there."""
        said: list[str] = []
        seen: list[dict[str, Any]] = []
        for item in part.parts:
            blob = writing.media(item, self._context) if isinstance(item, Media) else None
            if blob is not None:
                seen.append(blob)
            elif text := words(item) if isinstance(item, Media) else _words(item):
                said.append(text)
        return said, seen

    def _takes_media(self, part: ToolResult) -> bool:
        """Models before Gemini 3 see a function's images only beside its response."""
        level = self._context.target.reasoning
        return level == "level" or (level == "" and "gemini-3" in self._context.target.model)

    def _opaque(self, part: Opaque) -> list[dict[str, Any]]:
        if part.dialect == NAME:
            return [dict(part.raw)]
        if not part.text:
            self._context.warn(
                f"{part.raw.get('type') or part.dialect}: dropped, only {part.dialect} knows it"
            )
        return [{"text": part.text}] if part.text else []

    def _sign(self, parts: list[dict[str, Any]]) -> None:
        """Gemini 3 insists on a signature for the first call of a step."""
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None and not first.get("thoughtSignature"):
            first["thoughtSignature"] = BYPASS
            self._context.warn(
                "thoughtSignature: calls that Gemini did not make have its value for unchecked ones"
            )


def _words(part: Part) -> str:
    if isinstance(part, Media):
        return ""
    return part.text if isinstance(part, Text | Opaque | RefusalText) else ""


def _response(words: str, is_error: bool, form: object) -> dict[str, Any]:
    """In the form that it had when it came from a Gemini client, else as Google's documents have it."""
    if form == "object":
        value = parse(words) if words else {}
        if isinstance(value, dict):
            return value
    if is_error:
        return {"error": words}
    return {"result" if form == "result" else "output": words}


def _responses_first(parts: list[dict[str, Any]]) -> None:
    """Responses come right after the calls, so before anything else that the user's turn says."""
    if any("functionResponse" in part for part in parts[1:]):
        parts.sort(key=lambda part: "functionResponse" not in part)


def _starts_with_call(content: dict[str, Any]) -> bool:
    return content["role"] == "model" and any("functionCall" in part for part in content["parts"])
