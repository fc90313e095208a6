"""Thinking that the client does not want to see, left out of an answer; what it needs to go on stays.

Some targets can be told; for all others this does it. The words go; a part with a signature stays without
words, as Anthropic itself sends it, because the next turn needs the signature.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from llm_intercept.wire.ir import Event, PartDelta, PartEnded, PartStarted, Thinking


class Unshown:
    """One stream of events. The parts that are left count up from 0 again."""

    def __init__(self) -> None:
        self._thinking: dict[int, PartStarted] = {}  # open, by its index upstream; without its words
        self._places: dict[int, int] = {}

    def over(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            match event:
                case PartStarted(index, Thinking() as part):
                    self._thinking[index] = PartStarted(index, replace(part, text=""))
                    if part.signature:
                        yield self._started(self._thinking[index])
                case PartStarted():
                    yield self._started(event)
                case PartDelta():
                    yield from self._delta(event)
                case PartEnded(index):
                    thought = self._thinking.pop(index, None)
                    if thought is None or index in self._places:
                        yield PartEnded(self._places.get(index, index))
                case _:
                    yield event

    def _started(self, event: PartStarted) -> PartStarted:
        place = self._places[event.index] = len(self._places)
        return PartStarted(place, event.part)

    def _delta(self, event: PartDelta) -> Iterator[Event]:
        thought = self._thinking.get(event.index)
        if thought is not None:
            if not event.signature:
                return
            if event.index not in self._places:
                yield self._started(thought)
            event = replace(event, text="")
        yield replace(event, index=self._places.get(event.index, event.index))
