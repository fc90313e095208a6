"""Parts to content blocks: for a provider (`Blocks.family` is what its model takes) and for a client.

What a block cannot say is dropped or said in words, with a warning. One `Blocks` writes one request
or answer: documents' names are unique in it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.bedrock_converse import media
from llm_intercept.wire.codecs.bedrock_converse.models import Family
from llm_intercept.wire.codecs.bedrock_converse.signatures import after_call, sealed, tagged
from llm_intercept.wire.codecs.bedrock_converse.terms import NAME, Members, own
from llm_intercept.wire.fields import parse
from llm_intercept.wire.ir import (
    Cache,
    Json,
    Media,
    Opaque,
    Part,
    RefusalText,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llm_intercept.wire.toolids import fitted, restored

ID_PATTERN = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ID_PREFIX = "tooluse_"
NAME_PATTERN = ID_PATTERN
UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
READABLE = 39  # characters of a tool's name before its digest: 64 together
NOTHING = "(no output)"  # a text may not be empty, nor may a tool's result be


def tool_id(original: str) -> str:
    return fitted(original, ID_PATTERN, ID_PREFIX)


def tool_name(original: str) -> str:
    return fitted(original, NAME_PATTERN, f"{UNFIT.sub('_', original)[:READABLE]}_")


def clients_name(name: str, context: Context) -> str:
    """The name that the client gave the tool, where the provider could only be told a shorter one."""
    if context.request is None or not context.request.tools:
        return name
    return restored(name, (tool.name for tool in context.request.tools if hasattr(tool, "name")))


def cache_point(cache: Cache) -> Members:
    return {"cachePoint": {"type": "default"} | ({"ttl": cache.ttl} if cache.ttl != "5m" else {})}


def input_of(call: ToolCall, context: Context) -> Json:
    """The arguments as the object that Converse has there."""
    given = parse(call.arguments) if not call.custom else None
    if isinstance(given, dict):
        return given
    if call.arguments.strip():
        context.warn(f"toolUse.input: the arguments of {call.name} are no JSON object, sent as its text")
        return {"input": call.arguments}
    return {}


@dataclass(slots=True)
class Blocks:
    """`family` None: for a client."""

    context: Context
    family: Family | None = None
    names: set[str] = field(default_factory=set)
    called: list[str] = field(default_factory=list)  # tools of the history, by the names sent
    answered: bool = False  # there are results of tools

    def of(self, parts: Iterable[Part]) -> list[Members]:
        found: list[Members] = []
        for part in parts:
            found.extend(self.part(part))
            cache = getattr(part, "cache", None)
            if cache is not None and found and self._caching():
                found.append(cache_point(cache))
        return found

    def _caching(self) -> bool:
        if self.family is None or self.family.caches:
            return True
        self.context.warn(f"cachePoint: not taken by {self.context.target.model or 'the model'}")
        return False

    def part(self, part: Part) -> list[Members]:
        match part:
            case Text():
                return self._text(part)
            case ToolCall():
                return self._call(part)
            case ToolResult():
                return self._result(part)
            case Thinking():
                return self._thinking(part)
            case Media():
                return [self.media(part)]
            case RefusalText(text):
                return _said(text)
            case Opaque():
                return self._opaque(part)

    def _text(self, part: Text) -> list[Members]:
        if not part.text:
            return []
        if part.citations and NAME in part.extras:
            cited = {"content": [{"text": part.text}], "citations": list(part.citations)}
            return [{"citationsContent": cited}]
        if part.citations:
            self.context.warn("citations: of another provider, not known to Converse")
        return [{"text": part.text, **own(part.extras)}]

    def _call(self, part: ToolCall) -> list[Members]:
        name = self._name(part.name)
        self.called.append(name)
        use = {"toolUseId": tool_id(part.id), "name": name, "input": input_of(part, self.context)}
        block: Members = {"toolUse": use | own(part.extras)}
        if self.family is not None or not part.signature or part.origin in ("", NAME):
            return [block]
        return [block, {"reasoningContent": {"redactedContent": after_call(part.signature, part.origin)}}]

    def _name(self, name: str) -> str:
        return clients_name(name, self.context) if self.family is None else tool_name(name)

    def _result(self, part: ToolResult) -> list[Members]:
        self.answered = True
        content = [block for item in part.parts for block in self._result_block(item)]
        result: Members = {"toolUseId": tool_id(part.call_id), "content": content or [{"text": NOTHING}]}
        if part.is_error:
            result["status"] = "error"
        return [{"toolResult": result | own(part.extras)}]

    def _result_block(self, part: Part) -> list[Members]:
        if isinstance(part, Text):
            known = parse(part.text) if own(part.extras).get("member") == "json" else None
            return [{"json": known}] if isinstance(known, dict) else _said(part.text)
        if isinstance(part, Media) and part.kind == "audio":
            return [self._unsaid(part, "a tool's result holds no audio")]
        return self.part(part)

    def _thinking(self, part: Thinking) -> list[Members]:
        if self.family is not None and not self._ours(part, self.family):
            return []
        if part.redacted:
            return [{"reasoningContent": {"redactedContent": sealed(part.signature, part.origin)}}]
        said: Members = {"text": part.text}
        if part.signature:
            said["signature"] = tagged(part.signature, part.origin)
        return [{"reasoningContent": {"reasoningText": said | own(part.extras)}}]

    def _ours(self, part: Thinking, family: Family) -> bool:
        """A provider checks signatures: it takes back what it has issued, and some nothing unsigned."""
        if part.origin != NAME:
            self.context.warn(f"reasoningContent: reasoning of {part.origin or 'unknown origin'} is dropped")
            return False
        if not part.signature and not family.unsigned:
            self.context.warn(f"reasoningContent: without a signature it is not taken by {family.name}")
            return False
        return True

    def media(self, part: Media) -> Members:
        if self.family is not None and part.kind == "image" and not self.context.target.images:
            return self._unsaid(part, f"not taken by {self.context.target.model or 'the model'}")
        block = media.write(part, self.names)
        if block is not None:
            return block
        if part.text:
            return {"text": part.text}
        return self._unsaid(part, "Converse takes bytes and S3 only" if part.url else "not known to Converse")

    def _unsaid(self, part: Media, why: str) -> Members:
        """A word in its place, so that the text around it keeps its sense."""
        self.context.warn(f"{part.kind}: {why}; said in words")
        inline = part.url.startswith("data:")
        what = part.name or ("" if inline else part.url) or part.file_id or part.media_type
        return {"text": f"[{part.kind} left out{f': {what}' if what else ''}]"}

    def _opaque(self, part: Opaque) -> list[Members]:
        if part.dialect == NAME:
            return [dict(part.raw)]
        kind = part.raw.get("type") or next(iter(part.raw), "")
        said = "; said in words" if part.text else ""
        self.context.warn(f"{part.dialect} {kind}: not known to Converse{said}")
        return _said(part.text)


def _said(text: str) -> list[Members]:
    return [{"text": text}] if text else []
