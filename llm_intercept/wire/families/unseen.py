"""Media that a target cannot get at: files in another provider's store, addresses that nobody else can fetch.

The model is told that something was there: an answer that passes over it would look like a mistake.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from llm_intercept.wire.codec import Context
from llm_intercept.wire.ir import Media, Message, Part, Request, Text, ToolResult

_PUBLIC = ("http://", "https://", "data:")
_GOOGLES = "https://generativelanguage.googleapis.com/"  # files that Gemini keeps, each for its own key


def words(part: Media) -> str:
    """What the model reads in place of it."""
    address = "" if part.url.startswith("data:") else part.url
    what = part.name or address or part.file_id or part.media_type
    return f"[{part.kind} left out{f': {what}' if what else ''}]"


def seen(request: Request, own: Collection[str], context: Context) -> Sequence[Message]:
    """The messages without what only the client's own provider could look up; `own` share one store."""
    if any(name in own for name in request.extras):
        return request.messages
    if not any(_is_lost(part) for message in request.messages for part in message.parts):
        return request.messages
    return [_message(message, context) for message in request.messages]


def _is_lost(part: Part) -> bool:
    if isinstance(part, ToolResult):
        return any(map(_is_lost, part.parts))
    return isinstance(part, Media) and _is_elsewhere(part)


def _message(message: Message, context: Context) -> Message:
    return replace(message, parts=tuple(_part(part, context) for part in message.parts))


def _part(part: Part, context: Context) -> Part:
    if isinstance(part, ToolResult):
        return replace(part, parts=tuple(_part(one, context) for one in part.parts))
    if not isinstance(part, Media) or not _is_elsewhere(part):
        return part
    how = "a file of another provider" if part.file_id else "an address that its own provider alone can fetch"
    context.warn(f"{part.kind}: {how}; said in words")
    return Text(words(part), cache=part.cache)


def _is_elsewhere(part: Media) -> bool:
    if part.data or part.text:
        return False
    if part.url:
        return not part.url.lower().startswith(_PUBLIC) or part.url.startswith(_GOOGLES)
    return bool(part.file_id)
