"""A streamed answer that ends when what was reserved for its call is used up: its frames pass one by one.

Stands around a pipe; only streams whose calls are under hard limits go through it. Total, as pipes are.
"""

from collections.abc import Callable
from typing import Protocol

from llm_intercept.wire.holdback import HoldBack
from llm_intercept.wire.pipe import Pipe, TranslatingPipe
from llm_intercept.wire.sabotage import Splitter
from llm_intercept.wire.usage import Usage

STOPPED = "stopped at a limit"


class Meter(Protocol):
    def is_over(self) -> bool:
        """Whether nothing more may come; asked after each frame."""

    def stop(self) -> Usage:
        """Nothing more comes: what the answer has taken."""


class Metered:
    """`stopped`: the client's stream has had its end, `cut`: it has none that could be written."""

    def __init__(self, inner: Pipe | TranslatingPipe, splitter: Splitter, meter: Meter) -> None:
        self._inner = inner
        self._splitter = splitter
        self._meter = meter
        self.stopped = self.cut = False

    def __call__(self, chunk: bytes) -> list[bytes]:
        if self.stopped or self.cut:
            return []
        if not chunk:
            rest = [piece for data in self._splitter.close() for piece in self._inner(data)]
            return [*rest, *self._inner(b"")]
        out: list[bytes] = []
        for frame in self._splitter.feed(chunk):
            out += self._inner(frame)
            if self._is_over():
                return out + self._end()
        return out

    @property
    def judge(self) -> HoldBack | None:
        return self._inner.judge

    def abort(self, message: str, late: bool = False) -> list[bytes] | None:
        """What was held back of a frame that never ended is nobody's any more."""
        return self._inner.abort(message, late)

    def _is_over(self) -> bool:
        return self._total(self._meter.is_over) or False

    def _end(self) -> list[bytes]:
        usage = self._total(self._meter.stop)
        rest = self._inner.finish(usage) if usage is not None else None
        if rest is None:
            self.cut = True
            return []
        self.stopped = True
        return rest

    def _total[T](self, act: Callable[[], T]) -> T | None:
        try:
            return act()
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            self._inner.fault = f"{type(error).__name__}: {error}"
            return None
