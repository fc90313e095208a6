"""Events of the IR -> chunks: the role first, then deltas, one finish, usage where asked for, `[DONE]`.

Most events are a piece of text: such a chunk is put together from two constant halves.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson

from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.codecs.openai_chat import thought
from llm_intercept.wire.codecs.openai_chat.answer import LACKING, finish_word, written_usage
from llm_intercept.wire.codecs.openai_chat.citations import annotation
from llm_intercept.wire.codecs.openai_chat.media import media_item
from llm_intercept.wire.codecs.openai_chat.messages_in import is_legacy
from llm_intercept.wire.codecs.openai_chat.messages_out import call_item
from llm_intercept.wire.codecs.openai_chat.terms import (
    DETAIL,
    NAME,
    answer_id,
    given_name,
    members,
    own,
    wants_legacy,
)
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.families.openai_writing import tier_of, write_failure
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failed,
    Failure,
    Finished,
    Media,
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

DONE: Frame = ("", b"[DONE]")
CUT = Failure("upstream", "the answer broke off before its end", 502)
type Json = dict[str, Any]


class _Call:
    """A tool call under way: its place among the calls, and whether arguments were sent."""

    __slots__ = ("custom", "filled", "legacy", "part", "place")

    def __init__(self, part: ToolCall, place: int, legacy: bool) -> None:
        self.part = part
        self.place = place
        self.legacy = legacy
        self.custom = part.custom
        self.filled = bool(part.arguments)


class ChatEncoder:
    """One stream; whatever comes after its end is ignored."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ended = False
        self._parts: dict[int, Part] = {}  # what each index is, ended or not
        self._fields: dict[int, bytes] = {}  # the delta's member for an index whose deltas are plain text
        self._calls: dict[int, _Call] = {}
        self._texts: dict[int, list[str]] = {}  # the reasoning of parts that may yet be signed
        self._length = 0  # characters of text so far
        self._before = b""
        self._after = b""
        self._details: dict[int, int] = {}  # a part's number in `reasoning_details`: SDKs join entries by it
        self._images = 0
        self._cited: list[Json] = []  # they take only one list whose entries have none
        self._members: Json = {}  # what every chunk has beside the dialect's own
        self._thought = False  # reasoning was sent: the next part of it begins a paragraph

    def feed(self, event: Event) -> Iterable[Frame]:
        if self._ended:
            return ()
        if isinstance(event, PartDelta):
            return self._delta(event)
        match event:
            case Started():
                return self._start(event) if not self._before else ()
            case PartStarted(index, part):
                return [*self._begun(), *self._part(index, part)]
            case PartEnded(index):
                return self._end(index)
            case Finished():
                return [*self._begun(), *self._finish(event)]
            case Failed(failure):
                return self._fail(failure)
        return ()

    def close(self) -> Iterable[Frame]:
        return () if self._ended else self._fail(CUT)

    def _begun(self) -> Iterable[Frame]:
        return () if self._before else self._start(Started("", ""))

    def _start(self, event: Started) -> Iterable[Frame]:
        context = self._context
        head = {
            "id": answer_id(event.id, context),
            "object": "chat.completion.chunk",
            "created": event.created or int(context.now),
            "model": context.requested_model or event.model,
        }
        self._members = members(event.extras)
        self._before = orjson.dumps(head | self._members)[:-1]
        self._after = b',"usage":null}' if context.include_usage else b"}"
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def _chunk(self, delta: Json, finish: str | None = None) -> Frame:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return ("", self._before + b',"choices":[' + orjson.dumps(choice) + b"]" + self._after)

    def _said(self, field: bytes, text: str) -> Frame:
        piece = orjson.dumps(text)
        return (
            "",
            b'%b,"choices":[{"index":0,"delta":{"%b":%b},"logprobs":null,"finish_reason":null}]%b'
            % (self._before, field, piece, self._after),
        )

    def _part(self, index: int, part: Part) -> Iterable[Frame]:
        self._parts[index] = part
        match part:
            case Text(text):
                self._fields[index] = b"content"
                return self._delta(PartDelta(index, text)) if text else ()
            case RefusalText(text):
                self._fields[index] = b"refusal"
                return self._delta(PartDelta(index, text)) if text else ()
            case Thinking():
                return self._thinking(index, part)
            case ToolCall():
                return self._call(index, part)
            case Media():
                item = media_item(part, self._context)
                return self._image(item) if item is not None else ()
            case Opaque():
                return self._opaque(part)
        return ()

    def _thinking(self, index: int, part: Thinking) -> Iterable[Frame]:
        self._texts[index] = []
        if part.redacted:
            return [self._detail(index, thought.detail_of(part))]
        field = thought.answer_field(part).encode()
        self._fields[index] = field
        apart = self._thought and DETAIL not in own(part.extras)
        frames = [self._said(field, "\n\n")] if apart else []
        self._thought = False
        return [*frames, *self._delta(PartDelta(index, part.text))] if part.text else frames

    def _call(self, index: int, part: ToolCall) -> Iterable[Frame]:
        legacy = is_legacy(part) or wants_legacy(self._context)
        call = self._calls[index] = _Call(part, len(self._calls), legacy)
        if legacy:
            head: Json = {"name": given_name(part.name, self._context), "arguments": part.arguments}
            return [self._chunk({"function_call": head})] if not call.place else ()
        item = call_item(part, self._context, answering=True)
        item[item["type"]] |= {"input" if part.custom else "arguments": part.arguments}
        return [self._chunk({"tool_calls": [{"index": call.place, **item}]})]

    def _opaque(self, part: Opaque) -> Iterable[Frame]:
        if part.raw.get("type") == "audio" and isinstance(part.raw.get("audio"), dict):
            return [self._chunk({"audio": part.raw["audio"]})]
        self._context.warn(f"{part.raw.get('type', 'part')}: only {part.dialect} knows it")
        self._length += len(part.text)
        return [self._said(b"content", part.text)] if part.text else ()

    def _delta(self, event: PartDelta) -> Iterable[Frame]:
        index = event.index
        field = self._fields.get(index)
        if field is None:
            return self._called(index, event)
        if event.logprobs:
            return self._weighed(field, event)
        frames = []
        if event.text:
            frames.append(self._said(field, event.text))
            if field == b"content":
                self._length += len(event.text)
        if index in self._texts:
            frames = self._thinks(index, event, frames)
        if event.citation is not None:
            item = annotation(event.citation, 0, self._length, self._context)
            self._cited += [item] if item is not None else []
        return frames

    def _thinks(self, index: int, event: PartDelta, frames: list[Frame]) -> list[Frame]:
        """Reasoning that came in details goes on in details; any other is remembered until it is signed."""
        part = self._parts[index]
        if not isinstance(part, Thinking):
            return frames
        self._thought = self._thought or bool(event.text)
        if DETAIL in own(part.extras):
            piece = replace(part, text=event.text, signature=event.signature, origin=event.origin)
            beside = {"reasoning": event.text} if event.text else {}
            return [self._detail(index, thought.detail_of(piece), beside)]
        self._texts[index].append(event.text)
        if event.signature:
            signature, origin = part.signature + event.signature, event.origin or part.origin
            self._parts[index] = replace(part, signature=signature, origin=origin)
        return frames

    def _weighed(self, field: bytes, event: PartDelta) -> Iterable[Frame]:
        name = "refusal" if field == b"refusal" else "content"
        logprobs = {"content": None, "refusal": None, name: list(event.logprobs)}
        delta = {field.decode(): event.text}
        self._length += len(event.text) if name == "content" else 0
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": None}
        return [("", self._before + b',"choices":[' + orjson.dumps(choice) + b"]" + self._after)]

    def _image(self, item: Json) -> list[Frame]:
        self._images += 1
        return [self._chunk({"images": [{"index": self._images - 1, **item}]})]

    def _called(self, index: int, event: PartDelta) -> Iterable[Frame]:
        call = self._calls.get(index)
        if call is None:
            return ()
        call.filled = call.filled or bool(event.text)
        extra: Json = {}
        if event.signature:
            part = ToolCall("", "", signature=event.signature, origin=event.origin)
            extra = {"extra_content": call_item(part, self._context, answering=True)["extra_content"]}
        return self._arguments(call, event.text, extra) if event.text or extra else ()

    def _arguments(self, call: _Call, text: str, extra: Json | None = None) -> list[Frame]:
        if call.legacy:
            return [self._chunk({"function_call": {"arguments": text}})] if not call.place else []
        inner = {"custom": {"input": text}} if call.custom else {"function": {"arguments": text}}
        return [self._chunk({"tool_calls": [{"index": call.place, **inner, **(extra or {})}]})]

    def _end(self, index: int) -> Iterable[Frame]:
        call = self._calls.get(index)
        if call is not None and not call.filled and not call.custom:
            call.filled = True
            return self._arguments(call, "{}")
        part = self._parts.get(index)
        if isinstance(part, Thinking) and not part.redacted:
            return self._signed(index, part)
        return ()

    def _signed(self, index: int, part: Thinking) -> list[Frame]:
        """What was signed is said once more, whole, for clients that send it back."""
        texts = self._texts.pop(index, None)
        if texts is None or not part.signature or DETAIL in own(part.extras):
            return []
        return [self._detail(index, thought.detail_of(replace(part, text="".join(texts))))]

    def _detail(self, index: int, detail: Json, beside: Json | None = None) -> Frame:
        """One entry; those of our own dialect mostly have their index already."""
        numbered = {"index": self._details.setdefault(index, len(self._details)), **detail}
        return self._chunk({**(beside or {}), "reasoning_details": [numbered]})

    def _finish(self, event: Finished) -> Iterable[Frame]:
        frames = [frame for index in self._parts for frame in self._end(index)]
        answer = Answer("", "", tuple(self._parts.values()), event.finish)
        if self._cited:
            frames.append(self._chunk({"annotations": self._cited}))
        legacy = any(call.legacy for call in self._calls.values())
        late = {name: value for name, value in members(event.extras).items() if name not in self._members}
        name, data = self._chunk({}, finish_word(answer, legacy))
        tier = tier_of(event.usage, NAME in event.extras)
        if tier is not None:
            data = data[:-1] + b"," + orjson.dumps({"service_tier": tier})[1:]
        frames.append((name, data))
        if self._context.include_usage and event.usage.known:
            frames.append(self._usage(event, late))
        unsaid.ended(event.usage, event.stop_sequence, LACKING, "OpenAI chat", self._context)
        self._ended = True
        return [*frames, DONE]

    def _usage(self, event: Finished, late: Json) -> Frame:
        tail: Json = {
            "choices": [],
            "usage": written_usage(event.usage, own(event.extras).get("_usage")),
            **late,
        }
        return ("", self._before + b"," + orjson.dumps(tail)[1:])

    def _fail(self, failure: Failure) -> Iterable[Frame]:
        self._ended = True
        return [("", write_failure(failure, "")[2]), DONE]
