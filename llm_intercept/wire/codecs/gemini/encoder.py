"""Streams for Gemini's clients: a chunk for each piece of text, function calls whole, one chunk for the end.

Parts come out in their order. A part that has to wait for one before it is held until that one ended;
Google's stream has no way to say where a part begins, so two texts cannot alternate.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.codecs.gemini import errors, logprobs
from llm_intercept.wire.codecs.gemini import finish as ends
from llm_intercept.wire.codecs.gemini.answer import LACKING, identity, uncited, written
from llm_intercept.wire.codecs.gemini.shapes import inner, own, without
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.fold import appended
from llm_intercept.wire.ir import (
    Event,
    Failed,
    Failure,
    Finished,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    RefusalText,
    Started,
    Text,
    Thinking,
)
from llm_intercept.wire.usage import Usage

_CUT = Failure("upstream", "the stream ended before the answer was complete", 502)
_FINAL = frozenset(("candidate", "usageMetadata"))


@dataclass(slots=True)
class _Open:
    """A part under way: `part` holds what was not written yet."""

    part: Part
    ended: bool = False
    scores: list[Any] = field(default_factory=list)


class Encoder:
    """One stream. Whatever comes, it ends with a chunk that says why, or with an error."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._open: dict[int, _Open] = {}
        self._usage = Usage(input=context.input_estimate)
        self._identity = b""  # how every chunk ends
        self._tail = b""  # the same with the counters that are known early
        self._wrote = False
        self._over = False

    def feed(self, event: Event) -> Iterable[Frame]:
        if self._over:
            return ()
        match event:
            case PartDelta():
                return self._delta(event)
            case PartStarted():
                return self._begin(event)
            case PartEnded(index):
                return self._end(index)
            case Started():
                self._start(event)
            case Finished():
                return self._finish(event)
            case Failed(failure):
                self._over = True
                return [("", errors.frame(failure))]
        return ()

    def close(self) -> Iterable[Frame]:
        return () if self._over else self.feed(Failed(_CUT))

    def _start(self, event: Started) -> None:
        if event.usage is not None:
            self._usage.absorb(event.usage)
        if self._wrote and self._identity:
            return  # what has been written has an id already
        about = identity(event.id, event.model, event.created, event.extras, self._context)
        self._identity = b"," + orjson.dumps(about)[1:]
        self._tail = self._identity
        if self._usage.input is not None:
            known = {"promptTokenCount": self._usage.input, "totalTokenCount": self._usage.input}
            self._tail = b',"usageMetadata":' + orjson.dumps(known) + self._identity

    def _begin(self, event: PartStarted) -> Iterable[Frame]:
        """A number that is still in use begins anew: what was open is written first."""
        frames = self._flush(everything=True) if event.index in self._open else []
        self._open[event.index] = _Open(event.part)
        return [*frames, *self._live(event.index)]

    def _delta(self, event: PartDelta) -> Iterable[Frame]:
        held = self._open.get(event.index)
        if held is None:
            return ()  # nothing of that number was begun
        plain = event.text and isinstance(held.part, Text) and not (held.part.text or held.part.extras)
        if plain and not event.logprobs and self._is_head(event.index):
            return [("", self._chunk(b'{"text":' + orjson.dumps(event.text) + b"}"))]
        if event.citation is not None:
            uncited(self._context)
        held.part = appended(held.part, event)
        held.scores.extend(event.logprobs)
        return self._live(event.index)

    def _is_head(self, index: int) -> bool:
        return next(iter(self._open), None) == index

    def _live(self, index: int) -> Iterable[Frame]:
        """What can be written of the part while it is still open: texts and thoughts, if it is its turn."""
        held = self._open[index]
        if not self._is_head(index) or not isinstance(held.part, Text | Thinking | RefusalText):
            return ()
        part = held.part
        if not part.text or (isinstance(part, Thinking) and part.redacted):
            return ()
        piece: dict[str, Any] = {"text": part.text}
        if isinstance(part, Thinking):
            piece["thought"] = True
            held.part = Thinking("", part.signature, part.origin, extras=part.extras)
        else:
            held.part = Text("")
            piece.update(own(part.extras))
        scores, held.scores = held.scores, []
        return [("", self._chunk(orjson.dumps(piece), scores))]

    def _end(self, index: int) -> Iterable[Frame]:
        held = self._open.get(index)
        if held is None:
            return ()
        held.ended = True
        return self._flush()

    def _flush(self, everything: bool = False) -> list[Frame]:
        """Writes the parts whose turn has come; the first that is still open may go on as it comes."""
        frames: list[Frame] = []
        while self._open:
            index, held = next(iter(self._open.items()))
            if not held.ended and not everything:
                frames.extend(self._live(index))
                break
            frames.extend(self._rest(held))
            del self._open[index]
        return frames

    def _rest(self, held: _Open) -> Iterable[Frame]:
        part = held.part
        blank = isinstance(part, Text | RefusalText) and not part.text
        if isinstance(part, Thinking):
            blank = not part.signature and not part.text
        if blank:
            return ()
        pieces = written(part, self._context)
        return [("", self._chunk(orjson.dumps(piece), held.scores)) for piece in pieces]

    def _finish(self, event: Finished) -> Iterable[Frame]:
        frames = self._flush(everything=True)
        self._over = True
        self._usage.absorb(event.usage)
        unsaid.ended(self._usage, event.stop_sequence, LACKING, "Gemini", self._context)
        native = own(event.extras)
        candidate: dict[str, Any] = {
            "content": {"parts": [{"text": ""}], "role": "model"},
            "finishReason": ends.REASONS[event.finish],
            "index": 0,
            **inner(event.extras, "candidate"),
        }
        refused = bool(native.get("promptFeedback")) and not self._wrote and not frames
        body: dict[str, Any] = {} if refused else {"candidates": [candidate]}
        body["usageMetadata"] = ends.encode_usage(self._usage, native.get("usageMetadata"))
        body.update(without(native, _FINAL))
        if not self._identity:
            self._start(Started("", ""))
        return [*frames, ("", orjson.dumps(body)[:-1] + self._identity)]

    def _chunk(self, part: bytes, scores: list[Any] | None = None) -> bytes:
        self._wrote = True
        if not self._identity:
            self._start(Started("", ""))
        told = b',"logprobsResult":' + orjson.dumps(logprobs.encode(scores)) if scores else b""
        return (
            b'{"candidates":[{"content":{"parts":['
            + part
            + b'],"role":"model"},"index":0'
            + told
            + b"}]"
            + self._tail
        )
