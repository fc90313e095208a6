"""A stream of chunks -> events of the IR, whatever the server's habits: total, and cheap for plain deltas."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llm_intercept.wire.codecs.openai_chat import thought
from llm_intercept.wire.codecs.openai_chat.answer import audio_part, usage_of
from llm_intercept.wire.codecs.openai_chat.media import parts_of
from llm_intercept.wire.codecs.openai_chat.stream_calls import Calls
from llm_intercept.wire.codecs.openai_chat.terms import DETAIL, NAME, extras, rest, string, whole
from llm_intercept.wire.families.leak import Leak
from llm_intercept.wire.families.openai_writing import finish_of, streamed_failure
from llm_intercept.wire.fields import mapping, objects, parse
from llm_intercept.wire.ir import (
    NO_EXTRAS,
    Event,
    Extras,
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

BROKEN = Failure("upstream", "the stream ended before the answer was complete", 502)
KNOWN = frozenset(
    [
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "service_tier",
        "obfuscation",
        "p",
        "x_groq",
    ]
)
type Logprobs = tuple[Mapping[str, Any], ...]


class ChatDecoder:
    """One stream. Text, reasoning and refusal follow one another; tool calls stay open until the end.

    The end is `[DONE]`, not the finish reason: usage comes in between.
    """

    __slots__ = (
        "_audio", "_calls", "_ended", "_error", "_finish", "_late", "_leak", "_next", "_open", "_out",
        "_refused", "_started", "_tier", "_usage", "_what",
    )  # fmt: skip

    def __init__(self) -> None:
        self._out: list[Event] = []
        self._started = self._ended = self._refused = False
        self._next = 0  # the next part's index
        self._open = -1  # the open part that deltas go to, other than calls
        self._what: object = None  # its kind, a class or a key of `reasoning_details`
        self._leak: Leak | None = Leak()
        self._calls = Calls(self._begin, self._emit)
        self._finish: object = None
        self._error: object = None
        self._usage: dict[str, Any] = {}
        self._tier = ""
        self._late: Mapping[str, Any] = {}  # the last chunk with counters
        self._audio: dict[str, Any] = {}

    def feed(self, event: str, data: bytes) -> Iterable[Event]:
        if self._ended:
            return ()
        if data.startswith(b"[DONE]"):
            return self._done()
        chunk = parse(data)
        if not isinstance(chunk, dict):
            return ()
        error = chunk.get("error") or (event == "error" and chunk)
        if error:
            return self._fail(error)
        self._read(chunk)
        out, self._out = self._out, []
        return out

    def close(self) -> Iterable[Event]:
        """A stream that broke off before `[DONE]` is whole if the finish reason was there."""
        if self._ended:
            return ()
        if self._finish is not None:
            return self._done()
        return [*self._end_all(), self._failed(BROKEN)]

    def _read(self, chunk: dict[str, Any]) -> None:
        choices = chunk.get("choices")
        if not self._started and (choices or chunk.get("id")):
            self._start(chunk)
        tier = chunk.get("service_tier")
        if chunk.get("usage") or "x_groq" in chunk or (tier and tier != self._tier):
            self._count(chunk)
        if not choices or not isinstance(choices, list):
            return
        for choice in choices:
            if isinstance(choice, dict) and not choice.get("index"):
                self._choice(choice)

    def _start(self, chunk: Mapping[str, Any]) -> None:
        self._started = True
        identity = string(chunk.get("id"))
        self._calls.seed = identity
        created = whole(chunk.get("created")) or 0
        kept = extras(rest(chunk, KNOWN))
        self._out.append(Started(identity, string(chunk.get("model")), created, extras=kept))

    def _count(self, chunk: Mapping[str, Any]) -> None:
        """Cumulative counters: the last known value of each counts."""
        groq = mapping(chunk.get("x_groq"))
        usage = chunk.get("usage") or groq.get("usage")
        self._late = chunk
        if isinstance(usage, dict):
            self._usage.update((name, value) for name, value in usage.items() if value is not None)
        if tier := chunk.get("service_tier"):
            self._tier = string(tier)

    def _choice(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta")
        if delta is None:
            delta = choice.get("message")
        logprobs: Logprobs = ()
        if found := choice.get("logprobs"):
            logprobs = tuple(objects(mapping(found).get("content")))
        if isinstance(delta, dict):
            content = delta.get("content")
            if len(delta) > 1 or content is None:
                self._beside(delta)
            if (
                type(content) is str
                and content
                and self._what is Text
                and self._leak is None
                and not logprobs
            ):
                self._out.append(PartDelta(self._open, content))  # what nearly every chunk is
            elif content:
                self._content(content, logprobs)
            elif logprobs and self._open >= 0:
                self._out.append(PartDelta(self._open, logprobs=logprobs))
            if len(delta) > 1 or content is None:
                self._further(delta)
        finish = choice.get("finish_reason")
        if finish is not None:
            self._finish = finish
            self._error = choice.get("error")  # OpenRouter's, when a provider broke off

    def _beside(self, delta: Mapping[str, Any]) -> None:
        """What comes before the text of the same chunk."""
        if (details := delta.get("reasoning_details")) and isinstance(details, list):
            self._detailed(objects(details), delta)
            return
        for field in thought.FIELDS:
            value = delta.get(field)
            if value and isinstance(value, str):
                self._say(field, value, thought.noted(field))
                return

    def _further(self, delta: Mapping[str, Any]) -> None:
        """What comes after it."""
        if found := delta.get("tool_calls"):
            if self._open >= 0:
                self._close_open()
            self._calls.feed(objects(found))
        for name in delta:
            if name in FURTHER and delta[name]:
                FURTHER[name](self, delta[name])

    def _refuse(self, refusal: object) -> None:
        self._refused = True
        self._append(RefusalText, RefusalText(""), string(refusal))

    def _function(self, called: object) -> None:
        self._close_open()
        self._calls.feed_legacy(mapping(called))

    def _cite(self, annotations: object) -> None:
        for citation in objects(annotations):
            self._out.append(PartDelta(self._ready(Text, Text("")), citation=citation))

    def _show(self, images: object) -> None:
        for part in parts_of(images):
            self._whole(part)

    def _hear(self, given: object) -> None:
        audio = mapping(given)
        for name in ("data", "transcript"):
            if isinstance(audio.get(name), str):
                self._audio[name] = self._audio.get(name, "") + audio[name]
        self._audio |= rest(audio, ("data", "transcript"))

    def _content(self, content: object, logprobs: Logprobs) -> None:
        if isinstance(content, str):
            if self._leak is None:
                self._append(Text, Text(""), content, logprobs)
            else:
                self._leaking(content, logprobs)
            return
        for part in parts_of(content):  # Mistral
            if isinstance(part, Text):
                self._append(Text, Text(""), part.text, logprobs)
            elif isinstance(part, Thinking):
                self._append(Thinking, Thinking(), part.text)
            else:
                self._whole(part)

    def _leaking(self, content: str, logprobs: Logprobs) -> None:
        leak = self._leak
        if leak is None:
            return
        for thinking, piece in leak.feed(content):
            if thinking:
                self._append(Thinking, Thinking(), piece)
            else:
                self._append(Text, Text(""), piece, logprobs)
        if leak.settled:
            self._leak = None

    def _say(self, key: object, text: str, note: Extras = NO_EXTRAS) -> None:
        """Reasoning that the server told apart itself: then none leaks into the text."""
        self._unleak()
        self._append(key, Thinking(extras=note), text)

    def _unleak(self) -> None:
        leak, self._leak = self._leak, None
        if leak is not None:
            for thinking, piece in leak.close():
                kind: Part = Thinking() if thinking else Text("")
                self._append(type(kind), kind, piece)

    def _detailed(self, details: list[dict[str, Any]], delta: Mapping[str, Any]) -> None:
        parts = [thought.of_detail(detail) for detail in details]
        text = string(delta.get("reasoning")) or string(delta.get("reasoning_content"))
        if text and not any(part.text for part in parts):
            self._say("reasoning", text, thought.noted("reasoning"))
        for part, detail in zip(parts, details, strict=True):
            self._detail(part, detail)

    def _detail(self, part: Thinking, detail: Mapping[str, Any]) -> None:
        if part.redacted:
            self._whole(part)
            return
        if part.signature and part.text and self._what in thought.FIELDS:  # said before, now signed
            self._out.append(PartDelta(self._open, "", part.signature, part.origin))
            return
        key = (detail.get("type"), detail.get("index"))
        note = extras({DETAIL: rest(detail, thought.TEXTS)}) if part.origin in ("", NAME) else NO_EXTRAS
        self._unleak()
        index = self._ready(key, Thinking(summary=part.summary, extras=note))
        if part.text or part.signature:
            self._out.append(PartDelta(index, part.text, part.signature, part.origin))

    def _append(self, key: object, part: Part, text: str, logprobs: Logprobs = ()) -> None:
        index = self._open if key == self._what else self._ready(key, part)
        self._out.append(PartDelta(index, text, logprobs=logprobs) if logprobs else PartDelta(index, text))

    def _ready(self, key: object, part: Part) -> int:
        """The index of the open part of this kind; another kind's is closed for it."""
        if key != self._what:
            self._close_open()
            self._open = self._begin(part)
            self._what = key
        return self._open

    def _begin(self, part: Part) -> int:
        index = self._next
        self._next += 1
        self._out.append(PartStarted(index, part))
        return index

    def _emit(self, event: Event) -> None:
        self._out.append(event)

    def _whole(self, part: Part) -> None:
        self._close_open()
        self._out.append(PartEnded(self._begin(part)))

    def _close_open(self) -> None:
        if self._open >= 0:
            self._out.append(PartEnded(self._open))
            self._open, self._what = -1, None

    def _end_all(self) -> list[Event]:
        self._unleak()
        self._close_open()
        if self._audio:
            self._whole(audio_part(self._audio))
        self._calls.end()
        out, self._out = self._out, []
        return out

    def _done(self) -> Iterable[Event]:
        if not self._started:
            self._ended = True
            return [Failed(BROKEN)]
        if self._error:
            return self._fail(self._error)
        out = self._end_all()
        self._ended = True
        usage = usage_of({"usage": self._usage, "service_tier": self._tier})
        kept = rest(self._late, KNOWN) | ({"_usage": self._usage} if self._usage else {})
        finish = finish_of(self._finish, self._calls.called, self._refused)
        out.append(Finished(finish, usage, extras=extras(kept)))
        return out

    def _fail(self, error: object) -> Iterable[Event]:
        return [*self._end_all(), self._failed(streamed_failure(error))]

    def _failed(self, failure: Failure) -> Failed:
        self._ended = True
        return Failed(failure)


FURTHER: dict[str, Callable[[ChatDecoder, object], None]] = {
    "refusal": ChatDecoder._refuse,
    "function_call": ChatDecoder._function,
    "annotations": ChatDecoder._cite,
    "images": ChatDecoder._show,
    "audio": ChatDecoder._hear,
}
