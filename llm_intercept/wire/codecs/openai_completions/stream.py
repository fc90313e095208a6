"""Streams, both ways: chunks with pieces of text, a finish reason, usage, `[DONE]`."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.codecs.openai_completions import logprobs
from llm_intercept.wire.codecs.openai_completions.answer import KNOWN, LACKING, finish_word, uncited, words
from llm_intercept.wire.codecs.openai_completions.terms import answer_id, extras, members, rest, string
from llm_intercept.wire.families import openai, unsaid
from llm_intercept.wire.families.openai_writing import counted, finish_of, streamed_failure, write_failure
from llm_intercept.wire.fields import count, parse
from llm_intercept.wire.ir import (
    Event,
    Failed,
    Failure,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    RefusalText,
    Started,
    Text,
)

BROKEN = Failure("upstream", "the stream ended before the answer was complete", 502)
DONE: Frame = ("", b"[DONE]")


class CompletionDecoder:
    """One stream; the end is `[DONE]`, or the end of the bytes after a finish reason."""

    def __init__(self) -> None:
        self._started = self._ended = self._opened = False
        self._finish: object = None
        self._usage: dict[str, Any] = {}

    def feed(self, event: str, data: bytes) -> Iterable[Event]:
        if self._ended:
            return []
        if data.startswith(b"[DONE]"):
            return self._done() if self._started else self._fail(BROKEN)
        chunk = parse(data)
        if not isinstance(chunk, dict):
            return []
        error = chunk.get("error") or (event == "error" and chunk)
        return self._fail(streamed_failure(error)) if error else self._read(chunk)

    def close(self) -> Iterable[Event]:
        if self._ended:
            return []
        return self._done() if self._finish is not None else self._fail(BROKEN)

    def _read(self, chunk: Mapping[str, Any]) -> list[Event]:
        out: list[Event] = []
        if not self._started and (chunk.get("choices") or chunk.get("id")):
            self._started = True
            kept = extras(rest(chunk, KNOWN))
            created = count(chunk.get("created")) or 0
            out.append(Started(string(chunk.get("id")), string(chunk.get("model")), created, extras=kept))
        if isinstance(chunk.get("usage"), dict):
            self._usage.update((name, value) for name, value in chunk["usage"].items() if value is not None)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not choice.get("index"):
                self._choice(choice, out)
        return out

    def _choice(self, choice: Mapping[str, Any], out: list[Event]) -> None:
        text = string(choice.get("text"))
        weighed = logprobs.read(choice["logprobs"]) if choice.get("logprobs") else ()
        if text or weighed:
            if not self._opened:
                self._opened = True
                out.append(PartStarted(0, Text("")))
            out.append(PartDelta(0, text, logprobs=weighed))
        if choice.get("finish_reason") is not None:
            self._finish = choice["finish_reason"]

    def _ends(self) -> list[Event]:
        self._ended = True
        return [PartEnded(0)] if self._opened else []

    def _done(self) -> list[Event]:
        kept = extras({"_usage": self._usage} if self._usage else {})
        end = Finished(finish_of(self._finish, called=False), openai.usage(self._usage), extras=kept)
        return [*self._ends(), end]

    def _fail(self, failure: Failure) -> list[Event]:
        return [*self._ends(), Failed(failure)]


class CompletionEncoder:
    """One stream; parts that are no text are left out, with a warning."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ended = False
        self._texts: set[int] = set()
        self._length = 0
        self._before = b""
        self._after = b""

    def feed(self, event: Event) -> Iterable[Frame]:
        if self._ended:
            return []
        match event:
            case PartDelta(index, text) if index in self._texts:
                if event.citation is not None:
                    uncited(self._context)
                return [self._chunk(text, event.logprobs)] if text or event.logprobs else []
            case Started():
                return self._start(event)
            case PartStarted(index, part):
                if isinstance(part, Text | RefusalText):
                    self._texts.add(index)
                text = words(part, self._context)
                return [self._chunk(text)] if text else []
            case Finished():
                return self._finish(event)
            case Failed(failure):
                return self._fail(failure)
        return []

    def close(self) -> Iterable[Frame]:
        return [] if self._ended else self._fail(BROKEN)

    def _start(self, event: Started) -> list[Frame]:
        if self._before:
            return []
        head = {
            "id": answer_id(event.id, self._context),
            "object": "text_completion",
            "created": event.created or int(self._context.now),
            "model": self._context.requested_model or event.model,
            **members(event.extras),
        }
        self._before = orjson.dumps(head)[:-1]
        self._after = b',"usage":null}' if self._context.include_usage else b"}"
        return []

    def _chunk(self, text: str, weighed: tuple[Any, ...] = (), finish: str | None = None) -> Frame:
        self._start(Started("", ""))
        choice = {
            "text": text,
            "index": 0,
            "logprobs": logprobs.write(weighed, self._length),
            "finish_reason": finish,
        }
        self._length += len(text)
        return ("", self._before + b',"choices":[' + orjson.dumps(choice) + b"]" + self._after)

    def _finish(self, event: Finished) -> list[Frame]:
        frames = [self._chunk("", finish=finish_word(event.finish))]
        if self._context.include_usage and event.usage.known:
            tail = {"choices": [], "usage": counted(event.usage)}
            frames.append(("", self._before + b"," + orjson.dumps(tail)[1:]))
        unsaid.ended(event.usage, event.stop_sequence, LACKING, "text completions", self._context)
        self._ended = True
        return [*frames, DONE]

    def _fail(self, failure: Failure) -> list[Frame]:
        self._ended = True
        return [("", write_failure(failure, "")[2]), DONE]
