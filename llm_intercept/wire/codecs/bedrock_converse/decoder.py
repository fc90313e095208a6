"""The event stream of ConverseStream to events.

Text and reasoning have no start event: their first delta begins the block. `metadata`, with the usage,
comes after `messageStop`, if it comes. What cannot be given piece by piece (redacted reasoning, tools
that AWS runs itself, images) is given whole when its block ends.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from llm_intercept.wire.codecs.bedrock_converse import media
from llm_intercept.wire.codecs.bedrock_converse.answer import kept_of
from llm_intercept.wire.codecs.bedrock_converse.errors import failure_of, is_exception
from llm_intercept.wire.codecs.bedrock_converse.parts import CITED
from llm_intercept.wire.codecs.bedrock_converse.signatures import unsealed, untagged
from llm_intercept.wire.codecs.bedrock_converse.terms import NAME, Members, extras, finish_of, string
from llm_intercept.wire.families import aws, structured
from llm_intercept.wire.fields import mapping, objects, parse, parse_object
from llm_intercept.wire.ir import (
    Event,
    Failed,
    Failure,
    Finish,
    Finished,
    Opaque,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.usage import Usage

BROKEN = Failure("upstream", "the stream ended before the answer was complete", 502)
EMPTY_TEXT = Text("", extras=CITED)


@dataclass(slots=True)
class _Block:
    """One content block under way. `index` is the part's, -1 for one that is given whole at its end."""

    kind: str
    index: int = -1
    start: Members = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    items: list[Members] = field(default_factory=list)


