"""Reads a stream. What was streamed counts; what the finished items say beyond it is added.

Servers that speak this dialect leave events out (no deltas, no ends of parts, items that only the final
response has), so every later and more complete statement completes the earlier ones.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from llm_intercept.wire.codecs.openai_responses.answer import created_of, finish_of, usage_of
from llm_intercept.wire.codecs.openai_responses.content import decode_content, logprobs
from llm_intercept.wire.codecs.openai_responses.errors import stream_failure
from llm_intercept.wire.codecs.openai_responses.items import (
    BETWEEN,
    CALLS,
    call,
    opaque_text,
    reasoning,
    string,
)
from llm_intercept.wire.codecs.openai_responses.terms import NAME, Members, Raw, item_members, kept
from llm_intercept.wire.fields import mapping, objects, parse_object
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
)

CUT = Failure("upstream", "the stream ended before the answer was complete", 502)
ENDS = frozenset(f"response.{end}" for end in ("completed", "incomplete", "done"))
SUMMARY, INNER = -1, -2  # places of the reasoning texts among the contents of an item

type Events = list[Event]


class _Streamed:
    """One part: its index in the IR, and how much of it has been given."""

    __slots__ = ("citations", "index", "length", "section")

    def __init__(self, index: int) -> None:
        self.index = index
        self.length = 0
        self.citations = 0
        self.section = 0  # of a summary


class _Open:
    """One output item while it is being received."""

    __slots__ = ("item", "over", "parts")

    def __init__(self, item: Members) -> None:
        self.item = item
        self.parts: dict[int, _Streamed] = {}
        self.over = False


class StreamDecoder:
    """One response. Events after its end are nothing."""

    def __init__(self) -> None:
        self._begun = False
        self._over = False
        self._count = 0
        self._items: dict[int, _Open] = {}
        self._seen: list[Part] = []

    def feed(self, event: str, data: bytes) -> Iterable[Event]:
        if self._over:
            return []
        payload = parse_object(data)
        kind = payload.get("type")
        if not isinstance(kind, str):
            kind = "error" if payload.get("error") else event
        handler = _HANDLERS.get(kind)
        if handler is None:
            return []
        found = handler(self, payload)
        return found if self._begun else self._beginning(payload, found)

    def close(self) -> Iterable[Event]:
        return [] if self._over else self._fail(CUT)

    def _beginning(self, payload: Raw, found: Events) -> Events:
        """A stream that begins in the middle begins nevertheless."""
        if not found:
            return found
        self._begun = True
        return [_started(mapping(payload.get("response"))), *found]

    def begin(self, payload: Raw) -> Events:
        if self._begun:
            return []
        self._begun = True
        return [_started(mapping(payload.get("response")))]

    def _item(self, payload: Raw) -> _Open:
        place = _place(payload, "output_index")
        found = self._items.get(place)
        if found is None:
            found = self._items[place] = _Open({})
        return found

    def _start(self, item: _Open, place: int, part: Part) -> Events:
        item.parts[place] = _Streamed(self._count)
        self._count += 1
        self._seen.append(part)
        return [PartStarted(item.parts[place].index, part)]

    def _grow(self, item: _Open, place: int, part: Callable[[], Part], payload: Raw) -> Events:
        text = payload.get("delta")
        if not isinstance(text, str):
            return []
        streamed = item.parts.get(place)
        found = self._start(item, place, part()) if streamed is None else []
        streamed = item.parts[place]
        streamed.length += len(text)
        entries = payload.get("logprobs")
        noted = tuple(logprobs(payload)) if entries else ()
        if text or noted:
            found.append(PartDelta(streamed.index, text, logprobs=noted))
        return found

    def item_added(self, payload: Raw) -> Events:
        item = mapping(payload.get("item"))
        opened = self._item(payload)
        opened.item = item
        if item.get("type") in CALLS:
            name = "input" if item["type"] == "custom_tool_call" else "arguments"
            begun = call({**item, name: ""})
            return self._start(
                opened, 0, type(begun)(begun.id, begun.name, "", custom=begun.custom, extras=begun.extras)
            )
        return []

    def part_added(self, payload: Raw) -> Events:
        part = mapping(payload.get("part"))
        opened, place = self._item(payload), _place(payload, "content_index")
        if place in opened.parts or part.get("type") not in ("output_text", "refusal"):
            return []
        return self._start(opened, place, _empty(opened, part.get("type") == "refusal"))

    def text_delta(self, payload: Raw) -> Events:
        opened = self._item(payload)
        return self._grow(opened, _place(payload, "content_index"), lambda: _empty(opened, False), payload)

    def refusal_delta(self, payload: Raw) -> Events:
        opened = self._item(payload)
        return self._grow(opened, _place(payload, "content_index"), lambda: _empty(opened, True), payload)

    def call_delta(self, payload: Raw) -> Events:
        opened = self._item(payload)
        return self._grow(opened, 0, lambda: _begun(opened, payload), payload)

    def summary_delta(self, payload: Raw) -> Events:
        opened = self._item(payload)
        section = _place(payload, "summary_index")
        streamed = opened.parts.get(SUMMARY)
        if streamed is not None and section != streamed.section:
            streamed.section = section
            payload["delta"] = BETWEEN + string(payload.get("delta"))
        return self._grow(opened, SUMMARY, lambda: _thinking(opened, payload, True), payload)

    def thought_delta(self, payload: Raw) -> Events:
        opened = self._item(payload)
        return self._grow(opened, INNER, lambda: _thinking(opened, payload, False), payload)

    def annotation(self, payload: Raw) -> Events:
        opened, place = self._item(payload), _place(payload, "content_index")
        citation = payload.get("annotation")
        if not isinstance(citation, dict):
            return []
        found = [] if place in opened.parts else self._start(opened, place, _empty(opened, False))
        opened.parts[place].citations += 1
        return [*found, PartDelta(opened.parts[place].index, citation=citation)]

    def item_done(self, payload: Raw) -> Events:
        item = mapping(payload.get("item"))
        opened = self._item(payload)
        if opened.over or not item:
            return []
        opened.over = True
        opened.item = item
        kind = item.get("type")
        if kind == "message":
            found = self._message_done(opened, item)
        elif kind == "reasoning":
            found = self._reasoning_done(opened, item)
        elif kind in CALLS:
            found = self._call_done(opened, item)
        else:
            found = self._start(opened, 0, Opaque(NAME, item, opaque_text(item)))
        return [*found, *(PartEnded(part.index) for part in opened.parts.values())]

    def _message_done(self, opened: _Open, item: Raw) -> Events:
        found: Events = []
        contents = objects(item.get("content"))
        # vLLM, and Bedrock with it, counts the reasoning before the message among the message's contents.
        streamed_places = sorted(opened.parts)
        places = streamed_places if len(streamed_places) == len(contents) else range(len(contents))
        for place, raw in zip(places, contents, strict=True):
            refusal = raw.get("type") == "refusal"
            if not refusal and raw.get("type") != "output_text":
                found += self._start(opened, place, *decode_content([raw]))
                continue
            if place not in opened.parts:
                found += self._start(opened, place, _empty(opened, refusal))
            streamed = opened.parts[place]
            found += _remainder(streamed, string(raw.get("refusal" if refusal else "text")), logprobs(raw))
            cited = objects(raw.get("annotations"))[streamed.citations :]
            found += [PartDelta(streamed.index, citation=citation) for citation in cited]
        return found

    def _call_done(self, opened: _Open, item: Raw) -> Events:
        whole = call(item)
        found: Events = []
        if 0 not in opened.parts:
            found = self._start(opened, 0, replace(whole, arguments=""))
        return found + _remainder(opened.parts[0], whole.arguments)

    def _reasoning_done(self, opened: _Open, item: Raw) -> Events:
        """The encrypted content is final here; that of the item's beginning was another."""
        found: Events = []
        for whole in reasoning(item):
            place = SUMMARY if whole.summary else INNER
            if whole.redacted and not opened.parts:
                found += self._start(opened, place, whole)
                continue
            streamed = opened.parts.get(place) or next(iter(opened.parts.values()), None)
            if streamed is None:
                found += self._start(opened, place, _thinking(opened, {}, whole.summary))
                streamed = opened.parts[place]
            found += _remainder(streamed, whole.text)
            if whole.signature:
                found.append(PartDelta(streamed.index, "", whole.signature, whole.origin))
        return found

    def end(self, payload: Raw) -> Events:
        response = mapping(payload.get("response"))
        if response.get("status") == "failed":
            return self.failed(payload)
        found = self._unseen(response)
        for opened in self._items.values():
            if not opened.over:
                found += [PartEnded(part.index) for part in opened.parts.values()]
        self._over = True
        return [*found, Finished(finish_of(response, self._seen), usage_of(response))]

    def _unseen(self, response: Raw) -> Events:
        """Items that only the final response has."""
        known = {_identity(opened.item) for opened in self._items.values()}
        found: Events = []
        for item in objects(response.get("output")):
            if _identity(item) not in known and not self._received(item):
                place = max(self._items, default=-1) + 1
                found += self.item_done({"output_index": place, "item": item})
        return found

    def _received(self, item: Raw) -> bool:
        """Without ids, an item of a kind that has been streamed is that item."""
        kinds = {opened.item.get("type") for opened in self._items.values()}
        return not (item.get("id") or item.get("call_id")) and item.get("type") in kinds

    def failed(self, payload: Raw) -> Events:
        response = mapping(payload.get("response"))
        error = mapping(response.get("error")) or {"message": f"the response was {response.get('status')}"}
        return self._fail(stream_failure(error))

    def error(self, payload: Raw) -> Events:
        error = payload.get("error")
        if isinstance(error, str):
            error = {"message": error, "code": payload.get("code")}
        return self._fail(stream_failure(mapping(error) or payload))

    def _fail(self, failure: Failure) -> Events:
        self._over = True
        return [Failed(failure)]


