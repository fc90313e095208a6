"""Content blocks of requests and answers -> parts. What has no word in the neutral model stays opaque."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from llm_intercept.wire.codecs.anthropic import readable, signatures
from llm_intercept.wire.codecs.anthropic.members import (
    FORM,
    MARK,
    NAME,
    OF_CALL,
    beyond,
    cache_of,
    own,
    with_member,
)
from llm_intercept.wire.families import structured
from llm_intercept.wire.fields import compact
from llm_intercept.wire.ir import Extras, Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult

type Block = Mapping[str, Any]

TEXT = frozenset({"type", "text", "citations", "cache_control"})
CALL = frozenset({"type", "id", "name", "input", "cache_control"})
RESULT = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})
THINKING = frozenset({"type", "thinking", "signature"})
REDACTED = frozenset({"type", "data"})
MEDIA = frozenset({"type", "source", "title", "cache_control"})
SOURCES: dict[str, frozenset[str]] = {
    "base64": frozenset({"type", "media_type", "data"}),
    "url": frozenset({"type", "url"}),
    "file": frozenset({"type", "file_id"}),
    "text": frozenset({"type", "media_type", "data"}),
}


def parts(content: object) -> tuple[Part, ...]:
    """The parts of a content, a string or a list; what is no block is passed over."""
    if isinstance(content, str):
        return (Text(content),) if content else ()
    if not isinstance(content, list):
        return ()
    read = [part(block) for block in content if is_block(block)]
    return tuple(_calls_signed(read)) if any(map(signs_call, read)) else tuple(read)


def is_block(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def part(block: Block) -> Part:
    """One block; total."""
    reader = _READERS.get(block["type"])
    return reader(block) if reader is not None else _opaque(block)


def string(value: object) -> str:
    return value if isinstance(value, str) else ""


def text(block: Block) -> Part:
    words = string(block.get("text"))
    if len(block) == 2:
        return Text(words)
    cache, extras = cache_of(block, beyond(block, TEXT))
    if "citations" not in block:
        return Text(words, cache=cache, extras=extras)
    found = block["citations"]
    cited = tuple(c for c in found if isinstance(c, dict)) if isinstance(found, list) else ()
    extras = (extras or MARK) if isinstance(found, list) else with_member(extras, "citations", found)
    return Text(words, cited, cache, extras)


def call(block: Block) -> Part:
    given = block.get("input")
    arguments = given if isinstance(given, str) else "{}" if not given else compact(given)
    name = string(block.get("name"))
    if structured.is_answer(name):
        return Text(structured.spoken(name, arguments))
    cache, extras = cache_of(block, beyond(block, CALL))
    return ToolCall(string(block.get("id")), name, arguments or "{}", cache=cache, extras=extras)


def thinking(block: Block) -> Part:
    signature, origin = signatures.untagged(string(block.get("signature")))
    words = string(block.get("thinking"))
    return Thinking(words, signature, origin, extras=beyond(block, THINKING))


def redacted(block: Block) -> Part:
    data, extras = string(block.get("data")), beyond(block, REDACTED)
    found = signatures.of_call(data)
    if found is not None:
        extras = with_member(extras, OF_CALL, True)
    signature, origin = found or signatures.untagged(data)
    return Thinking("", signature, origin, redacted=True, extras=extras)


def signs_call(part: Part) -> bool:
    return isinstance(part, Thinking) and part.redacted and OF_CALL in own(part.extras)


def _calls_signed(read: list[Part]) -> list[Part]:
    """Gives the signatures that stand before calls back to them."""
    found: list[Part] = []
    for one in read:
        before = found[-1] if found else None
        if isinstance(one, ToolCall) and isinstance(before, Thinking) and signs_call(before):
            found[-1] = replace(one, signature=before.signature, origin=before.origin)
        else:
            found.append(one)
    return found


def _result(block: Block) -> Part:
    content = block.get("content")
    cache, extras = cache_of(block, beyond(block, RESULT))
    if isinstance(content, str):
        extras = with_member(extras, FORM, "string")
    failed = block.get("is_error")
    if not failed and "is_error" in block:
        extras = with_member(extras, "is_error", failed)
    return ToolResult(
        string(block.get("tool_use_id")), parts(content), bool(failed), cache=cache, extras=extras
    )


def _media(block: Block) -> Part:
    kind, source = block["type"], block.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("type"), str):
        return _opaque(block)
    cache, extras = cache_of(block, beyond(block, MEDIA))
    title = block.get("title")
    if "title" in block and not (title and isinstance(title, str)):
        extras = with_member(extras, "title", title)
    extras, sourced = _source(source, extras)
    return (
        Media(kind, name=string(title), cache=cache, extras=extras, **sourced) if sourced else _opaque(block)
    )


def _source(source: Mapping[str, Any], extras: Extras) -> tuple[Extras, dict[str, str]]:
    """Where the bytes are. A source with more members than known is written again as it was."""
    kind = source["type"]
    if kind == "content":
        words = readable.joined(source.get("content"))
        return with_member(extras, "source", source), {"text": words} if words else {}
    known = SOURCES.get(kind)
    if known is None:
        return extras, {}
    if not source.keys() <= known:
        extras = with_member(extras, "source", source)
    mime = string(source.get("media_type"))
    data = string(source.get("data"))
    return extras, {
        "base64": {"data": data, "media_type": mime},
        "url": {"url": string(source.get("url"))},
        "file": {"file_id": string(source.get("file_id"))},
        "text": {"text": data, "media_type": mime},
    }[kind]


def _opaque(block: Block) -> Part:
    return Opaque(NAME, block, readable.words(block))


_READERS: dict[str, Callable[[Block], Part]] = {
    "text": text,
    "tool_use": call,
    "tool_result": _result,
    "thinking": thinking,
    "redacted_thinking": redacted,
    "image": _media,
    "document": _media,
}
