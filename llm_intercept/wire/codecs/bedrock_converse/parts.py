"""Content blocks to parts: the same for a client's messages and a model's answer.

A `cachePoint` is a block of its own, after the content that it marks: it becomes the mark of that part.
"""

from collections.abc import Callable
from dataclasses import replace

from llm_intercept.wire.codecs.bedrock_converse import media
from llm_intercept.wire.codecs.bedrock_converse.signatures import of_call, unsealed, untagged
from llm_intercept.wire.codecs.bedrock_converse.terms import NAME, Members, extras, string
from llm_intercept.wire.families import structured
from llm_intercept.wire.fields import compact, mapping, objects
from llm_intercept.wire.ir import (
    Cache,
    Extras,
    Json,
    Media,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

AS_JSON: Extras = {NAME: {"member": "json"}}
"""A text of a tool's result that stands as JSON on the wire, not as text."""
CITED: Extras = {NAME: {}}
"""A text whose citations, if there are any, are in this dialect."""


def parts_of(content: Json) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),)
    found: list[Part] = []
    for block in objects(content):
        changed = _changed(found[-1], block) if found else None
        if changed is not None:
            found[-1] = changed
        else:
            found.append(part_of(block))
    return tuple(found)


def cache_of(point: Json) -> Cache | None:
    """The mark, if the point says nothing else."""
    known = mapping(point)
    if known.get("type") != "default" or not known.keys() <= {"type", "ttl"}:
        return None
    return Cache(string(known.get("ttl")) or "5m")


def _changed(part: Part, block: Members) -> Part | None:
    """The part with what this block says of it: a mark of the cache, a call's signature."""
    if "cachePoint" in block:
        return _marked(part, block["cachePoint"])
    if "reasoningContent" not in block or not isinstance(part, ToolCall):
        return None
    signed = of_call(string(mapping(block["reasoningContent"]).get("redactedContent")))
    return replace(part, signature=signed[0], origin=signed[1]) if signed else None


def _marked(part: Part, point: Json) -> Part | None:
    cache = cache_of(point)
    if cache is None or not isinstance(part, Text | Media | ToolCall | ToolResult) or part.cache:
        return None
    return replace(part, cache=cache)


def part_of(block: Members) -> Part:
    for kind, read in _READERS.items():
        if kind in block:
            return read(block)
    return Opaque(NAME, block)


def _text(block: Members) -> Part:
    text = block["text"]
    return Text(text, extras=extras(block, "text")) if isinstance(text, str) else Opaque(NAME, block)


def _tool_use(block: Members) -> Part:
    use = mapping(block["toolUse"])
    if use.get("type") == "server_tool_use":
        return Opaque(NAME, block)
    given = use.get("input")
    arguments = (given or "{}") if isinstance(given, str) else compact(given if given is not None else {})
    name = string(use.get("name"))
    if structured.is_answer(name):
        return Text(structured.spoken(name, arguments))
    left = extras(use, "toolUseId", "name", "input")
    return ToolCall(string(use.get("toolUseId")), name, arguments, extras=left)


def _tool_result(block: Members) -> Part:
    """With a type it is the result of a tool that AWS has run itself."""
    result = mapping(block["toolResult"])
    if "type" in result:
        return Opaque(NAME, block)
    parts = tuple(_result_part(item) for item in objects(result.get("content")))
    failed = result.get("status") == "error"
    left = extras(result, "toolUseId", "content", "status")
    return ToolResult(string(result.get("toolUseId")), parts, failed, extras=left)


def _result_part(block: Members) -> Part:
    if "json" in block:
        return Text(compact(block["json"]), extras=AS_JSON)
    return part_of(block)


def _reasoning(block: Members) -> Part:
    content = mapping(block["reasoningContent"])
    if isinstance(redacted := content.get("redactedContent"), str):
        signature, origin = unsealed(redacted)
        return Thinking("", signature, origin, redacted=True)
    said = mapping(content.get("reasoningText"))
    if not said:
        return Opaque(NAME, block)
    signature, origin = untagged(string(said.get("signature")))
    return Thinking(string(said.get("text")), signature, origin, extras=extras(said, "text", "signature"))


def _cited(block: Members) -> Part:
    """What is said in several pieces with one list of citations is one text."""
    cited = mapping(block["citationsContent"])
    text = "".join(string(piece.get("text")) for piece in objects(cited.get("content")))
    return Text(text, tuple(objects(cited.get("citations"))), extras=CITED)


def _guarded(block: Members) -> Part:
    guard = mapping(block["guardContent"])
    return Opaque(NAME, block, string(mapping(guard.get("text")).get("text")))


def _found(block: Members) -> Part:
    """A search result that the client brings along; its text is what others can be told."""
    result = mapping(block["searchResult"])
    pieces = [string(result.get("title")), string(result.get("source"))]
    pieces += [string(piece.get("text")) for piece in objects(result.get("content"))]
    return Opaque(NAME, block, "\n".join(piece for piece in pieces if piece))


_READERS: dict[str, Callable[[Members], Part]] = {
    "text": _text,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _reasoning,
    "citationsContent": _cited,
    "guardContent": _guarded,
    "searchResult": _found,
    "image": lambda block: media.read("image", mapping(block["image"])),
    "document": lambda block: media.read("document", mapping(block["document"])),
    "video": lambda block: media.read("video", mapping(block["video"])),
    "audio": lambda block: media.read("audio", mapping(block["audio"])),
}