class Decoder:
    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}  # by contentBlockIndex
        self._next = 0
        self._started = self._called = self._over = False
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._answered = False  # by a call of the tool that stands for the answer
        self._reason = self._stop_sequence = ""
        self._left: Members = {}  # members of the end that have no word in the IR
        self._counted: object = None

    def feed(self, event: str, data: bytes) -> list[Event]:
        if self._over:
            return []
        payload = parse_object(data)
        handler = _HANDLERS.get(event)
        if handler is not None:
            return handler(self, payload)
        return self._failed(failure_of(event, payload)) if is_exception(event) else []

    def close(self) -> list[Event]:
        if self._over:
            return []
        if self._finish is None:
            return self._failed(BROKEN)
        self._over = True
        kept = kept_of(self._left, self._counted, self._reason)
        return [Finished(self._finish, self._usage or Usage(), self._stop_sequence, kept)]

    def _failed(self, failure: Failure) -> list[Event]:
        self._over = True
        return [Failed(failure)]

    def _begin(self, payload: Members) -> list[Event]:
        if self._started:
            return []
        self._started = True
        return [Started("", "")]

    def _start(self, payload: Members) -> list[Event]:
        """An empty `start`, as some servers send it, begins nothing yet."""
        at, start = _place(payload), mapping(payload.get("start"))
        events = [*self._begin(payload), *self._close(at)]
        if "toolUse" in start:
            events += self._start_call(at, mapping(start["toolUse"]))
        elif "toolResult" in start:
            self._blocks[at] = _Block("result", start=mapping(start["toolResult"]))
        elif "image" in start:
            self._blocks[at] = _Block("image", start=mapping(start["image"]))
        return events

    def _start_call(self, at: int, use: Members) -> list[Event]:
        if use.get("type") == "server_tool_use":
            self._blocks[at] = _Block("server", start=use)
            return []
        if structured.is_answer(name := string(use.get("name"))):
            return self._start_answer(at, use, name)
        self._called = True
        left = extras(use, "toolUseId", "name")
        return self._open(at, "call", ToolCall(string(use.get("toolUseId")), name, "", extras=left))

    def _start_answer(self, at: int, use: Members, name: str) -> list[Event]:
        """The call that stands for the answer: its arguments are the text."""
        self._answered = True
        if not structured.is_wrapped(name):
            return self._open(at, "call", EMPTY_TEXT)
        self._blocks[at] = _Block("wrapped", start=use)
        return []

    def _open(self, at: int, kind: str, part: Part) -> list[Event]:
        block = self._blocks[at] = _Block(kind, self._next)
        self._next += 1
        return [PartStarted(block.index, part)]

    def _delta(self, payload: Members) -> list[Event]:
        at, delta = _place(payload), payload.get("delta")
        if not isinstance(delta, dict):
            return []
        if isinstance(text := delta.get("text"), str):
            return self._append(at, "text", text) if text else []
        if isinstance(use := delta.get("toolUse"), dict):
            return self._arguments(at, use.get("input"))
        if isinstance(thought := delta.get("reasoningContent"), dict):
            return self._thought(at, thought)
        if isinstance(citation := delta.get("citation"), dict):
            events = self._ready(at, "text")
            return [*events, PartDelta(self._blocks[at].index, citation=citation)]
        block = self._blocks.get(at)
        if block is not None:
            block.items += objects(delta.get("toolResult")) + objects([delta.get("image")])
        return []

    def _append(self, at: int, kind: str, text: str) -> list[Event]:
        block = self._blocks.get(at)
        if block is not None and block.kind == kind:
            return [PartDelta(block.index, text)]
        events = self._ready(at, kind)
        return [*events, PartDelta(self._blocks[at].index, text)]

    def _ready(self, at: int, kind: str) -> list[Event]:
        """A block of this kind at this place: what stood there before is closed."""
        block = self._blocks.get(at)
        if block is not None and block.kind == kind:
            return []
        empty: Part = EMPTY_TEXT if kind == "text" else Thinking(origin=NAME)
        return [*self._begin({}), *self._close(at), *self._open(at, kind, empty)]

    def _arguments(self, at: int, piece: object) -> list[Event]:
        block = self._blocks.get(at)
        if block is None or not isinstance(piece, str) or not piece:
            return []
        if block.kind == "call":
            return [PartDelta(block.index, piece)]
        block.pieces.append(piece)
        return []

    def _thought(self, at: int, thought: Members) -> list[Event]:
        if isinstance(redacted := thought.get("redactedContent"), str):
            return self._redacted(at, redacted)
        if isinstance(text := thought.get("text"), str) and text:
            return self._append(at, "thinking", text)
        if isinstance(signature := thought.get("signature"), str) and signature:
            events = self._ready(at, "thinking")
            known, origin = untagged(signature)
            return [*events, PartDelta(self._blocks[at].index, signature=known, origin=origin)]
        return []

    def _redacted(self, at: int, content: str) -> list[Event]:
        block = self._blocks.get(at)
        if block is not None and block.kind == "redacted":
            block.pieces.append(content)
            return []
        events = [*self._begin({}), *self._close(at)]
        self._blocks[at] = _Block("redacted", pieces=[content])
        return events

    def _stop(self, payload: Members) -> list[Event]:
        return self._close(_place(payload))

    def _close(self, at: int) -> list[Event]:
        block = self._blocks.pop(at, None)
        if block is None:
            return []
        if block.index >= 0:
            return [PartEnded(block.index)]
        part = _whole(block)
        return [*self._open(at, "", part), PartEnded(self._blocks.pop(at).index)]

    def _end(self, payload: Members) -> list[Event]:
        events = [event for at in list(self._blocks) for event in self._close(at)]
        self._reason = string(payload.get("stopReason"))
        self._finish = finish_of(self._reason, self._called, self._answered)
        self._keep(payload, "stopReason")
        more = mapping(payload.get("additionalModelResponseFields"))
        self._stop_sequence = string(more.get("stop_sequence"))
        return [*self._begin({}), *events, *(self.close() if self._usage is not None else [])]

    def _metadata(self, payload: Members) -> list[Event]:
        self._counted = payload.get("usage")
        self._usage = aws.usage(self._counted)
        self._keep(payload, "usage")
        return self.close() if self._finish is not None else []

    def _keep(self, payload: Members, known: str) -> None:
        """`p` is padding."""
        self._left |= {name: value for name, value in payload.items() if name not in (known, "p")}


def _place(payload: Members) -> int:
    at = payload.get("contentBlockIndex")
    return at if isinstance(at, int) else -1


def _whole(block: _Block) -> Part:
    if block.kind == "redacted":
        signature, origin = unsealed("".join(block.pieces))
        return Thinking("", signature, origin, redacted=True)
    if block.kind == "server":
        given = parse("".join(block.pieces) or "{}")
        return Opaque(NAME, {"toolUse": block.start | {"input": given if isinstance(given, dict) else {}}})
    if block.kind == "wrapped":
        return Text(structured.spoken(string(block.start.get("name")), "".join(block.pieces)))
    if block.kind == "result":
        return Opaque(NAME, {"toolResult": block.start | {"content": block.items}})
    sources = (item["source"] for item in block.items if "source" in item)
    return media.read("image", block.start | {"source": next(sources, {})})


_HANDLERS: dict[str, Callable[[Decoder, Members], list[Event]]] = {
    "contentBlockDelta": Decoder._delta,
    "contentBlockStart": Decoder._start,
    "contentBlockStop": Decoder._stop,
    "messageStart": Decoder._begin,
    "messageStop": Decoder._end,
    "metadata": Decoder._metadata,
}
