"""Events of the IR -> lines. A call is written when it is whole; the last line has the counters."""

from collections.abc import Iterable
from typing import Any

import orjson

from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.codecs.ollama.answer import LACKING, answered, head, said_of, tail, uncited
from llm_intercept.wire.codecs.ollama.errors import encode_error
from llm_intercept.wire.codecs.ollama.terms import own
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.fold import appended
from llm_intercept.wire.ir import (
    Event,
    Failed,
    Failure,
    Finished,
    Media,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    Thinking,
    ToolCall,
)

CUT = Failure("upstream", "the answer broke off before its end", 502)


class LineEncoder:
    """One stream; whatever comes after its end is ignored."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ended = False
        self._names: dict[int, bytes] = {}  # the message's member for an index whose deltas are plain text
        self._calls: dict[int, Part] = {}  # calls that are not whole yet
        self._before = b""

    def feed(self, event: Event) -> Iterable[Frame]:
        if self._ended:
            return []
        match event:
            case PartDelta():
                return self._delta(event)
            case Started():
                self._start(event)
            case PartStarted(index, part):
                return self._part(index, part)
            case PartEnded(index):
                return self._call(self._calls.pop(index)) if index in self._calls else []
            case Finished():
                return self._finish(event)
            case Failed(failure):
                return self._fail(failure)
        return []

    def close(self) -> Iterable[Frame]:
        return [] if self._ended else self._fail(CUT)

    def _start(self, event: Started) -> None:
        if not self._before:
            self._before = orjson.dumps(head(event.model, event.created, self._context))[:-1]

    def _line(self, message: dict[str, Any], further: dict[str, Any]) -> Frame:
        self._start(Started("", ""))
        said = {"message": {"role": "assistant", "content": "", **message}, **further}
        return ("", self._before + b"," + orjson.dumps(said)[1:])

    def _said(self, name: bytes, text: str) -> Frame:
        self._start(Started("", ""))
        empty = b"" if name == b"content" else b'"content":"",'
        said = b'{"role":"assistant",%b"%b":%b}' % (empty, name, orjson.dumps(text))
        return ("", b'%b,"message":%b,"done":false}' % (self._before, said))

    def _part(self, index: int, part: Part) -> Iterable[Frame]:
        if isinstance(part, ToolCall):
            self._calls[index] = part
            return []
        if isinstance(part, Media) and part.kind == "image" and part.data:
            return [self._line({"images": [part.data]}, {"done": False})]
        name, text = said_of(part, self._context)
        self._names[index] = name.encode()
        apart = isinstance(part, Thinking) and list(self._names.values()).count(b"thinking") > 1
        return [self._said(self._names[index], ("\n\n" if apart else "") + text)] if text or apart else []

    def _delta(self, event: PartDelta) -> Iterable[Frame]:
        name = self._names.get(event.index)
        if name is None:
            if event.index in self._calls:
                self._calls[event.index] = appended(self._calls[event.index], event)
            return []
        if event.signature:
            unsaid.signed(event.signature, event.origin, "Ollama", self._context)
        if event.citation is not None:
            uncited(self._context)
        if event.logprobs:
            further = {"done": False, "logprobs": list(event.logprobs)}
            return [self._line({name.decode(): event.text}, further)]
        return [self._said(name, event.text)] if event.text else []

    def _call(self, part: Part) -> list[Frame]:
        if not isinstance(part, ToolCall):
            return []
        return [self._line({"tool_calls": [answered(part, self._context)]}, {"done": False})]

    def _finish(self, event: Finished) -> Iterable[Frame]:
        frames = [frame for part in self._calls.values() for frame in self._call(part)]
        further = {"done": True, **tail(event.finish, event.usage), **own(event.extras)}
        unsaid.ended(event.usage, event.stop_sequence, LACKING, "Ollama", self._context)
        self._ended = True
        return [*frames, self._line({}, further)]

    def _fail(self, failure: Failure) -> Iterable[Frame]:
        self._ended = True
        return [("", encode_error(failure, "")[2])]
