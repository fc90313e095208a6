"""Writing a cassette while the calls go on: a draft for each call, a line when it is over."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from llm_intercept import __version__
from llm_intercept.cassette import cleaning
from llm_intercept.cassette.format import (
    VERSION,
    Answer,
    Chunk,
    Ended,
    Header,
    Recorded,
    Request,
    create,
    line,
)
from llm_intercept.wire.encoding import Decoder

type Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it came, but for the content-encoding of its body. Of base URLs `host` is the provider."""

    method: str
    host: str
    path: str
    headers: Fields = field(repr=False)
    body: bytes = field(repr=False)

    def cleaned(self, clean: cleaning.Clean) -> Request:
        """As a cassette has it."""
        return Request(
            method=self.method,
            host=self.host,
            path=cleaning.path(self.path, clean),
            headers=cleaning.request_headers(self.headers, clean),
            body=clean(self.body),
        )


@dataclass(slots=True)
class Draft:
    """A call under way, and what its client has been given so far."""

    number: int
    started: float
    provider: str
    request: Arrived
    inference: bool
    status: int = 0
    answer_headers: Fields = field(default_factory=list)
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    finished: bool = False

    def answered(self, status: int, headers: Fields) -> None:
        """The head of an answer; an earlier one was not shown to the client."""
        self.status, self.answer_headers = status, headers
        self.chunks.clear()

    def add(self, moment: float, data: bytes) -> None:
        if data:
            self.chunks.append((moment, data))

    def decoded(self) -> list[Chunk]:
        """Without content-encoding; what cannot be undone stays as it came."""
        named = [value for name, value in self.answer_headers if name.lower() == "content-encoding"]
        decoder = Decoder(", ".join(named))
        pieces = [(moment, decoder.feed(data)) for moment, data in self.chunks]
        found = self.chunks if decoder.broken else pieces
        return [Chunk(at=round(moment - self.started, 4), data=data) for moment, data in found if data]


class Recorder:
    """The open file. Lines are in the order of the calls' ends, numbers in that of their beginnings."""

    def __init__(self, path: Path, clock: Callable[[], float], *, replace: bool = False) -> None:
        self._file = create(path, replace=replace)
        self._clock = clock
        self._began = clock()
        self._number = 0
        self.calls = 0
        self.notes: list[str] = []
        now = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._write(line(Header(cassette=VERSION, recorded=now, by=f"llm-intercept {__version__}")))

    @property
    def now(self) -> float:
        return self._clock()

    def begin(self, provider: str, request: Arrived, *, inference: bool) -> Draft:
        self._number += 1
        return Draft(self._number, self._clock(), provider, request, inference)

    def finish(
        self,
        draft: Draft,
        ended: Ended,
        clean: cleaning.Clean,
        note: str = "",
    ) -> None:
        """Writes the call, once. `clean` takes this call's own keys out as well."""
        if draft.finished:
            return
        draft.finished = True
        recorded = Recorded(
            number=draft.number,
            at=round(draft.started - self._began, 4),
            provider=draft.provider,
            inference=draft.inference,
            request=draft.request.cleaned(clean),
            answer=None if note else _answer(draft, ended, clean),
            note=note,
        )
        self._write(line(recorded))
        self.calls += 1
        if note:
            self.notes.append(f"{recorded.request.title}: {note}")

    def close(self) -> None:
        self._file.close()

    def _write(self, text: bytes) -> None:
        self._file.write(text)
        self._file.flush()


def _answer(draft: Draft, ended: Ended, clean: cleaning.Clean) -> Answer:
    return Answer(
        status=draft.status,
        headers=cleaning.answer_headers(draft.answer_headers, clean),
        chunks=cleaning.chunks(draft.decoded(), clean),
        sized=any(name.lower() == "content-length" for name, _ in draft.answer_headers),
        ended=ended,
    )
