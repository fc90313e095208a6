"""Parts -> content blocks: what a part becomes for a provider, and what for a client."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.anthropic import media_out, signatures
from llm_intercept.wire.codecs.anthropic.members import FORM, NAME, as_object, complete, own
from llm_intercept.wire.families import toolnames
from llm_intercept.wire.ir import (
    Media,
    Opaque,
    Part,
    RefusalText,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llm_intercept.wire.toolids import fitted

type Block = dict[str, Any]

TOOL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TOOL_PREFIX = "toolu_"


def tool_id(original: str) -> str:
    return fitted(original, TOOL_ID, TOOL_PREFIX)


def text_block(part: Text, context: Context) -> Block | None:
    """Anthropic refuses text blocks without text."""
    if not part.text:
        return None
    block: Block = {"type": "text", "text": part.text}
    if part.cache is None and not part.extras and not part.citations:
        return block
    complete(block, part.cache, part.extras)
    if part.citations:
        if own_citations(part):
            block["citations"] = list(part.citations)
        else:
            context.warn("citations: those of another dialect are left out")
    return block


def own_citations(part: Text) -> bool:
    """Citations are in the dialect of the only key of the extras."""
    return NAME in part.extras


def thinking_block(part: Thinking) -> Block | None:
    """For a client: signatures of other origins under their tag. Without any content there is no block."""
    if part.redacted:
        return signatures.redacted(part.signature, part.origin) if part.signature else None
    if not part.text and not part.signature:
        return None
    signature = signatures.tagged(part.signature, part.origin)
    return complete({"type": "thinking", "thinking": part.text, "signature": signature}, None, part.extras)


def call_block(part: ToolCall, call_id: str, name: str) -> Block:
    given = {"input": part.arguments} if part.custom else as_object(part.arguments)
    block: Block = {"type": "tool_use", "id": call_id, "name": name, "input": given}
    return complete(block, part.cache, part.extras)


def opaque_block(part: Opaque, context: Context) -> Block | None:
    if part.dialect == NAME:
        return dict(part.raw)
    if part.text:
        return {"type": "text", "text": part.text}
    context.warn(f"{part.raw.get('type') or 'content'}: only {part.dialect} understands it; left out")
    return None


@dataclass(slots=True)
class AnswerBlocks:
    """Blocks of an answer, for a client."""

    context: Context

    def written(self, parts: Iterable[Part]) -> list[Block]:
        return [block for part in parts for block in self._blocks(part)]

    def _blocks(self, part: Part) -> list[Block]:
        before: list[Block] = []
        if isinstance(part, ToolCall) and part.signature and part.origin != NAME:
            before = [signatures.before_call(part.signature, part.origin)]
        block = self._block(part)
        return before if block is None else [*before, block]

    def _block(self, part: Part) -> Block | None:
        match part:
            case Text():
                return text_block(part, self.context)
            case RefusalText(text):
                return {"type": "text", "text": text} if text else None
            case Thinking():
                return thinking_block(part)
            case ToolCall():
                return call_block(part, tool_id(part.id), toolnames.given(part.name, self.context.request))
            case Opaque():
                return opaque_block(part, self.context)
        self.context.warn(f"{kind_of(part)}: answers of Anthropic's have none; left out")
        return None


def kind_of(part: Part) -> str:
    return part.kind if isinstance(part, Media) else type(part).__name__


@dataclass(slots=True)
class RequestBlocks:
    """Blocks of a request, for a provider. Knows the ids given so far: no two calls may have the same."""

    context: Context
    native: bool  # the client speaks Anthropic's dialect too: its file ids mean something
    _current: dict[str, str] = field(default_factory=dict)  # id -> the id on the wire of its latest call
    _used: set[str] = field(default_factory=set)

    def written(self, parts: Iterable[Part]) -> list[Block]:
        return [block for part in parts if (block := self._block(part)) is not None]

    def _block(self, part: Part) -> Block | None:
        match part:
            case Text():
                return self._text(part)
            case ToolCall():
                return call_block(part, self._call_id(part.id), part.name)
            case ToolResult():
                return self._result(part)
            case Thinking():
                return self._thinking(part)
            case Media():
                return media_out.block(part, self.context, self.native)
            case Opaque():
                return opaque_block(part, self.context)
            case RefusalText(text):
                return {"type": "text", "text": text} if text else None

    def _text(self, part: Text) -> Block | None:
        """Anthropic refuses text of blanks alone; its own clients know that."""
        return text_block(part, self.context) if self.native or part.text.strip() else None

    def _call_id(self, original: str) -> str:
        """Servers that count calls from 0 in each answer use an id again; Anthropic refuses that."""
        call_id = tool_id(original)
        turn = 1
        while call_id in self._used:
            turn += 1
            call_id = tool_id(f"{original}#{turn}")
        self._used.add(call_id)
        self._current[original] = call_id
        return call_id

    def _result(self, part: ToolResult) -> Block:
        call_id = self._current.get(part.call_id) or tool_id(part.call_id)
        block: Block = {"type": "tool_result", "tool_use_id": call_id}
        content = self.written(part.parts)
        if own(part.extras).get(FORM) == "string":
            block["content"] = _as_string(content)
        elif content:
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        return complete(block, part.cache, part.extras)

    def _thinking(self, part: Thinking) -> Block | None:
        """Anthropic takes back what it signed itself, and fails over anything else."""
        if self.context.target.reasoning == "none":
            self.context.warn("thinking: this model does not reason; thinking of earlier turns is left out")
            return None
        if not signatures.sendable(part):
            self.context.warn("thinking: not signed by Anthropic; left out of the history")
            return None
        return thinking_block(part)


def _as_string(content: list[Block]) -> str | list[Block]:
    if not content:
        return ""
    plain = len(content) == 1 and content[0].keys() == {"type", "text"}
    return str(content[0]["text"]) if plain else content
