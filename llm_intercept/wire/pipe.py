"""The value of a streamed answer on its way to the client: every chunk passes at once, a tap gets a copy.

Total: any bytes in, a list of non-empty byte strings out, never an exception. A fault inside ends
the reading and lets the bytes pass untouched from then on; a translated one ends in an error.
"""

from collections.abc import Callable

from llm_intercept.wire.conceal import UsageFilter
from llm_intercept.wire.embeddings.translation import EmbeddingRelay
from llm_intercept.wire.farewell import closing, farewell
from llm_intercept.wire.holdback import HoldBack
from llm_intercept.wire.tap import Tap
from llm_intercept.wire.translation import Relay
from llm_intercept.wire.usage import Usage


class Pipe:
    """`hide_usage`: the usage that we asked for and the client did not is taken out again.

    `size` counts what the client is given; `fault` names what went wrong inside, "" for nothing.
    `framed_as` is (dialect, content-type) where something may be added at the end.
    """

    judge: HoldBack | None = None  # of the stream's beginning

    def __init__(
        self,
        tap: Tap,
        clock: Callable[[], float],
        *,
        hide_usage: bool = False,
        on_first: Callable[[], None] | None = None,
        framed_as: tuple[str, str] | None = None,
    ) -> None:
        self.first_byte = 0.0
        self.last_byte = 0.0
        self.size = 0
        self.fault = ""
        self._tap: Tap | None = tap
        self._clock = clock
        self._filter = UsageFilter() if hide_usage else None
        self._on_first = on_first
        self._framed_as = framed_as
        self._last = b""

    def __call__(self, chunk: bytes) -> list[bytes]:
        if chunk:
            self._look(chunk)
        if self._filter is None:
            self.size += len(chunk)
            if not chunk:
                return []
            self._last = chunk
            return [chunk]
        out = self._conceal(self._filter, chunk)
        for piece in out:
            self.size += len(piece)
            self._last = piece
        return out

    def finish(self, usage: Usage) -> list[bytes] | None:
        """What ends the client's stream after a whole frame, as if its length were used up; None: nothing."""
        if self._framed_as is None or self._tap is None or self._tap.ending is None:
            return None
        try:
            rest = self._tap.ending.written(usage)
        except Exception as error:
            self.fault = f"{type(error).__name__}: {error}"
            return None
        if rest is None:
            return None
        self.size += len(rest)
        return [rest]

    def abort(self, message: str, late: bool = False) -> list[bytes] | None:
        """What ends the client's stream in place of the upstream that went away; None: nothing can.

        `late`: it took too long.
        """
        if self._framed_as is None:
            return None
        try:
            rest = self._farewell(*self._framed_as, message, late)
        except Exception as error:
            self.fault = f"{type(error).__name__}: {error}"
            return None
        if rest is None:
            return None
        self.size += len(rest)
        return [rest] if rest else []

    def _farewell(self, dialect: str, content_type: str, message: str, late: bool) -> bytes | None:
        if self._tap is None:
            return None
        reading = self._tap.close()
        # What a filter has given out are whole events.
        if not self._tap.between and self._filter is None:
            return None
        if reading.complete or reading.error_type:  # all had been said before the connection was cut
            return closing(dialect, content_type, self._last)
        return farewell(dialect, content_type, self._last, message, late=late)

    def _look(self, chunk: bytes) -> None:
        try:
            self.last_byte = now = self._clock()
            if not self.first_byte:
                self.first_byte = now
                if self._on_first:
                    self._on_first()
            if self._tap:
                self._tap.feed(chunk, now)
        except Exception as error:
            self._tap = None
            self.fault = f"{type(error).__name__}: {error}"

    def _conceal(self, held: UsageFilter, chunk: bytes) -> list[bytes]:
        try:
            return held.feed(chunk) if chunk else held.close()
        except Exception as error:
            self._filter = None
            self.fault = f"{type(error).__name__}: {error}"
            rest = held.release()
            return [rest] if rest else []


class TranslatingPipe:
    """As `Pipe`, where the client speaks another dialect: chunks go to a tap, then through a relay.

    A fault inside ends the client's stream with an error of its own dialect; so does `abort`, for an
    upstream that went away. `abort` gives what is still to be sent.
    """

    judge: HoldBack | None = None  # of the stream's beginning

    def __init__(self, tap: Tap, relay: Relay | EmbeddingRelay, clock: Callable[[], float]) -> None:
        self.first_byte = 0.0
        self.last_byte = 0.0
        self.size = 0
        self.fault = ""
        self._tap = tap
        self._relay = relay
        self._clock = clock
        self._ended = False

    def __call__(self, chunk: bytes) -> list[bytes]:
        if self._ended:
            return []
        if chunk:
            self.last_byte = now = self._clock()
            self.first_byte = self.first_byte or now
            try:
                self._tap.feed(chunk, now)
            except Exception as error:
                self.fault = f"{type(error).__name__}: {error}"
        try:
            out = self._relay.feed(chunk) if chunk else self._last()
        except Exception as error:
            self.fault = f"{type(error).__name__}: {error}"
            return self.abort("the answer could not be translated")
        return self._counted(out)

    def finish(self, usage: Usage) -> list[bytes] | None:
        """The end of the client's stream, as if its length were used up."""
        if self._ended or not isinstance(self._relay, Relay):
            return None
        self._ended = True
        try:
            return self._counted(self._relay.finish(usage))
        except Exception as error:
            self.fault = f"{type(error).__name__}: {error}"
            return None

    def abort(self, message: str, late: bool = False) -> list[bytes]:
        if self._ended:
            return []
        self._ended = True
        try:
            return self._counted(self._relay.abort(message, late))
        except Exception as error:
            self.fault = f"{type(error).__name__}: {error}"
            return []

    def _last(self) -> list[bytes]:
        out = self._relay.close()
        self._ended = True
        return out

    def _counted(self, out: list[bytes]) -> list[bytes]:
        for piece in out:
            self.size += len(piece)
        return out
