"""Writes a stream: every event numbered, the answer begun before anything else and ended exactly once."""

from collections.abc import Iterable

import orjson

from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.codecs.openai_responses.answer import (
    LACKING,
    Envelope,
    ending,
    response_id,
    written_usage,
)
from llm_intercept.wire.codecs.openai_responses.controls import own_tier
from llm_intercept.wire.codecs.openai_responses.errors import error_event, stream_error
from llm_intercept.wire.codecs.openai_responses.output import Output
from llm_intercept.wire.codecs.openai_responses.pieces import Happening
from llm_intercept.wire.codecs.openai_responses.terms import TARGET, Raw
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.ir import (
    Event,
    Failed,
    Failure,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
)
from llm_intercept.wire.usage import Usage

CUT = Failure("upstream", "The answer ended before it was complete.", 502)


class StreamEncoder:
    """Whatever events come: one beginning, well-formed items, one end."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._number = 0
        self._envelope: Envelope | None = None
        self._output = Output("", context)
        self._early: Usage | None = None
        self._ended = False

    def feed(self, event: Event) -> Iterable[Frame]:
        if self._ended:
            return []
        if type(event) is PartDelta and self._envelope is not None:
            return [self._frame(happening) for happening in self._output.delta(event)]
        return [self._frame(happening) for happening in self._happenings(event)]

    def close(self) -> Iterable[Frame]:
        return [] if self._ended else self.feed(Failed(CUT))

    def _frame(self, happening: Happening) -> Frame:
        kind, members = happening
        number = self._number
        self._number = number + 1
        return kind, orjson.dumps({"type": kind, **members, "sequence_number": number})

    def _happenings(self, event: Event) -> list[Happening]:
        if isinstance(event, Started):
            return self._begin(event) if self._envelope is None else []
        found = self._begin(Started("", "")) if self._envelope is None else []
        match event:
            case PartStarted(index, part):
                found += self._output.start(index, part)
            case PartDelta():
                found += self._output.delta(event)
            case PartEnded(index):
                found += self._output.end(index)
            case Finished():
                found += self._finish(event)
            case Failed(failure):
                found += self._fail(failure)
        return found

    def _begin(self, event: Started) -> list[Happening]:
        name = response_id(event.id, self._context)
        self._envelope = Envelope(name, event.model, event.created, self._context)
        self._output = Output(name, self._context)
        self._early = event.usage
        body = self._envelope.body("in_progress")
        return [("response.created", {"response": body}), ("response.in_progress", {"response": body})]

    def _finish(self, event: Finished) -> list[Happening]:
        status, details = ending(event.finish, self._output.refused)
        if status == "failed":
            return self._fail(Failure("upstream", "The model's answer ended with an error.", 502))
        usage = Usage()
        usage.absorb(self._early or usage)
        usage.absorb(event.usage)
        unsaid.ended(usage, event.stop_sequence, LACKING, TARGET, self._context)
        found = self._output.close(status)
        return [*found, self._end(status, usage, {"incomplete_details": details})]

    def _fail(self, failure: Failure) -> list[Happening]:
        found = self._output.close("incomplete")
        found.append(("error", error_event(failure)))
        return [*found, self._end("failed", None, {"error": stream_error(failure)})]

    def _end(self, status: str, usage: Usage | None, members: Raw) -> Happening:
        self._ended = True
        body = self._envelope.body(status) if self._envelope is not None else {}
        body |= members
        body["output"] = self._output.written()
        if usage is not None:
            body["usage"] = written_usage(usage, self._context)
            body["service_tier"] = own_tier(usage.service_tier) or body["service_tier"]
        return f"response.{status}", {"response": body}
