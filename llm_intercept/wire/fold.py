"""From a stream's events to the whole answer and back: what lets one side stream and the other not."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from llm_intercept.wire.ir import (
    Answer,
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
    ToolCall,
)
from llm_intercept.wire.usage import Usage


def fold(events: Iterable[Event]) -> Answer | Failure:
    """The answer that these events amount to; the failure if they end in one."""
    started = Started("", "")
    parts: dict[int, Part] = {}
    logprobs: list[object] = []
    for event in events:
        match event:
            case Started():
                started = event
            case PartStarted(index, part):
                parts[index] = part
            case PartDelta(index):
                if index in parts:
                    parts[index] = appended(parts[index], event)
                logprobs.extend(event.logprobs)
            case Finished(finish, usage, stop_sequence, extras):
                total = _merged(started.usage, usage)
                ordered = tuple(_whole(parts[i]) for i in sorted(parts))
                return Answer(
                    started.id,
                    started.model,
                    ordered,
                    finish,
                    total,
                    started.created,
                    stop_sequence,
                    tuple(logprobs),  # type: ignore[arg-type]
                    _together(started.extras, extras),
                )
            case Failed(failure):
                return failure
    return Failure("upstream", "the stream ended before the answer was complete", 502)


def appended(part: Part, delta: PartDelta) -> Part:
    """The part with the delta at its end."""
    match part:
        case Text():
            cited = (*part.citations, delta.citation) if delta.citation is not None else part.citations
            return replace(part, text=part.text + delta.text, citations=cited)
        case Thinking():
            signature = part.signature + delta.signature
            origin = delta.origin or part.origin
            return replace(part, text=part.text + delta.text, signature=signature, origin=origin)
        case ToolCall():
            signature = part.signature + delta.signature
            origin = delta.origin or part.origin
            return replace(part, arguments=part.arguments + delta.text, signature=signature, origin=origin)
        case RefusalText():
            return replace(part, text=part.text + delta.text)
    return part


def _whole(part: Part) -> Part:
    """A tool call that streamed no arguments has none: `{}`."""
    empty = isinstance(part, ToolCall) and not part.custom and not part.arguments.strip()
    return replace(part, arguments="{}") if empty and isinstance(part, ToolCall) else part


def _together(early: Extras, late: Extras) -> Extras:
    """Members by dialect; what is said late replaces what was said early."""
    if not early or not late:
        return early or late
    return {name: {**early.get(name, {}), **late.get(name, {})} for name in (*early, *late)}


def _merged(early: Usage | None, final: Usage) -> Usage:
    total = Usage()
    if early is not None:
        total.absorb(early)
    total.absorb(final)
    return total


def unfold(answer: Answer) -> Iterator[Event]:
    """The events of a stream that has this answer: each part opened, given whole, closed."""
    yield Started(answer.id, answer.model, answer.created, None)
    logprobs = answer.logprobs
    for index, part in enumerate(answer.parts):
        yield PartStarted(index, _emptied(part))
        delta = _content(index, part)
        if delta is not None and logprobs and isinstance(part, Text):
            delta, logprobs = replace(delta, logprobs=logprobs), ()
        if delta is not None:
            yield delta
        if isinstance(part, Text):
            yield from (PartDelta(index, citation=c) for c in part.citations)
        yield PartEnded(index)
    yield Finished(answer.finish, answer.usage, answer.stop_sequence, answer.extras)


def _emptied(part: Part) -> Part:
    match part:
        case Text():
            return replace(part, text="", citations=())
        case Thinking(redacted=False):
            return replace(part, text="", signature="", origin="")
        case ToolCall():
            return replace(part, arguments="", signature="", origin="")
        case RefusalText():
            return replace(part, text="")
    return part


def _content(index: int, part: Part) -> PartDelta | None:
    match part:
        case Text(text) | RefusalText(text):
            return PartDelta(index, text) if text else None
        case Thinking(redacted=False):
            return PartDelta(index, part.text, part.signature, part.origin)
        case ToolCall():
            return PartDelta(index, part.arguments, part.signature, part.origin)
    return None