def _started(response: Raw) -> Started:
    return Started(string(response.get("id")), string(response.get("model")), created_of(response))


def _place(payload: Raw, name: str) -> int:
    place = payload.get(name)
    return place if isinstance(place, int) and place >= 0 else 0


def _identity(item: Members) -> tuple[object, object]:
    return item.get("type"), item.get("id") or item.get("call_id")


def _empty(opened: _Open, refusal: bool) -> Part:
    members = item_members(opened.item, ("type", "role", "content"))
    extras = kept({"@item": members} if members else {})
    return RefusalText("", extras) if refusal else Text("", extras=extras)


def _begun(opened: _Open, payload: Raw) -> Part:
    """A call whose item was never announced."""
    return replace(call({"id": payload.get("item_id"), **opened.item}), arguments="")


def _thinking(opened: _Open, payload: Raw, summary: bool) -> Thinking:
    known = {"id": payload.get("item_id"), **opened.item}
    members = item_members(known, ("type", "id", "summary", "content", "encrypted_content"))
    return Thinking(summary=summary, id=string(known.get("id")), extras={NAME: {"@item": members}})


def _remainder(streamed: _Streamed, whole: str, entries: Iterable[Raw] = ()) -> Events:
    """What the finished text says beyond what was streamed of it."""
    rest = whole[streamed.length :]
    if not rest or (streamed.length and whole == "{}"):
        return []
    noted = () if streamed.length else tuple(entries)
    streamed.length = len(whole)
    return [PartDelta(streamed.index, rest, logprobs=noted)]


type Handler = Callable[[StreamDecoder, Raw], Events]

_HANDLERS: dict[str, Handler] = {
    "response.created": StreamDecoder.begin,
    "response.in_progress": StreamDecoder.begin,
    "response.queued": StreamDecoder.begin,
    "response.output_item.added": StreamDecoder.item_added,
    "response.output_item.done": StreamDecoder.item_done,
    "response.content_part.added": StreamDecoder.part_added,
    "response.output_text.delta": StreamDecoder.text_delta,
    "response.output_text.annotation.added": StreamDecoder.annotation,
    "response.refusal.delta": StreamDecoder.refusal_delta,
    "response.function_call_arguments.delta": StreamDecoder.call_delta,
    "response.custom_tool_call_input.delta": StreamDecoder.call_delta,
    "response.reasoning_summary_text.delta": StreamDecoder.summary_delta,
    "response.reasoning_text.delta": StreamDecoder.thought_delta,
    "response.failed": StreamDecoder.failed,
    "response.cancelled": StreamDecoder.failed,
    "error": StreamDecoder.error,
    **dict.fromkeys(ENDS, StreamDecoder.end),
}
