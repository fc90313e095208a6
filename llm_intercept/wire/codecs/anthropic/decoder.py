"""Streams of Anthropic's events -> neutral events. Total: whatever comes, it gives events and an end.

Real servers differ from the documentation, and all of them are read: no `content_block_stop` before the
next block, deltas without a block or of another kind than their block, arguments in the block's start,
no pings, several usages (the last non-null counts), AWS chunks around the events, a whole message in
place of a stream.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_intercept.wire.codecs.anthropic import blocks_in, counters, envelope, errors, signatures
from llm_intercept.wire.codecs.anthropic.answer import decode_answer, finish_of, unknown_reason
from llm_intercept.wire.codecs.anthropic.members import NAME, beyond
from llm_intercept.wire.families import anthropic, structured
from llm_intercept.wire.fields import compact, count, mapping, parse_object
from llm_intercept.wire.fold import unfold
from llm_intercept.wire.ir import (
    Event,
    Extras,
    Failed,
    Finished,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.reading import Reading

type Payload = Mapping[str, Any]

MESSAGE = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})
DELTA = frozenset({"type", "stop_reason", "stop_sequence"})
EVENT = frozenset({"type", "delta", "usage"})
DELTA_OF = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
STRAY = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking"}


@dataclass(slots=True)
class Block:
    """A block that is open. `delta` is the kind of delta that its part takes piece by piece."""

    index: int
    kind: str
    delta: str
    raw: dict[str, Any]
    pieces: list[str] = field(default_factory=list)  # of what is given at the end
    sent: bool = False  # something of its content was given


class Decoder:
    def __init__(self) -> None:
        self._reading = Reading()
        self._extras: dict[str, Any] = {}
        self._open: dict[int | None, Block] = {}
        self._next = 0
        self._reason: object = None
        self._stop_sequence = ""
        self._answered = self._called = False
        self._begun = self._done = False
        self._signature: PartStarted | None = None  # what may belong to the tool call that comes next
        self._handlers: dict[object, Callable[[Payload], list[Event]]] = {
            "content_block_delta": self._delta,
            "content_block_start": self._start,
            "content_block_stop": self._stop,
            "message_start": self._message_start,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
            "message": self._whole,
            "error": self._error,
        }

    def feed(self, event: str, data: bytes) -> list[Event]:
        if self._done:
            return []
        payload = parse_object(data)
        if event == envelope.CHUNK and "bytes" in payload:
            payload = envelope.unchunked(payload)
        kind = payload.get("type")
        handler = self._handlers.get(kind if isinstance(kind, str) else event)
        if handler is not None:
            return handler(payload)
        failure = errors.of_exception(event, payload)
        return [] if failure is None else self._failed(Failed(failure))

    def close(self) -> list[Event]:
        return [] if self._done else self._failed(Failed(errors.CUT))

    def _failed(self, failed: Failed) -> list[Event]:
        self._done = True
        return [failed]

    def _error(self, payload: Payload) -> list[Event]:
        return self._failed(Failed(errors.of_event(payload)))

    def _whole(self, payload: Payload) -> list[Event]:
        """A server that was asked to stream and did not."""
        if self._begun:
            return []
        self._done = True
        return list(unfold(decode_answer(payload)))

    def _message_start(self, payload: Payload) -> list[Event]:
        message = mapping(payload.get("message"))
        anthropic.note_usage(self._reading, message.get("usage"))
        if self._begun:
            return []
        self._begun = True
        extras = {name: value for name, value in message.items() if name not in MESSAGE}
        usage = counters.raw(message)
        told: Extras = {NAME: {**extras, "usage": usage} if usage else extras}
        self._extras = {}
        early = counters.read(usage) if usage else None
        name, model = blocks_in.string(message.get("id")), blocks_in.string(message.get("model"))
        return [Started(name, model, usage=early, extras=told)]

    def _first(self) -> list[Event]:
        """A stream that forgot its beginning."""
        if self._begun:
            return []
        self._begun = True
        return [Started("", "")]

    def _delta(self, payload: Payload) -> list[Event]:
        delta = payload.get("delta")
        if not isinstance(delta, dict):
            return []
        block = self._open.get(count(payload.get("index")))
        kind = delta.get("type")
        if block is not None and block.delta and kind == block.delta:
            piece = delta.get(DELTA_OF[block.delta])
            if not isinstance(piece, str) or not piece:
                return []
            block.sent = True
            return [PartDelta(block.index, piece)]
        return self._other_delta(block, kind, delta, payload)

    def _other_delta(
        self, block: Block | None, kind: object, delta: Payload, payload: Payload
    ) -> list[Event]:
        if block is not None and kind == "signature_delta" and block.kind == "thinking":
            signature, origin = signatures.untagged(blocks_in.string(delta.get("signature")))
            return [PartDelta(block.index, signature=signature, origin=origin)] if signature else []
        if block is not None and kind == "citations_delta" and block.kind == "text":
            citation = delta.get("citation")
            return [PartDelta(block.index, citation=citation)] if isinstance(citation, dict) else []
        if block is not None and block.kind in ("opaque", "wrapped"):
            _gather(block, delta)
            return []
        return self._stray(kind, delta, payload)

    def _stray(self, kind: object, delta: Payload, payload: Payload) -> list[Event]:
        """A delta whose block was never opened, is closed, or is of another kind: it opens its own."""
        wanted = STRAY.get(kind) if isinstance(kind, str) else None
        if wanted is None or not any(delta.get(name) for name in ("text", "thinking", "signature")):
            return []
        began = self._start({"index": payload.get("index"), "content_block": {"type": wanted}})
        return [*began, *self._delta(payload)]

    def _start(self, payload: Payload) -> list[Event]:
        raw = dict(mapping(payload.get("content_block")))
        if not blocks_in.is_block(raw):
            return self._first()
        index = count(payload.get("index"))
        events = self._first() + self._closed_before(index)
        if raw["type"] != "tool_use":
            events += self._unclaimed()
        block = Block(self._next, "opaque", "", raw)
        self._next += 1
        self._open[index] = block
        begin = _BEGIN.get(raw["type"])
        return events if begin is None else [*events, *begin(self, block, raw)]

    def _closed_before(self, index: int | None) -> list[Event]:
        """Text and thinking end where the next block begins, and a block where it begins anew."""
        ended = [at for at, block in self._open.items() if at == index or block.delta != "input_json_delta"]
        return [event for at in ended for event in self._ended(self._open.pop(at))]

    def _stop(self, payload: Payload) -> list[Event]:
        block = self._open.pop(count(payload.get("index")), None)
        return [] if block is None else self._ended(block)

    def _ended(self, block: Block) -> list[Event]:
        if block.kind == "held":
            return []
        if block.kind == "opaque":
            part = blocks_in.part(_assembled(block))
            return [PartStarted(block.index, part), PartEnded(block.index)]
        if block.kind == "wrapped":
            words = structured.spoken(block.raw["name"], "".join(block.pieces) or _given(block.raw))
            return [PartDelta(block.index, words), PartEnded(block.index)]
        if block.delta == "input_json_delta" and not block.sent:
            return [PartDelta(block.index, _given(block.raw)), PartEnded(block.index)]
        return [PartEnded(block.index)]

    def text(self, block: Block, raw: Payload) -> list[Event]:
        part = blocks_in.text({**raw, "text": ""})
        return _begun(block, "text", "text_delta", part, blocks_in.string(raw.get("text")))

    def thinking(self, block: Block, raw: Payload) -> list[Event]:
        part = Thinking(extras=beyond(raw, blocks_in.THINKING))
        words = blocks_in.string(raw.get("thinking"))
        events = _begun(block, "thinking", "thinking_delta", part, words)
        signature, origin = signatures.untagged(blocks_in.string(raw.get("signature")))
        if signature:
            events.append(PartDelta(block.index, signature=signature, origin=origin))
        return events

    def redacted(self, block: Block, raw: Payload) -> list[Event]:
        part = blocks_in.redacted(raw)
        if isinstance(part, Thinking) and blocks_in.signs_call(part):
            block.kind, self._signature = "held", PartStarted(block.index, part)
            return []
        block.kind = "redacted"
        return [PartStarted(block.index, part)]

    def call(self, block: Block, raw: Payload) -> list[Event]:
        name = blocks_in.string(raw.get("name"))
        if structured.is_answer(name):
            return self._answer(block, name)
        self._called = True
        part = blocks_in.call({**raw, "input": None})
        signed, self._signature = self._signature, None
        events = _begun(block, "call", "input_json_delta", _empty(part), "")
        if signed is not None and isinstance(signed.part, Thinking):
            before = signed.part
            events.append(PartDelta(block.index, signature=before.signature, origin=before.origin))
        return events

    def _unclaimed(self) -> list[Event]:
        """A call's signature without its call."""
        held, self._signature = self._signature, None
        return [] if held is None else [held, PartEnded(held.index)]

    def _answer(self, block: Block, name: str) -> list[Event]:
        self._answered = True
        if not structured.is_wrapped(name):
            return _begun(block, "answer", "input_json_delta", Text(""), "")
        block.kind = "wrapped"
        return [PartStarted(block.index, Text(""))]

    def _message_delta(self, payload: Payload) -> list[Event]:
        delta = mapping(payload.get("delta"))
        self._reason = delta.get("stop_reason") or self._reason
        self._stop_sequence = blocks_in.string(delta.get("stop_sequence")) or self._stop_sequence
        anthropic.note_usage(self._reading, payload.get("usage"))
        self._extras.update({name: value for name, value in delta.items() if name not in DELTA})
        self._extras.update({name: value for name, value in payload.items() if name not in EVENT})
        return self._first()

    def _message_stop(self, payload: Payload) -> list[Event]:
        self._done = True
        events = self._first() + self._unclaimed()
        events += [event for block in self._open.values() for event in self._ended(block)]
        finish = finish_of(self._reason, self._answered, self._called)
        extras = {**self._extras, **unknown_reason(self._reason)}
        if self._reading.raw:
            extras["usage"] = dict(self._reading.raw)
        events.append(Finished(finish, self._reading.usage, self._stop_sequence, {NAME: extras}))
        return events


