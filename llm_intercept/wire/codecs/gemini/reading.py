"""Parts of contents, as Gemini's clients and Gemini itself write them, to parts of the IR."""

from collections.abc import Iterable
from typing import Any, Protocol

from llm_intercept.wire.codecs.gemini.shapes import NAME, kept, listed, proto, without
from llm_intercept.wire.codecs.gemini.signatures import untagged
from llm_intercept.wire.fields import compact, mapping
from llm_intercept.wire.ir import NO_EXTRAS, Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult

SIGNS = {NAME: {"signs": "text"}}
"""On a signature that stood on the text part before it, not on a part of its own."""

_TEXT = frozenset(("text", "thought", "thoughtSignature"))
_CALL = frozenset(("functionCall", "thoughtSignature"))
_CALLED = frozenset(("id", "name", "args"))
_RESULT = frozenset(("functionResponse",))
_ANSWERED = frozenset(("id", "name", "response", "parts"))
_BLOB = frozenset(("mimeType", "data"))
_FILE = frozenset(("mimeType", "fileUri"))


class Ids(Protocol):
    def call(self, given: str, name: str, arguments: str) -> str:
        """The id of a call: the given one, or a made one where that is ""."""

    def result(self, call_id: str, name: str) -> str:
        """The id of the call that a response belongs to."""


def parts(raw: object, ids: Ids) -> list[Part]:
    found: list[Part] = []
    for item in listed(raw):
        found.extend(read(item, ids))
    return found


def read(item: dict[str, Any], ids: Ids) -> Iterable[Part]:
    """The parts that one of Google's parts amounts to: a signed text is a text and a signature."""
    part = proto(item)
    if "functionCall" in part:
        return (call(part, ids),)
    if "functionResponse" in part:
        return (result(part, ids),)
    if "inlineData" in part or "fileData" in part:
        return (media(part),)
    if not part.keys().isdisjoint(_TEXT):
        return text(part)
    return (Opaque(NAME, item, spoken(part)),) if part else ()


def text(part: dict[str, Any]) -> list[Part]:
    words = part.get("text")
    words = words if isinstance(words, str) else ""
    if len(part) == 1 and "text" in part:
        return [Text(words)] if words else []
    signature, origin = untagged(part.get("thoughtSignature"))
    rest = without(part, _TEXT)
    if any(key not in _PLAIN for key in rest):  # a kind of part that is newer than this
        return [Opaque(NAME, part, words or spoken(part))]
    if part.get("thought") is True:
        native = origin in ("", NAME)
        return [Thinking(words, signature, origin or NAME, summary=native, extras=kept(rest))]
    found: list[Part] = [Text(words, extras=kept(rest))] if words or rest else []
    if signature:
        marker = SIGNS if words and origin == NAME else NO_EXTRAS
        found.append(Thinking("", signature, origin, redacted=True, extras=marker))
    return found


_PLAIN = frozenset(("partMetadata", "mediaResolution", "videoMetadata"))


def call(part: dict[str, Any], ids: Ids) -> ToolCall:
    inside = proto(part["functionCall"])
    name = str(inside.get("name") or "")
    args = inside.get("args")
    arguments = compact(args) if isinstance(args, dict) and args else "{}"
    given = inside.get("id")
    given = given if isinstance(given, str) else ""
    rest = without(inside, _CALLED)
    if not given:
        rest["id"] = None
    call_id = ids.call(given, name, arguments)
    members = without(part, _CALL)
    if rest:
        members["functionCall"] = rest
    signature, origin = untagged(part.get("thoughtSignature"))
    return ToolCall(call_id, name, arguments, signature, origin, extras=kept(members))


def result(part: dict[str, Any], ids: Ids) -> ToolResult:
    inside = proto(part["functionResponse"])
    name = str(inside.get("name") or "")
    words, is_error, form = response(inside.get("response"))
    said: list[Part] = [Text(words)] if words else []
    said.extend(media(proto(item)) for item in listed(inside.get("parts")))
    given = inside.get("id")
    given = given if isinstance(given, str) else ""
    call_id = ids.result(given, name)
    rest = without(inside, _ANSWERED)
    if form:
        rest["response"] = form
    if inside.get("parts"):
        rest["parts"] = "inside"
    if call_id != given:
        rest["id"] = given or None
    members = without(part, _RESULT)
    if rest:
        members["functionResponse"] = rest
    return ToolResult(call_id, tuple(said), is_error, name, extras=kept(members))


def response(value: object) -> tuple[str, bool, str]:
    """(text, is it an error, how it was wrapped). Google's convention is one member, output or error."""
    if not isinstance(value, dict):
        return (value, False, "") if isinstance(value, str) else ("", False, "object")
    if len(value) == 1:
        ((key, content),) = value.items()
        if isinstance(content, str) and key in ("output", "result", "error"):
            return content, key == "error", "result" if key == "result" else ""
    error = len(value) == 1 and "error" in value
    return compact(value) if value else "", error, "object"


def media(part: dict[str, Any]) -> Media:
    blob, file = proto(part.get("inlineData")), proto(part.get("fileData"))
    known, name = (_BLOB, "inlineData") if "inlineData" in part else (_FILE, "fileData")
    source = blob if name == "inlineData" else file
    media_type = str(source.get("mimeType") or "")
    members = without(part, frozenset((name,)))
    rest = without(source, known)
    if rest:
        members[name] = rest
    kind = media_type.partition("/")[0]
    return Media(
        kind if kind in ("image", "audio", "video") else "document",  # type: ignore[arg-type]
        media_type,
        data=str(source.get("data") or "") if name == "inlineData" else "",
        url=str(source.get("fileUri") or "") if name == "fileData" else "",
        name=str(rest.get("displayName") or ""),
        extras={NAME: members},
    )


def spoken(part: dict[str, Any]) -> str:
    """What a person would read of code that Google ran."""
    code = mapping(part.get("executableCode")).get("code")
    if isinstance(code, str):
        return f"```python\n{code}\n```"
    output = mapping(part.get("codeExecutionResult")).get("output")
    return output if isinstance(output, str) else ""
