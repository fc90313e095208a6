"""Messages of a request -> the IR. Tool messages become results inside one user message."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from llm_intercept.wire.codec import Untranslatable
from llm_intercept.wire.codecs.openai_chat.media import parts_of
from llm_intercept.wire.codecs.openai_chat.terms import (
    CACHED,
    CONTENT,
    LEGACY,
    NAME,
    arguments_of,
    cache_of,
    extras,
    minted,
    own,
    rest,
    string,
)
from llm_intercept.wire.codecs.openai_chat.thought import FIELDS, thoughts, unsealed
from llm_intercept.wire.fields import mapping, objects
from llm_intercept.wire.ir import NO_EXTRAS, Message, Part, RefusalText, Text, ToolCall, ToolResult

KNOWN = frozenset(("role", "content", "name"))
KNOWN_OF_ASSISTANT = KNOWN | {"refusal", "tool_calls", "function_call", *FIELDS, "reasoning_details"}
KNOWN_OF_TOOL = KNOWN | {"tool_call_id", "cache_control"}
KNOWN_OF_CALL = frozenset(("id", "type", "function", "custom", "index", "extra_content"))


def messages(raw: object) -> tuple[Message, ...]:
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
    """Keeps results until a message of another kind comes; remembers the legacy call that is open."""

    def __init__(self) -> None:
        self.found: list[Message] = []
        self._results: list[Part] = []
        self._function_id = ""

    def gather(self) -> None:
        if self._results:
            self.found.append(Message("user", tuple(self._results)))
            self._results = []

    def read(self, position: int, item: Mapping[str, Any]) -> None:
        role = item.get("role")
        if role in ("tool", "function"):
            self._results.append(self._result(item))
            return
        self.gather()
        if role == "assistant":
            self.found.append(self._assistant(position, item))
        elif role in ("user", "system", "developer"):
            self.found.append(_spoken(role, item))
        else:
            raise Untranslatable(f"messages[{position}].role", f"{role!r} is not a role of chat completions")

    def _result(self, item: Mapping[str, Any]) -> ToolResult:
        legacy = item.get("role") == "function"
        kept = rest(item, KNOWN_OF_TOOL)
        content = item.get("content")
        if isinstance(content, list) and len(content) > 1:
            kept[CONTENT] = True
        return ToolResult(
            self._function_id if legacy else string(item.get("tool_call_id")),
            tuple(parts_of(content)),
            name=string(item.get("name")),
            cache=cache_of(item),
            extras=extras(kept | ({LEGACY: True} if legacy else {})),
        )

    def _assistant(self, position: int, item: Mapping[str, Any]) -> Message:
        parts = thoughts(item, asked=True)
        parts += parts_of(item.get("content"))
        if refusal := string(item.get("refusal")):
            parts.append(RefusalText(refusal))
        parts += calls(item, position)
        called = mapping(item.get("function_call"))
        self._function_id = minted(position, "function", called.get("name")) if called else ""
        if called:
            parts.append(legacy_call(called, self._function_id))
        kept = rest(item, KNOWN_OF_ASSISTANT) | _content_note(item)
        if item.get(FIELDS[0]) == "":  # DeepSeek wants the member, empty or not
            kept[FIELDS[0]] = ""
        return Message("assistant", tuple(parts), string(item.get("name")), extras(kept))


def _content_note(item: Mapping[str, Any]) -> dict[str, Any]:
    content = item.get("content")
    return {CONTENT: True} if isinstance(content, list) and len(content) > 1 else {}


def _spoken(role: Literal["user", "system", "developer"], item: Mapping[str, Any]) -> Message:
    parts = parts_of(item.get("content"))
    kept = rest(item, KNOWN) | _content_note(item)
    if "cache_control" in kept and parts and isinstance(parts[-1], Text):
        parts[-1] = replace(parts[-1], cache=cache_of(item), extras=extras({CACHED: True}))
    return Message(role, tuple(parts), string(item.get("name")), extras(kept))


def calls(message: Mapping[str, Any], seed: object) -> list[Part]:
    """`tool_calls` of a message; a call without an id gets one that `seed` and its place decide."""
    return [call(item, seed, place) for place, item in enumerate(objects(message.get("tool_calls")))]


def call(item: Mapping[str, Any], seed: object, place: int) -> ToolCall:
    custom = item.get("type") == "custom" or ("custom" in item and "function" not in item)
    inner = mapping(item.get("custom" if custom else "function"))
    name = string(inner.get("name"))
    kept = rest(item, KNOWN_OF_CALL)
    signature, origin, extra = signature_of(item)
    if extra:
        kept["extra_content"] = extra
    return ToolCall(
        string(item.get("id")) or minted(seed, place, name),
        name,
        string(inner.get("input")) if custom else arguments_of(inner.get("arguments")),
        signature,
        origin,
        custom,
        extras=extras(kept) if kept else NO_EXTRAS,
    )


def signature_of(item: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Gemini's thought signature in `extra_content.google`, its origin, and what else is there."""
    extra = item.get("extra_content")
    if not isinstance(extra, dict):
        return "", "", {}
    google = mapping(extra.get("google"))
    signature, origin = unsealed(string(google.get("thought_signature")))
    others = {**extra, "google": rest(google, ("thought_signature",))}
    return signature, origin, rest(others, () if others["google"] else ("google",))


def legacy_call(item: Mapping[str, Any], identity: str) -> ToolCall:
    name = string(item.get("name"))
    return ToolCall(identity, name, arguments_of(item.get("arguments")), extras={NAME: {LEGACY: True}})


def is_legacy(part: ToolCall | ToolResult) -> bool:
    return LEGACY in own(part.extras)
