"""Streams: every chunk is a whole answer with the parts that are new; counters are cumulative.

There is no event for the end: the stream is complete when it has said why it ends, and is over.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llm_intercept.wire.codecs.gemini import errors, logprobs, reading
from llm_intercept.wire.codecs.gemini import finish as ends
from llm_intercept.wire.codecs.gemini.answer import (
    CANDIDATE,
    created,
    first_candidate,
    members,
    seed,
    unwrapped,
)
from llm_intercept.wire.codecs.gemini.ids import AnswerIds
from llm_intercept.wire.codecs.gemini.partial import Partial
from llm_intercept.wire.codecs.gemini.shapes import NAME, kept, listed, own, proto
from llm_intercept.wire.dialects import MALFORMED
from llm_intercept.wire.fields import compact, mapping, parse
from llm_intercept.wire.ir import (
    Event,
    Failed,
    Failure,
    Finished,
    Json,
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

_CUT = "the stream ended before the answer was complete"
_USAGE = frozenset(("usageMetadata",))
_EMPTY = Text("")
_THOUGHT = Thinking("", "", NAME, summary=True)


class Decoder:
    """One stream. Texts and thoughts go on from chunk to chunk, everything else comes whole."""

    def __init__(self) -> None:
        self._ids: AnswerIds | None = None
        self._next = 0
        self._open: Part | None = None
        self._partial: tuple[ToolCall, Partial] | None = None
        self._called = False
        self._word = ""
        self._blocked = False
        self._metadata: dict[str, Any] = {}
        self._members: dict[str, Any] = {}
        self._over = False

    def feed(self, event: str, data: bytes) -> Iterable[Event]:
        if self._over:
            return ()
        document = parse(data)
        events: list[Event] = []
        for chunk in document if isinstance(document, list) else (document,):
            if not self._over and isinstance(chunk, dict):
                self._chunk(chunk, events)
        return events

    def close(self) -> Iterable[Event]:
        if self._over:
            return ()
        self._over = True
        events: list[Event] = []
        self._end_partial(events)
        self._end(events)
        if not self._word and not self._blocked:
            return [*events, Failed(Failure("upstream", _CUT, 502))]
        finish = ends.finish(self._word, self._called) if self._word else "content_filter"
        events.append(Finished(finish, self._usage(), extras=self._extras()))
        return events

    def _chunk(self, chunk: dict[str, Any], events: list[Event]) -> None:
        payload = unwrapped(chunk)
        if payload.get("error"):
            self._over = True
            events.append(Failed(errors.in_stream(payload["error"])))
            return
        self._start(payload, events)
        try:
            candidate = first_candidate(payload)
            self._note(payload, candidate)
            content = proto(candidate.get("content")) if "content" in candidate else {}
            for item in listed(content.get("parts")):
                self._part(item, events)
            self._scores(candidate, events)
        except MALFORMED:  # a member of a type that nobody would expect: the rest of the chunk is lost
            return

    def _start(self, payload: dict[str, Any], events: list[Event]) -> None:
        if self._ids is not None:
            return
        self._ids = AnswerIds(seed(payload))
        answer_id, model = payload.get("responseId"), payload.get("modelVersion")
        usage = ends.usage(mapping(payload.get("usageMetadata")))
        early = Usage(input=usage.input, cache_read=usage.cache_read) if usage.input is not None else None
        events.append(Started(str(answer_id or ""), str(model or ""), created(payload), early))

    def _note(self, payload: dict[str, Any], candidate: Mapping[str, Json]) -> None:
        """What belongs to the answer as a whole: the last word on each counts."""
        metadata = payload.get("usageMetadata")
        if isinstance(metadata, dict):
            self._metadata = {**self._metadata, **metadata} if self._metadata else metadata
        if candidate.get("finishReason"):
            self._word = ends.reason(candidate["finishReason"])
        if "promptFeedback" in payload and ends.block_reason(payload):
            self._blocked = True
        if len(payload) > 4 or not candidate.keys() <= CANDIDATE or "finishReason" in candidate:
            self._remember(payload, candidate)

    def _remember(self, payload: dict[str, Any], candidate: Mapping[str, Json]) -> None:
        fresh = dict(own(members(payload, candidate, self._word)))
        for name in _USAGE & fresh.keys():
            del fresh[name]
        if "candidate" in fresh and "candidate" in self._members:
            fresh["candidate"] = {**self._members["candidate"], **fresh["candidate"]}
        self._members.update(fresh)

    def _usage(self) -> Usage:
        return ends.usage(self._metadata)

    def _extras(self) -> Mapping[str, Mapping[str, Json]]:
        return kept({**self._members, **({"usageMetadata": self._metadata} if self._metadata else {})})

    def _part(self, item: dict[str, Any], events: list[Event]) -> None:
        if len(item) == 1 and "text" in item:
            text = item["text"]
            if isinstance(text, str) and text:
                self._write(_EMPTY, text, events)
            return
        ids = self._ids or AnswerIds()
        if self._streams(item, events):
            return
        for part in reading.read(item, ids):
            self._whole(part, events)

    def _whole(self, part: Part, events: list[Event]) -> None:
        match part:
            case Text(text) if not part.extras:
                self._write(_EMPTY, text, events)
            case Thinking(text, signature) if not part.redacted and not part.extras and part.origin == NAME:
                self._think(text, signature, events)
            case ToolCall():
                self._called = True
                self._end(events)
                self._call(part, events)
            case _:
                self._end(events)
                events.extend((PartStarted(self._next, _begun(part)), *_rest(self._next, part)))
                events.append(PartEnded(self._next))
                self._next += 1

    def _write(self, kind: Part, text: str, events: list[Event]) -> None:
        if self._open is not kind:
            self._end(events)
            self._open = kind
            events.append(PartStarted(self._next, kind))
        if text:
            events.append(PartDelta(self._next, text))

    def _think(self, text: str, signature: str, events: list[Event]) -> None:
        self._write(_THOUGHT, text, events)
        if signature:
            events.append(PartDelta(self._next, "", signature, NAME))
            self._end(events)  # what follows is another thought

    def _call(self, part: ToolCall, events: list[Event]) -> None:
        empty = ToolCall(part.id, part.name, "", extras=part.extras)
        events.append(PartStarted(self._next, empty))
        events.append(PartDelta(self._next, part.arguments, part.signature, part.origin))
        events.append(PartEnded(self._next))
        self._next += 1

    def _end(self, events: list[Event]) -> None:
        if self._open is not None:
            self._open = None
            events.append(PartEnded(self._next))
            self._next += 1

    def _streams(self, item: dict[str, Any], events: list[Event]) -> bool:
        """A call whose arguments come in pieces: kept until the piece that nothing follows."""
        raw = item.get("functionCall") or item.get("function_call")
        call = proto(raw) if raw is not None else {}
        goes_on = call.get("willContinue") is True
        if raw is None or not (goes_on or "partialArgs" in call or self._partial is not None):
            return False
        if call.get("name") or self._partial is None:
            self._end_partial(events)
            bare = {**proto(item), "functionCall": {k: v for k, v in call.items() if k in ("id", "name")}}
            self._partial = (reading.call(bare, self._ids or AnswerIds()), Partial())
        self._partial[1].take(call)
        if not goes_on:
            self._end_partial(events)
        return True

    def _end_partial(self, events: list[Event]) -> None:
        if self._partial is not None:
            call, partial = self._partial
            self._partial = None
            arguments = compact(partial.arguments) if partial.arguments else "{}"
            whole = ToolCall(call.id, call.name, arguments, call.signature, call.origin, extras=call.extras)
            self._whole(whole, events)

    def _scores(self, candidate: Mapping[str, Json], events: list[Event]) -> None:
        """Log probabilities belong to the text of their chunk."""
        found = logprobs.decode(candidate["logprobsResult"]) if "logprobsResult" in candidate else ()
        if found and self._open is _EMPTY:
            events.append(PartDelta(self._next, logprobs=found))


def _begun(part: Part) -> Part:
    return Text("", extras=part.extras) if isinstance(part, Text) else part


def _rest(index: int, part: Part) -> Iterator[Event]:
    if isinstance(part, Text) and part.text:
        yield PartDelta(index, part.text)