_BEGIN: dict[str, Callable[[Decoder, Block, Payload], list[Event]]] = {
    "text": Decoder.text,
    "thinking": Decoder.thinking,
    "redacted_thinking": Decoder.redacted,
    "tool_use": Decoder.call,
}


def _begun(block: Block, kind: str, delta: str, part: Part, words: str) -> list[Event]:
    block.kind, block.delta = kind, delta
    events: list[Event] = [PartStarted(block.index, part)]
    if words:
        block.sent = True
        events.append(PartDelta(block.index, words))
    return events


def _empty(part: Part) -> Part:
    """A call at its beginning has no arguments yet."""
    if isinstance(part, ToolCall):
        return ToolCall(part.id, part.name, "", cache=part.cache, extras=part.extras)
    return part


def _given(raw: Payload) -> str:
    """Arguments of a call that came with its start, or not at all."""
    given = raw.get("input")
    return given if isinstance(given, str) and given else compact(given) if isinstance(given, dict) else "{}"


def _gather(block: Block, delta: Payload) -> None:
    """What an opaque block is given piece by piece: arguments, or its own members."""
    for name, value in delta.items():
        if name == "partial_json" and isinstance(value, str):
            block.pieces.append(value)
        elif name not in ("type", "partial_json"):
            before = block.raw.get(name)
            joined = isinstance(before, str) and isinstance(value, str) and name == "text"
            block.raw[name] = before + value if joined else value


def _assembled(block: Block) -> dict[str, Any]:
    if not block.pieces:
        return block.raw
    return {**block.raw, "input": parse_object("".join(block.pieces))}
