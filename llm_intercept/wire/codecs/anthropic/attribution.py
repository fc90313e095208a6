"""The line that Claude Code puts before its system prompt, for Anthropic's own accounting.

It changes with every request and stands at the very beginning: every other provider would find a new
prompt each time, and cache nothing of it.
"""

from collections.abc import Iterator
from dataclasses import replace

from llm_intercept.wire.codec import Context
from llm_intercept.wire.ir import Message, Part, Request, Text

LINE = "x-anthropic-billing-header:"


def abroad(request: Request, context: Context) -> Request:
    """The request as another dialect's providers should read it."""
    first = request.messages[0] if request.messages else None
    if first is None or first.role != "system" or not any(map(_has_line, first.parts)):
        return request
    context.warn("system: the line for Anthropic's accounting is left out, it would spoil the prompt cache")
    parts = tuple(_without(first.parts))
    kept: tuple[Message, ...] = (replace(first, parts=parts),) if parts else ()
    return replace(request, messages=(*kept, *request.messages[1:]))


def _has_line(part: Part) -> bool:
    return isinstance(part, Text) and part.text.lstrip().startswith(LINE)


def _without(parts: tuple[Part, ...]) -> Iterator[Part]:
    """A block that begins with the line has mostly nothing else."""
    for part in parts:
        if not isinstance(part, Text) or not _has_line(part):
            yield part
        elif rest := part.text.lstrip().partition("\n")[2]:
            yield replace(part, text=rest)
