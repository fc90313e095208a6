"""Events to the event stream of ConverseStream.

Its clients follow one block at a time, so of parts that are open together one is written and the others
wait for it. Only a call of a tool keeps the floor until its end: a text or reasoning is broken off when
another part begins, and goes on in a block of its own should more of it come.
"""

from dataclasses import dataclass, field, replace

import orjson

from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.codecs.bedrock_converse.answer import LACKING, usage_of
from llm_intercept.wire.codecs.bedrock_converse.blocks import Blocks, clients_name, input_of, tool_id
from llm_intercept.wire.codecs.bedrock_converse.decoder import BROKEN
from llm_intercept.wire.codecs.bedrock_converse.errors import exception_of
from llm_intercept.wire.codecs.bedrock_converse.signatures import after_call, sealed, tagged
from llm_intercept.wire.codecs.bedrock_converse.terms import NAME, Members, own, stop_reason
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.fields import compact, mapping
from llm_intercept.wire.ir import (
    Event,
    Failed,
    Failure,
    Finished,
    Opaque,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    RefusalText,
    Started,
    Text,
    Thinking,
    ToolCall,
)


@dataclass(slots=True, eq=False)
class _Open:
    """A part under way. `at` is its block's index, -1 while no frame of it is written."""

    part: Part
    at: int = -1
    waiting: list[PartDelta] = field(default_factory=list)
    ended: bool = False
    held: str = ""  # what can only be written whole
    opened: bool = False
    begun: bool = False  # arguments, or the beginning of a signature, are written
    signature: str = ""  # of a call
    origin: str = ""

    @property
    def flows(self) -> bool:
        """May be broken off and go on later."""
        return isinstance(self.part, Text | RefusalText) or (
            isinstance(self.part, Thinking) and not self.part.redacted
        )


