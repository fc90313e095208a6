"""Neutral events -> a stream of Anthropic's events, whatever comes: one block open at a time, in order.

The first part that has not ended is live: its deltas go out as they come. Parts beside it wait with all
they get until it has ended. A part is opened when it has content: empty texts would be refused when the
client sends them back. Signatures go out whole at a block's end, for the official SDKs keep the last one.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.codecs.anthropic import counters, errors, signatures
from llm_intercept.wire.codecs.anthropic.answer import REASON, message_id, reason_of, unscored
from llm_intercept.wire.codecs.anthropic.blocks_out import kind_of, opaque_block, own_citations, tool_id
from llm_intercept.wire.codecs.anthropic.members import NAME, as_object, own, written
from llm_intercept.wire.families import toolnames
from llm_intercept.wire.fields import compact, dumped
from llm_intercept.wire.ir import (
    Event,
    Extras,
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
from llm_intercept.wire.usage import Usage

IN_DELTA = ("container", "stop_details")
NOT_BESIDE = frozenset({*IN_DELTA, "type", "delta", "usage", REASON})
_DELTA = "content_block_delta"
STREAMED = ("server_tool_use", "mcp_tool_use")


@dataclass(slots=True)
class Slot:
    """A part on its way. `waiting` are deltas that came while another part was live."""

    part: Part
    waiting: list[PartDelta] = field(default_factory=list)
    signature: str = ""
    origin: str = ""
    held: list[str] = field(
        default_factory=list
    )  # free text, or arguments that do not begin as an object: given at the end
    opened: bool = False
    ended: bool = False
    closed: bool = False


class Encoder:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._slots: dict[int, Slot] = {}
        self._queue: deque[Slot] = deque()
        self._index = -1
        self._usage: Usage | None = None
        self._called = False
        self._begun = self._done = False

    def feed(self, event: Event) -> Iterable[Frame]:
        if self._done:
            return []
        if isinstance(event, PartDelta):
            return self._delta(event)
        if isinstance(event, PartStarted):
            return self._started(event)
        if isinstance(event, PartEnded):
            slot = self._slots.get(event.index)
            if slot is not None:
                slot.ended = True
            return self._advance()
        if isinstance(event, Started):
            return self._start(event)
        if isinstance(event, Failed):
            return self._fail(event.failure)
        return self._finish(event)

    def close(self) -> Iterable[Frame]:
        return [] if self._done else self._fail(errors.CUT)

    def _fail(self, failure: Failure) -> list[Frame]:
        """The error event is the end; the open block stays open, as with Anthropic itself."""
        self._done = True
        return [errors.event(failure)]

    def _start(self, event: Started) -> list[Frame]:
        if self._begun:
            return []
        self._begun = True
        self._usage = event.usage
        mine = own(event.extras)
        estimate = self._context.input_estimate
        usage = counters.written(event.usage or Usage(), event.extras, estimate)
        if "usage" not in mine:
            usage["output_tokens"] = usage["output_tokens"] or 1
        message = {
            "id": message_id(event.id, self._context),
            "type": "message",
            "role": "assistant",
            "model": self._context.requested_model or event.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            **{name: value for name, value in mine.items() if name != "usage"},
            "usage": usage,
        }
        return [_frame("message_start", message=message)]

    def _first(self) -> list[Frame]:
        return [] if self._begun else self._start(Started("", ""))

    def _started(self, event: PartStarted) -> list[Frame]:
        earlier = self._slots.get(event.index)
        if earlier is not None:
            earlier.ended = True
        slot = Slot(event.part)
        early = _content(event)
        if early is not None:
            slot.waiting.append(early)
        self._slots[event.index] = slot
        self._queue.append(slot)
        return self._first() + self._advance()

    def _delta(self, delta: PartDelta) -> list[Frame]:
        slot = self._slots.get(delta.index)
        if slot is None or slot.closed:
            return self._late(slot, delta)
        if slot is not self._queue[0]:
            slot.waiting.append(delta)
            return []
        return self._written(slot, delta)

    def _late(self, slot: Slot | None, delta: PartDelta) -> list[Frame]:
        """A delta without its part, or after its end: words get a block of their own."""
        part = slot.part if slot is not None else Text("")
        if not delta.text:
            return []
        if not isinstance(part, Text | Thinking | RefusalText):
            self._context.warn("stream: content of a part came after its end; left out")
            return []
        fresh: Part = Thinking() if isinstance(part, Thinking) else Text("")
        return self._started(PartStarted(delta.index, fresh)) + self._delta(delta)

    def _advance(self) -> list[Frame]:
        """Writes what waits, up to the first part that has not ended."""
        frames: list[Frame] = []
        while self._queue:
            slot = self._queue[0]
            for delta in slot.waiting:
                frames += self._written(slot, delta)
            slot.waiting.clear()
            if not slot.ended:
                break
            frames += self._close(slot)
            slot.closed = True
            self._queue.popleft()
        return frames

    def _written(self, slot: Slot, delta: PartDelta) -> list[Frame]:
        if delta.signature:
            slot.signature += delta.signature
            slot.origin = delta.origin or slot.origin
        part = slot.part
        if isinstance(part, (Text, RefusalText)):
            return self._words(slot, delta)
        if not delta.text:
            return []
        if isinstance(part, Thinking):
            return [] if part.redacted else self._piece(slot, "thinking_delta", "thinking", delta.text)
        if not isinstance(part, ToolCall):
            return []
        if part.custom:
            slot.held.append(delta.text)
            return []
        return self._arguments(slot, delta.text)

    def _arguments(self, slot: Slot, text: str) -> list[Frame]:
        """What does not begin as an object waits for its end: SDKs fail over arguments that are no JSON."""
        if not slot.opened:
            text = "".join((*slot.held, text))
            slot.held = [] if text.lstrip().startswith("{") else [text]
        return [] if slot.held else self._piece(slot, "input_json_delta", "partial_json", text)

    def _words(self, slot: Slot, delta: PartDelta) -> list[Frame]:
        frames = self._piece(slot, "text_delta", "text", delta.text) if delta.text else []
        if delta.logprobs:
            unscored(self._context)
        if delta.citation is not None and isinstance(slot.part, Text):
            if own_citations(slot.part):
                frames += self._piece(slot, "citations_delta", "citation", delta.citation)
            else:
                self._context.warn("citations: those of another dialect are left out")
        return frames

    def _piece(self, slot: Slot, kind: str, name: str, value: object) -> list[Frame]:
        frames = [] if slot.opened else self._open(slot)
        delta = {"type": kind, name: value}
        frames.append((_DELTA, dumped({"type": _DELTA, "index": self._index, "delta": delta})))
        return frames

    def _open(self, slot: Slot) -> list[Frame]:
        """The start of the block; before a call its signature, where it has one of another origin."""
        slot.opened = True
        frames: list[Frame] = []
        part = slot.part
        if isinstance(part, ToolCall):
            self._called = True
            signature, origin = slot.signature or part.signature, slot.origin or part.origin
            if signature and origin != NAME:
                frames += self._whole(signatures.before_call(signature, origin))
        self._index += 1
        frames.append(_frame("content_block_start", index=self._index, content_block=self._beginning(part)))
        return frames

    def _beginning(self, part: Part) -> dict[str, Any]:
        """The block of an empty part."""
        if isinstance(part, Thinking):
            return {"type": "thinking", "thinking": "", "signature": "", **written(part.extras)}
        if isinstance(part, ToolCall):
            name = toolnames.given(part.name, self._context.request)
            call = {"type": "tool_use", "id": tool_id(part.id), "name": name, "input": {}}
            return {**call, **written(part.extras)}
        words: dict[str, Any] = {"type": "text", "text": ""}
        if isinstance(part, Text) and NAME in part.extras:
            words.update({"citations": [], **written(part.extras)})
        return words

    def _close(self, slot: Slot) -> list[Frame]:
        part = slot.part
        if isinstance(part, Thinking):
            return self._close_thinking(slot, part)
        frames: list[Frame] = []
        if isinstance(part, ToolCall):
            frames = [] if slot.opened else self._open(slot)
            if part.custom:
                text = compact({"input": "".join(slot.held)})
                frames += self._piece(slot, "input_json_delta", "partial_json", text)
            elif slot.held and slot.held[0].strip():
                text = compact(as_object(slot.held[0]))
                frames += self._piece(slot, "input_json_delta", "partial_json", text)
        elif not isinstance(part, Text | RefusalText):
            return self._close_rare(part)
        return [*frames, self._stop()] if slot.opened else frames

    def _close_thinking(self, slot: Slot, part: Thinking) -> list[Frame]:
        signature, origin = part.signature + slot.signature, slot.origin or part.origin
        if part.redacted:
            return self._whole(signatures.redacted(signature, origin)) if signature else []
        frames: list[Frame] = []
        if signature:
            text = signatures.tagged(signature, origin)
            frames = self._piece(slot, "signature_delta", "signature", text)
        return [*frames, self._stop()] if slot.opened else frames

    def _close_rare(self, part: Part) -> list[Frame]:
        if isinstance(part, Opaque):
            block = opaque_block(part, self._context)
            return [] if block is None else self._whole(block)
        self._context.warn(f"{kind_of(part)}: answers of Anthropic's have none; left out")
        return []

    def _whole(self, block: dict[str, Any]) -> list[Frame]:
        """A block that is given at once, in the pieces that Anthropic gives it in."""
        self._index += 1
        deltas: list[dict[str, Any]] = []
        if block["type"] == "text":
            deltas = [{"type": "text_delta", "text": block["text"]}]
            block = {**block, "text": ""}
        elif block["type"] in STREAMED and block.get("input"):
            deltas = [{"type": "input_json_delta", "partial_json": compact(block["input"])}]
            block = {**block, "input": {}}
        elif block["type"] == "compaction":
            given: dict[str, Any] = {n: block[n] for n in ("content", "encrypted_content") if n in block}
            deltas = [{"type": "compaction_delta", **given}]
            block.update(dict.fromkeys(given))
        frames = [_frame("content_block_start", index=self._index, content_block=block)]
        frames += [_frame("content_block_delta", index=self._index, delta=delta) for delta in deltas]
        return [*frames, self._stop()]

    def _stop(self) -> Frame:
        return _frame("content_block_stop", index=self._index)

    def _finish(self, event: Finished) -> list[Frame]:
        frames = self._first()
        for slot in self._queue:
            slot.ended = True
        frames += self._advance()
        self._done = True
        mine = own(event.extras)
        delta = {
            "stop_reason": reason_of(event.finish, mine, self._called),
            "stop_sequence": event.stop_sequence or None,
            **{name: mine[name] for name in IN_DELTA if name in mine},
        }
        beside = {name: value for name, value in mine.items() if name not in NOT_BESIDE}
        usage = self._final(event.usage, event.extras)
        return [*frames, _frame("message_delta", delta=delta, **beside, usage=usage), _frame("message_stop")]

    def _final(self, usage: Usage, extras: Extras) -> dict[str, Any]:
        total = counters.together(self._usage, usage)
        return counters.written(total, extras, self._context.input_estimate)


def _frame(kind: str, **members: object) -> Frame:
    return kind, dumped({"type": kind, **members})


def _content(event: PartStarted) -> PartDelta | None:
    """What a part brings along at its start; it should be empty then."""
    part = event.part
    if isinstance(part, Text | RefusalText | Thinking) and part.text:
        return PartDelta(event.index, part.text)
    if isinstance(part, ToolCall) and part.arguments:
        return PartDelta(event.index, part.arguments)
    return None
