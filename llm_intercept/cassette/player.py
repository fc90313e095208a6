"""A cassette being played: what was found in it, the first call that was not, and a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from llm_intercept.cassette import server
from llm_intercept.cassette.format import Cassette, Recorded, Request
from llm_intercept.cassette.matching import Deck, Ignored, Mismatch


class Report(NamedTuple):
    """What came of a replay. `first` is the text of the first mismatch, `left` what was not asked for."""

    answered: int = 0
    missed: int = 0
    first: str = ""
    left: Sequence[str] = ()


class Player:
    """Answers calls out of one cassette; `report` is written when something is missing, and at the end."""

    def __init__(
        self, cassette: Cassette, fields: Sequence[Ignored], pace: server.Pace, report: Path
    ) -> None:
        self._deck = Deck(cassette.calls, fields)
        self._calls = {call.number: call for call in cassette.calls}
        self._pace = pace
        self._path = report
        self._answered = self._missed = 0
        self._first = ""
        self._running: server.Running | None = None

    async def port(self) -> int:
        """Where the answers are served."""
        if self._running is None:
            self._running = await server.start(self._calls, self._pace)
        return self._running.port

    def find(self, request: Request, *, inference: bool) -> Recorded | Mismatch:
        found = self._deck.play(request, inference=inference)
        if isinstance(found, Recorded):
            self._answered += 1
        elif inference:
            self.miss(found)
        return found

    def miss(self, mismatch: Mismatch) -> None:
        self._missed += 1
        self._first = self._first or str(mismatch)
        self.write()

    def write(self) -> None:
        left = [f"call {call.number}: {call.request.title}" for call in self._deck.left]
        report = Report(self._answered, self._missed, self._first, left)
        self._path.write_bytes(orjson.dumps(report._asdict()))

    async def close(self) -> None:
        self.write()
        if self._running is not None:
            await self._running.stop()


def read_report(path: Path) -> Report:
    """Empty where none was written."""
    return Report(**orjson.loads(path.read_bytes())) if path.exists() else Report()