class Encoder:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._parts: dict[int, _Open] = {}
        self._queue: list[_Open] = []
        self._current: _Open | None = None
        self._next = 0
        self._started = self._called = self._over = False

    def feed(self, event: Event) -> list[Frame]:
        if self._over:
            return []
        match event:
            case PartDelta(index):
                return self._delta(self._parts.get(index), event)
            case PartStarted(index, part):
                return self._start(index, part)
            case PartEnded(index):
                return self._end(self._parts.get(index))
            case Started():
                return self._begin()
            case Finished():
                return self._finish(event)
            case Failed(failure):
                return self._fail(failure)

    def close(self) -> list[Frame]:
        return [] if self._over else self._fail(BROKEN)

    def _begin(self) -> list[Frame]:
        if self._started:
            return []
        self._started = True
        return [("messageStart", b'{"role":"assistant"}')]

    def _start(self, index: int, part: Part) -> list[Frame]:
        former = self._parts.get(index)
        self._parts[index] = new = _Open(part)
        self._called |= isinstance(part, ToolCall)
        self._queue.append(new)
        frames = self._begin() + self._end(former)
        if self._current is not None and self._current.flows:
            frames += self._stop(self._current)
        return frames + self._advance()

    def _delta(self, part: _Open | None, delta: PartDelta) -> list[Frame]:
        if part is None:
            return []
        if part is self._current:
            return self._write(part, delta)
        if part.ended and not part.flows:
            return []
        part.waiting.append(delta)
        if part not in self._queue:
            self._queue.append(part)
        return self._advance()

    def _end(self, part: _Open | None) -> list[Frame]:
        if part is None:
            return []
        part.ended = True
        return self._stop(part) + self._advance() if part is self._current else []

    def _advance(self) -> list[Frame]:
        """Writes what waits, up to a part that is still under way."""
        frames: list[Frame] = []
        while self._current is None and self._queue:
            part = self._current = self._queue.pop(0)
            frames += self._open(part)
            waiting, part.waiting = part.waiting, []
            for delta in waiting:
                frames += self._write(part, delta)
            if part.ended or (part.flows and self._queue):
                frames += self._stop(part)
        return frames

    def _open(self, part: _Open) -> list[Frame]:
        """Starts the block where the wire has a start, and writes what came with the part itself."""
        if part.opened and part.flows:
            return []
        part.opened = True
        match part.part:
            case ToolCall() as call:
                use = {"toolUseId": tool_id(call.id), "name": clients_name(call.name, self._context)}
                start = self._block(part, "contentBlockStart", {"start": {"toolUse": use | own(call.extras)}})
                return start + self._write(part, PartDelta(0, call.arguments, call.signature, call.origin))
            case Thinking(text, signature, origin):
                part.origin = origin
                return self._write(part, PartDelta(0, text, signature, origin))
            case Text(text) | RefusalText(text):
                return self._write(part, PartDelta(0, text))
        return self._whole(part)

    def _block(self, part: _Open, event: str, payload: Members) -> list[Frame]:
        if part.at < 0:
            part.at = self._next
            self._next += 1
        payload["contentBlockIndex"] = part.at
        return [(event, orjson.dumps(payload))]

    def _write(self, part: _Open, delta: PartDelta) -> list[Frame]:
        match part.part:
            case Text() | RefusalText():
                return self._write_text(part, delta)
            case ToolCall(custom=custom):
                return self._write_arguments(part, delta, custom)
            case Thinking(redacted=redacted):
                return self._write_thought(part, delta, redacted)
        return []

    def _write_text(self, part: _Open, delta: PartDelta) -> list[Frame]:
        frames: list[Frame] = []
        if delta.text:
            frames = self._block(part, "contentBlockDelta", {"delta": {"text": delta.text}})
        if delta.citation is not None:
            frames += self._cite(part, delta)
        if delta.logprobs:
            self._context.warn("logprobs: not known to Converse")
        return frames

    def _cite(self, part: _Open, delta: PartDelta) -> list[Frame]:
        if NAME not in getattr(part.part, "extras", {}):
            self._context.warn("citations: of another provider, not known to Converse")
            return []
        return self._block(part, "contentBlockDelta", {"delta": {"citation": delta.citation}})

    def _write_arguments(self, part: _Open, delta: PartDelta, custom: bool) -> list[Frame]:
        part.signature += delta.signature
        part.origin = delta.origin or part.origin
        if custom:
            part.held += delta.text
            return []
        text, part.held = part.held + delta.text, ""
        if not (part.begun or text.lstrip().startswith("{")):
            part.held = text  # blanks, or no object: what it is shows at the end
            return []
        part.begun = True
        return self._block(part, "contentBlockDelta", {"delta": {"toolUse": {"input": text}}}) if text else []

    def _write_thought(self, part: _Open, delta: PartDelta, redacted: bool) -> list[Frame]:
        part.origin = delta.origin or part.origin
        if redacted:
            part.held += delta.signature
            part.begun = True
            return []
        frames: list[Frame] = []
        if delta.text:
            frames = self._thought(part, {"text": delta.text})
        if delta.signature:
            signature = delta.signature if part.begun else tagged(delta.signature, part.origin)
            part.begun = True
            frames += self._thought(part, {"signature": signature})
        return frames

    def _thought(self, part: _Open, content: Members) -> list[Frame]:
        return self._block(part, "contentBlockDelta", {"delta": {"reasoningContent": content}})

    def _whole(self, part: _Open) -> list[Frame]:
        """A part that comes at once: a tool of AWS and its result, an image, something said in words."""
        raw = part.part.raw if isinstance(part.part, Opaque) and part.part.dialect == NAME else {}
        if "toolUse" in raw:
            return self._pair(part, "toolUse", mapping(raw["toolUse"]), "input")
        if "toolResult" in raw:
            return self._pair(part, "toolResult", mapping(raw["toolResult"]), "content")
        frames: list[Frame] = []
        for block in Blocks(self._context).part(part.part):
            if "image" in block:
                frames += self._pair(part, "image", block["image"], "source")
            elif isinstance(text := block.get("text"), str):
                frames += self._block(part, "contentBlockDelta", {"delta": {"text": text}})
        return frames

    def _pair(self, part: _Open, kind: str, value: Members, content: str) -> list[Frame]:
        """The start with everything but its content, then the content."""
        start = {name: member for name, member in value.items() if name != content}
        given = value.get(content)
        delta = {"toolUse": {"input": compact(given)}, "toolResult": given, "image": {"source": given}}[kind]
        frames = self._block(part, "contentBlockStart", {"start": {kind: start}})
        return frames + self._block(part, "contentBlockDelta", {"delta": {kind: delta}})

    def _stop(self, part: _Open) -> list[Frame]:
        frames = self._held(part)
        self._current = None
        if part.at < 0:
            return frames
        frames += self._block(part, "contentBlockStop", {})
        part.at = -1
        if part.signature and part.origin not in ("", NAME):
            redacted = {"redactedContent": after_call(part.signature, part.origin)}
            frames += self._thought(part, redacted) + self._block(part, "contentBlockStop", {})
            part.at = -1
        return frames

    def _held(self, part: _Open) -> list[Frame]:
        match part.part:
            case ToolCall(custom=True):
                written = {"input": compact({"input": part.held})}
                return self._block(part, "contentBlockDelta", {"delta": {"toolUse": written}})
            case ToolCall() as call if not part.begun:
                given = compact(input_of(replace(call, arguments=part.held), self._context))
                return self._block(part, "contentBlockDelta", {"delta": {"toolUse": {"input": given}}})
            case Thinking(redacted=True):
                return self._thought(part, {"redactedContent": sealed(part.held, part.origin)})
        return []

    def _flush(self) -> list[Frame]:
        frames = self._stop(self._current) if self._current is not None else []
        for part in self._parts.values():
            part.ended = True
        return frames + self._advance()

    def _finish(self, event: Finished) -> list[Frame]:
        frames = self._begin() + self._flush()
        self._over = True
        if "additionalModelResponseFields" not in own(event.extras):
            unsaid.ended(event.usage, event.stop_sequence, LACKING, "Converse", self._context)
        kept = dict(own(event.extras))
        stop = {"stopReason": kept.pop("stopReason", "") or stop_reason(event.finish, self._called)}
        if "additionalModelResponseFields" in kept:
            stop["additionalModelResponseFields"] = kept.pop("additionalModelResponseFields")
        frames.append(("messageStop", orjson.dumps(stop)))
        usage = usage_of(event.usage, self._context.input_estimate) | mapping(kept.pop("usage", None))
        frames.append(("metadata", orjson.dumps({"usage": usage} | kept)))
        return frames

    def _fail(self, failure: Failure) -> list[Frame]:
        """The exception is the end: no event follows it."""
        self._over = True
        name, payload = exception_of(failure)
        return [(name, orjson.dumps(payload))]
