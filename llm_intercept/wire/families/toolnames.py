"""Names of tools within a target's pattern, and back: nothing is remembered, the digest in a name tells."""

import re
from collections.abc import Iterator
from dataclasses import replace

from llm_intercept.wire.ir import Message, OpaqueTool, Part, Request, Tool, ToolCall
from llm_intercept.wire.toolids import fitted, restored

TAKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What Anthropic and OpenAI both take; Gemini's clients have dots and colons, others more letters."""
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
_READABLE = 39  # characters before the digest: 64 together


def sent(name: str) -> str:
    """A name as the target takes it; `given` takes it back."""
    return fitted(name, TAKEN, f"{_UNFIT.sub('_', name)[:_READABLE]}_")


def fitting(request: Request) -> Request:
    """The request with every tool called by such a name."""
    if all(map(TAKEN.fullmatch, _names(request))):
        return request
    choice = request.tool_choice
    if choice is not None and choice.name:
        choice = replace(choice, name=sent(choice.name))
    tools = tuple(
        tool if isinstance(tool, OpaqueTool) else replace(tool, name=sent(tool.name))
        for tool in request.tools
    )
    return replace(request, tools=tools, tool_choice=choice, messages=tuple(map(_renamed, request.messages)))


def _names(request: Request) -> Iterator[str]:
    for tool in request.tools:
        if isinstance(tool, Tool):
            yield tool.name
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolCall):
                yield part.name


def _renamed(message: Message) -> Message:
    return replace(message, parts=tuple(map(_fit, message.parts)))


def _fit(part: Part) -> Part:
    return replace(part, name=sent(part.name)) if isinstance(part, ToolCall) else part


def given(name: str, request: Request | None) -> str:
    """The name that the client gave the tool which is called."""
    if request is None or not request.tools:
        return name
    return restored(name, (tool.name for tool in request.tools if isinstance(tool, Tool)))
